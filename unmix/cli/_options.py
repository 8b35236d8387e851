"""Options that several verbs have, with the help that goes with them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..audio import OutputFormat
    from ..songs.separator import Separator
    from ..storage import Existing


class Format(StrEnum):
    """File formats that can be written."""

    WAV = "wav"
    FLAC = "flac"
    AIFF = "aiff"
    MP3 = "mp3"
    OGG = "ogg"
    OPUS = "opus"
    M4A = "m4a"


FORMAT_HELP = f"{', '.join(list(Format)[:-1])} or {Format.M4A}."


class BitDepth(StrEnum):
    """Bits of a sample in lossless formats; 32 is floating point."""

    INT16 = "16"
    INT24 = "24"
    FLOAT32 = "32"


class Quality(StrEnum):
    """How carefully to separate."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class Precision(StrEnum):
    """Numbers to compute with."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


FILES = "Files"
_SEPARATION = "Separation"
_FINE = "Fine options"

SongsArgument = Annotated[
    list[str],
    typer.Argument(metavar="SONG...", help="Files with sound in them, folders, or patterns."),
]
RecursiveOption = Annotated[
    bool, typer.Option("--recursive", "-r", help="Search folders to the bottom.")
]
BitDepthOption = Annotated[
    BitDepth | None,
    typer.Option(help="Of wav (16, 24, 32 float), flac and aiff (16, 24).", rich_help_panel=FILES),
]
BitrateOption = Annotated[
    str | None,
    typer.Option(
        metavar="RATE", help="Of mp3, ogg, opus and m4a, such as 192k.", rich_help_panel=FILES
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that exist.", rich_help_panel=FILES)
]
SkipOption = Annotated[
    bool, typer.Option("--skip-existing", help="Keep files that exist.", rich_help_panel=FILES)
]
StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Fail on songs that do not decode whole.", rich_help_panel=FILES),
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        help="Name, or a file of weights; see unmix models.",
        rich_help_panel=_SEPARATION,
    ),
]
QualityOption = Annotated[
    Quality,
    typer.Option(
        "--quality", "-q", help="How carefully; slower is better.", rich_help_panel=_SEPARATION
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        "-d",
        metavar="NAME",
        help="auto, cpu, cuda, cuda:1, mps ...",
        rich_help_panel=_SEPARATION,
    ),
]
ChunkOption = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0.1,
        help="What the model sees at once.",
        show_default="the model's",
        rich_help_panel=_FINE,
    ),
]
OverlapOption = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        min=0,
        max=0.95,
        help="Of neighbouring chunks, 0 to 0.95.",
        show_default="by quality",
        rich_help_panel=_FINE,
    ),
]
ShiftsOption = Annotated[
    int | None,
    typer.Option(
        metavar="COUNT",
        min=1,
        max=20,
        help="Passes to average, 1 to 20.",
        show_default="by quality",
        rich_help_panel=_FINE,
    ),
]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        metavar="COUNT",
        min=1,
        help="Chunks computed at once.",
        show_default="by device",
        rich_help_panel=_FINE,
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(help="Numbers.", show_default="by quality", rich_help_panel=_FINE),
]
WienerOption = Annotated[
    int | None,
    typer.Option(
        metavar="COUNT",
        min=0,
        max=10,
        help="Iterations of a Wiener filter over all stems and channels; 0: none.",
        show_default="the model's",
        rich_help_panel=_FINE,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of lines.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show where errors come from.")]


def existing_of(overwrite: bool, skip_existing: bool) -> Existing:
    """Return what becomes of files that exist.

    Raises:
        typer.BadParameter: both flags are given.
    """
    if overwrite and skip_existing:
        raise typer.BadParameter("--overwrite and --skip-existing exclude each other")
    return "overwrite" if overwrite else "skip" if skip_existing else "error"


def check_format(name: str, bit_depth: BitDepth | None, bitrate: str | None) -> OutputFormat:
    """Return the format that options make together.

    Raises:
        typer.BadParameter: they do not fit; the sentence lists what does.
    """
    from ..audio import OutputFormat
    from ..errors import ConfigError

    try:
        return OutputFormat.parse(name, bits_of(bit_depth), bitrate)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def bits_of(bit_depth: BitDepth | None) -> int | None:
    """Return a bit depth as a number."""
    return None if bit_depth is None else int(bit_depth)


def load_separator(
    model: str,
    quality: Quality,
    device: str,
    chunk: float | None = None,
    overlap: float | None = None,
    shifts: int | None = None,
    batch_size: int | None = None,
    precision: Precision | None = None,
    wiener: int | None = None,
) -> Separator:
    """Load a model, with torch; takes a second or two."""
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
