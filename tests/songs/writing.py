"""Writing the files of a song in one call, with any separator."""

from pathlib import Path
from typing import Any

from unmix._types import Progress
from unmix.audio import OutputFormat
from unmix.songs.karaoke import KaraokeFile, KaraokeOptions, plan_karaoke, write_karaoke
from unmix.songs.render import StemSeparator
from unmix.songs.separate import (
    SeparatedFile,
    StemListener,
    StemOptions,
    plan_stems,
    write_stems,
)


def separate_file(
    separator: StemSeparator,
    path: Path,
    out_dir: Path,
    *,
    format: str = "wav",  # noqa: A002  (as the public method has it)
    bit_depth: int | None = None,
    bitrate: str | None = None,
    progress: Progress | None = None,
    listener: StemListener | None = None,
    **options: Any,
) -> SeparatedFile:
    wanted = StemOptions(format=OutputFormat.parse(format, bit_depth, bitrate), **options)
    plan = plan_stems(separator, path, out_dir, wanted)
    return write_stems(separator, plan, progress=progress, listener=listener)


def karaoke_file(
    separator: StemSeparator,
    path: Path,
    out_dir: Path | None = None,
    *,
    progress: Progress | None = None,
    **options: Any,
) -> KaraokeFile:
    plan = plan_karaoke(path, out_dir, KaraokeOptions(**options))
    return write_karaoke(separator, plan, progress=progress)
