"""``unmix separate``: songs become a file for each stem."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UnmixError
from ..songs.naming import DEFAULT_TEMPLATE, check_template
from . import _options as options
from ._batch import Work, run_batch
from ._inputs import find_songs


def separate(
    songs: options.SongsArgument,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder for the stems.",
            rich_help_panel=options.FILES,
        ),
    ] = Path("separated"),
    stems: Annotated[
        str,
        typer.Option(
            "--stems",
            "-s",
            metavar="NAMES",
            help="vocals, accompaniment, both with a comma, or all.",
            rich_help_panel=options.FILES,
        ),
    ] = "vocals,accompaniment",
    format: Annotated[  # noqa: A002  (the option's name)
        options.Format,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            help=options.FORMAT_HELP,
            rich_help_panel=options.FILES,
        ),
    ] = options.Format.WAV,
    bit_depth: options.BitDepthOption = None,
    bitrate: options.BitrateOption = None,
    template: Annotated[
        str,
        typer.Option(
            "--template",
            "-t",
            metavar="TEXT",
            help="Path of each stem in DIR, of {name} {artist} {title} {album} {track} {stem} "
            "{model} {ext}.",
            rich_help_panel=options.FILES,
        ),
    ] = DEFAULT_TEMPLATE,
    overwrite: options.OverwriteOption = False,
    skip_existing: options.SkipOption = False,
    strict: options.StrictOption = False,
    model: options.ModelOption = "default",
    quality: options.QualityOption = options.Quality.BALANCED,
    device: options.DeviceOption = "auto",
    chunk: options.ChunkOption = None,
    overlap: options.OverlapOption = None,
    shifts: options.ShiftsOption = None,
    batch_size: options.BatchSizeOption = None,
    precision: options.PrecisionOption = None,
    wiener: options.WienerOption = None,
    recursive: options.RecursiveOption = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw spectrograms beside the stems, as PNG.")
    ] = False,
    json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Write the vocals and the accompaniment of songs as files.

    Stems have the song's length, channels, sample rate and tags, and sum to the song. Where one
    would clip, all of a song are lowered alike, and it is said; --format wav --bit-depth 32 never
    clips.
    """
    existing = options.existing_of(overwrite, skip_existing)
    options.check_format(format, bit_depth, bitrate)
    try:
        check_template(template)
    except UnmixError as error:
        raise typer.BadParameter(str(error)) from None
    names = [name.strip() for name in stems.split(",") if name.strip()]

    def prepare() -> Work:
        from ._stems import StemWriter

        return StemWriter(
            separator=options.load_separator(
                model, quality, device, chunk, overlap, shifts, batch_size, precision, wiener
            ),
            out=out,
            stems="all" if names == ["all"] else tuple(names),
            format=format.value,
            bit_depth=options.bits_of(bit_depth),
            bitrate=bitrate,
            template=template,
            existing=existing,
            strict=strict,
            plot=plot,
        ).work

    target = os.path.realpath(out)
    found = find_songs(
        songs, recursive=recursive, leave_out=lambda path: os.path.realpath(path) == target
    )
    run_batch("separate", found, prepare, as_json=json, debug=debug)
