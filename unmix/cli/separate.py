"""``unmix separate``: write a file for each stem of songs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..songs.naming import DEFAULT_TEMPLATE
from ..weights import DEFAULT
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
            help="Stems to write, comma-separated, or all.",
            rich_help_panel=options.FILES,
        ),
    ] = "vocals,accompaniment",
    format: Annotated[  # noqa: A002  (the option's name)
        options.AudioFormat,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            help=options.FORMAT_HELP,
            rich_help_panel=options.FILES,
        ),
    ] = options.AudioFormat.WAV,
    bit_depth: options.BitDepthOption = None,
    bitrate: options.BitrateOption = None,
    template: Annotated[
        str,
        typer.Option(
            "--template",
            "-t",
            metavar="TEXT",
            help="Path of each stem in DIR. Fields: {name} {artist} {title} {album} {track} "
            "{stem} {model} {ext}.",
            rich_help_panel=options.FILES,
        ),
    ] = DEFAULT_TEMPLATE,
    overwrite: options.OverwriteOption = False,
    skip_existing: options.SkipOption = False,
    strict: options.StrictOption = False,
    model: options.ModelOption = DEFAULT,
    quality: options.QualityOption = options.QualityName.BALANCED,
    device: options.DeviceOption = "auto",
    chunk: options.ChunkOption = None,
    overlap: options.OverlapOption = None,
    shifts: options.ShiftsOption = None,
    batch_size: options.BatchSizeOption = None,
    precision: options.PrecisionOption = None,
    wiener: options.WienerOption = None,
    recursive: options.RecursiveOption = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Also save a picture of spectrograms beside the stems.")
    ] = False,
    json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Separate songs into vocals and accompaniment, one file each.

    Stems have the song's length, channels, sample rate and tags, and sum to the song. If a stem
    would clip, all stems of that song are turned down equally, with a warning; --format wav
    --bit-depth 32 never clips.
    """
    from ..audio import OutputFormat
    from ..songs.separate import StemOptions

    names = tuple(name.strip() for name in stems.split(",") if name.strip())
    existing = options.existing_of(overwrite, skip_existing)
    with options.wrong_usage():
        wanted = StemOptions(
            stems="all" if names == ("all",) else names,
            format=OutputFormat.parse(format, options.bits_of(bit_depth), bitrate),
            template=template,
            existing=existing,
            strict=strict,
        )

    def prepare() -> Work:
        from ._stems import StemWriter

        separator = options.load_separator(
            model, quality, device, chunk, overlap, shifts, batch_size, precision, wiener
        )
        return StemWriter(separator=separator, out=out, options=wanted, plot=plot).work

    target = os.path.realpath(out)
    found = find_songs(
        songs, recursive=recursive, leave_out=lambda path: os.path.realpath(path) == target
    )
    run_batch("separate", found, prepare, as_json=json, debug=debug)
