"""Options that several verbs share, with their help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import UnmixError

if TYPE_CHECKING:
    from ..songs.separator import Separator
    from ..storage import Existing


class AudioFormat(StrEnum):
    """Names of the file formats that can be written."""

    WAV = "wav"
    FLAC = "flac"
    AIFF = "aiff"
    MP3 = "mp3"
    OGG = "ogg"
    OPUS = "opus"
    M4A = "m4a"


DEVICE_HELP = "Device to compute on: auto, cpu, cuda, cuda:1, mps ..."
FORMAT_HELP = f"File format: {', '.join(list(AudioFormat)[:-1])} or {AudioFormat.M4A}."


class BitDepth(StrEnum):
    """Bits per sample in lossless formats; 32 is floating point."""

    INT16 = "16"
    INT24 = "24"
    FLOAT32 = "32"


class QualityName(StrEnum):
    """Names of the presets from fast to accurate."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class PrecisionName(StrEnum):
    """Names of the arithmetic precisions."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


file_option = partial(typer.Option, rich_help_panel="Files")
_separation_option = partial(typer.Option, rich_help_panel="Separation")
_fine_option = partial(typer.Option, rich_help_panel="Fine options")

SongsArgument = Annotated[
    list[str], typer.Argument(metavar="SONG", help="Audio or video files, folders, or patterns.")
]
RecursiveOption = Annotated[bool, typer.Option("--recursive", "-r", help="Search subfolders too.")]
BitDepthOption = Annotated[
    BitDepth | None, file_option(help="Bits per sample of wav (32 is float), flac and aiff.")
]
BitrateOption = Annotated[
    str | None,
    file_option(metavar="RATE", help="Bit rate of mp3, ogg, opus and m4a, such as 192k."),
]
OverwriteOption = Annotated[bool, file_option("--overwrite", help="Replace existing files.")]
SkipOption = Annotated[
    bool, file_option("--skip-existing", help="Keep existing files; write missing ones.")
]
StrictOption = Annotated[
    bool, file_option("--strict", help="Fail on songs that do not decode fully.")
]
AudioStreamOption = Annotated[
    int | None,
    file_option(
        metavar="N",
        min=0,
        help="Audio stream of files with several, from 0.",
        show_default="the best one",
    ),
]
LimitOption = Annotated[
    str | None,
    file_option("--max-duration", metavar="TIME", help="Refuse longer songs: 600, 90m, 1:30:00."),
]
ModelOption = Annotated[
    str,
    _separation_option(
        "--model",
        "-m",
        metavar="NAME",
        help="Name of a model (see unmix models) or path of its weights.",
    ),
]
ModelByStemsOption = Annotated[
    str | None,
    _separation_option(
        "--model",
        "-m",
        metavar="NAME",
        help="Name of a model (see unmix models) or path of its weights.",
        show_default="the best with these stems",
    ),
]
QualityOption = Annotated[
    QualityName, _separation_option("--quality", "-q", help="Preset; better quality is slower.")
]
DeviceOption = Annotated[
    str, _separation_option("--device", "-d", metavar="NAME", help=DEVICE_HELP)
]
ChunkOption = Annotated[
    float | None,
    _fine_option(
        metavar="SECONDS",
        min=0.1,
        help="Length of audio that the model sees at once.",
        show_default="the model's own",
    ),
]
OverlapOption = Annotated[
    float | None,
    _fine_option(
        metavar="SHARE",
        min=0,
        max=0.95,
        help="Overlap of neighbouring chunks, 0 to 0.95.",
        show_default="by quality",
    ),
]
ShiftsOption = Annotated[
    int | None,
    _fine_option(
        metavar="COUNT",
        min=1,
        max=20,
        help="Shifted passes to average, 1 to 20.",
        show_default="by quality",
    ),
]
BatchSizeOption = Annotated[
    int | None,
    _fine_option(
        metavar="COUNT", min=1, help="Chunks to compute at once.", show_default="by device"
    ),
]
PrecisionOption = Annotated[
    PrecisionName | None, _fine_option(help="Arithmetic precision.", show_default="by quality")
]
WienerOption = Annotated[
    int | None,
    _fine_option(
        metavar="COUNT",
        min=0,
        max=10,
        help="Iterations of a Wiener filter after the model; 0: none.",
        show_default="the model's own",
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of lines.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")]


def existing_of(overwrite: bool, skip_existing: bool) -> Existing:
    """Return what to do about existing files.

    Raises:
        typer.BadParameter: both flags are given.
    """
    if overwrite and skip_existing:
        raise typer.BadParameter("--overwrite and --skip-existing cannot be used together")
    return "overwrite" if overwrite else "skip" if skip_existing else "error"


def seconds_of(limit: str | None) -> float | None:
    """Return a length of time in seconds.

    Raises:
        ConfigError: it is none.
    """
    from ..audio.limits import parse_duration

    return None if limit is None else parse_duration(limit)


@contextmanager
def wrong_usage() -> Iterator[None]:
    """Report options that do not fit together as wrong usage, before any song is read.

    Raises:
        typer.BadParameter: in place of an ``UnmixError``.
    """
    try:
        yield
    except UnmixError as error:
        raise typer.BadParameter(str(error)) from None


def bits_of(bit_depth: BitDepth | None) -> int | None:
    """Return a bit depth as a number."""
    return None if bit_depth is None else int(bit_depth)


def load_separator(
    model: str,
    quality: QualityName,
    device: str,
    chunk: float | None = None,
    overlap: float | None = None,
    shifts: int | None = None,
    batch_size: int | None = None,
    precision: PrecisionName | None = None,
    wiener: int | None = None,
) -> Separator:
    """Import torch and load a model; takes a second or two."""
    from ..songs.separator import Separator

    return Separator(
        model,
        device=device,
        quality=quality.value,
        chunk=chunk,
        overlap=overlap,
        shifts=shifts,
        batch_size=batch_size,
        precision=None if precision is None else precision.value,
        wiener=wiener,
    )
