"""``unmix karaoke``: songs become backing tracks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from . import _options as options
from ._batch import Claims, Done, Work, run_batch
from ._inputs import Song, find_songs

_MARK = " (karaoke)"


def karaoke(
    songs: options.SongsArgument,
    guide: Annotated[
        float | None,
        typer.Option(
            "--guide",
            "-g",
            metavar="DB",
            max=0,
            help="Leave the singer in at this level, 0 or below; -18 is a quiet guide.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder for the backing tracks.",
            show_default="the song's",
            rich_help_panel=options.FILES,
        ),
    ] = None,
    format: Annotated[  # noqa: A002  (the option's name)
        options.Format | None,
        typer.Option(
            "--format",
            "-f",
            metavar="NAME",
            help=options.FORMAT_HELP,
            show_default="the song's own",
            rich_help_panel=options.FILES,
        ),
    ] = None,
    bit_depth: options.BitDepthOption = None,
    bitrate: options.BitrateOption = None,
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
    recursive: options.RecursiveOption = False,
    json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Write the backing track of songs beside them, as "NAME (karaoke).EXT".

    It keeps the song's format, tags and cover. A video in mp4, mov, mkv or webm keeps its picture;
    with --format, its sound alone is written.
    """
    existing = options.existing_of(overwrite, skip_existing)
    if format is not None:
        options.check_format(format, bit_depth, bitrate)

    def prepare() -> Work:
        from ..songs.karaoke import backing_path, karaoke_file

        separator = options.load_separator(
            model, quality, device, chunk, overlap, shifts, batch_size, precision
        )
        claims = Claims()

        def work(song: Song, progress: Callable[[float], None]) -> Done:
            folder = None if out is None else out / song.folder
            name = format and format.value
            track = backing_path(song.path, folder, format=name)
            claims.add(song.path, [track], "write it elsewhere with --out")
            result = karaoke_file(
                separator,
                song.path,
                folder,
                guide=guide,
                format=name,
                bit_depth=options.bits_of(bit_depth),
                bitrate=bitrate,
                existing=existing,
                strict=strict,
                progress=progress,
            )
            return Done(result, (result.path,))

        return work

    # A folder's backing tracks of an earlier run are no songs.
    found = find_songs(songs, recursive=recursive, leave_out=lambda path: path.stem.endswith(_MARK))
    run_batch("karaoke", found, prepare, as_json=json, debug=debug)
