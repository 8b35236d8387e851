"""``unmix plot``: draw a picture of a song's separation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..weights import DEFAULT
from . import _options as options
from ._batch import Done, Work, run_batch
from ._inputs import Song, find_songs

if TYPE_CHECKING:
    from .._types import Progress


def plot(
    song: Annotated[str, typer.Argument(metavar="SONG", help="An audio or video file.")],
    out: Annotated[
        Path | None,
        options.file_option(
            "--out",
            "-o",
            metavar="PNG",
            help="Picture to write.",
            show_default="NAME (spectrograms).png",
        ),
    ] = None,
    overwrite: options.OverwriteOption = False,
    skip_existing: options.SkipOption = False,
    strict: options.StrictOption = False,
    audio_stream: options.AudioStreamOption = None,
    max_duration: options.LimitOption = None,
    model: options.ModelOption = DEFAULT,
    quality: options.QualityOption = options.QualityName.BALANCED,
    device: options.DeviceOption = "auto",
    json: options.JsonOption = False,
    debug: options.DebugOption = False,
) -> None:
    """Draw the spectrograms of a song, its vocals and its accompaniment."""
    existing = options.existing_of(overwrite, skip_existing)
    with options.wrong_usage():
        limit = options.seconds_of(max_duration)

    def prepare() -> Work:
        from ..songs.naming import beside
        from ..songs.plot import PLOT_MARK, plot_file

        separator = options.load_separator(model, quality, device)

        def work(song: Song, progress: Progress) -> Done:
            # A pipe has no folder: its result goes to the current one.
            here = beside(song.path, PLOT_MARK, "png", Path()) if song.copied else None
            target = out or here
            result = plot_file(
                separator,
                song.path,
                target,
                existing=existing,
                strict=strict,
                audio_stream=audio_stream,
                max_duration=limit,
                progress=progress,
            )
            return Done(result, (result.path,))

        return work

    found = find_songs([song], recursive=False)
    run_batch("plot", found, prepare, as_json=json, debug=debug)
