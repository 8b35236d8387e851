"""``unmix karaoke``: write karaoke versions of songs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..songs.naming import KARAOKE, has_mark
from ..weights import DEFAULT
from . import _options as options
from ._batch import Claims, Done, Work, run_batch
from ._inputs import Song, find_songs

if TYPE_CHECKING:
    from .._types import Progress


def karaoke(
    songs: options.SongsArgument,
    guide: Annotated[
        float | None,
        typer.Option(
            "--guide",
            "-g",
            metavar="DB",
            max=0,
            help="Keep the vocals, at this level in dB, 0 or below; -18 is a quiet guide.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        options.file_option(
            "--out",
            "-o",
            metavar="DIR",
            help="Folder for the karaoke versions.",
            show_default="the song's own",
        ),
    ] = None,
    format: Annotated[  # noqa: A002  (the option's name)
        options.AudioFormat | None,
        options.file_option(
            "--format",
            "-f",
            metavar="NAME",
            help=options.FORMAT_HELP,
            show_default="the song's own",
        ),
    ] = None,
    bit_depth: options.BitDepthOption = None,
    bitrate: options.BitrateOption = None,
    overwrite: options.OverwriteOption = False,
    skip_existing: options.SkipOption = False,
    strict: options.StrictOption = False,
    audio_stream: options.AudioStreamOption = None,
    max_duration: options.LimitOption = None,
    model: options.ModelOption = DEFAULT,
    quality: options.QualityOption = options.QualityName.BALANCED,
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
    """Write karaoke versions of songs beside them, as "NAME (karaoke).EXT".

    They keep the song's format, tags and cover. A video in mp4, mov, mkv or webm also keeps its
    picture, unless --format is given.
    """
    from ..songs.karaoke import KaraokeOptions

    existing = options.existing_of(overwrite, skip_existing)
    with options.wrong_usage():
        wanted = KaraokeOptions(
            guide=guide,
            format=format and format.value,
            bit_depth=options.bits_of(bit_depth),
            bitrate=bitrate,
            existing=existing,
            strict=strict,
            audio_stream=audio_stream,
            max_duration=options.seconds_of(max_duration),
        )

    def prepare() -> Work:
        from ..songs.karaoke import plan_karaoke, write_karaoke

        separator = options.load_separator(
            model, quality, device, chunk, overlap, shifts, batch_size, precision
        )
        claims = Claims(found)

        def work(song: Song, progress: Progress) -> Done:
            # A pipe has no folder: its result goes to the current one.
            folder = out / song.folder if out else Path() if song.copied else None
            plan = plan_karaoke(song.path, folder, wanted, root=out)
            claims.add(song.path, [plan.path], "choose another folder with --out")
            result = write_karaoke(separator, plan, progress=progress)
            return Done(result, (result.path,))

        return work

    # Karaoke versions of an earlier run are not songs.
    found = find_songs(songs, recursive=recursive, leave_out=lambda path: has_mark(path, KARAOKE))
    run_batch("karaoke", found, prepare, as_json=json, debug=debug)
