"""The metrics, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import UnmixError


@dataclass(frozen=True)
class Metric:
    """A figure of one stem of one track, in dB."""

    label: str
    about: str
    aggregation: str
    """How papers aggregate it over tracks: a name in ``AGGREGATIONS``."""
    group: str
    """Name of the metrics that are computed and requested together."""
    framewise: str | None = None
    """Name in museval's files, if it is a median over frames."""
    less_is_better: bool = False


#: museval's names of BSS Eval's figures.
BSS_FIGURES = ("SDR", "ISR", "SIR", "SAR")
#: Decimals of scores: between two machines, museval agrees with itself to fewer.
DIGITS = 6
#: dB above which a ratio is one to rounding errors: the estimate is perfect.
PERFECT = 100.0

_V4 = "BSS Eval v4 (museval), median over frames"
_SOURCES = "bss_eval_sources of the whole track"
METRICS = {
    "bss_sdr": Metric("SDR", f"signal to distortion: {_V4}", "median", "bss", "SDR"),
    "bss_isr": Metric("ISR", f"image to spatial distortion: {_V4}", "median", "bss", "ISR"),
    "bss_sir": Metric("SIR", f"signal to interference: {_V4}", "median", "bss", "SIR"),
    "bss_sar": Metric("SAR", f"signal to artefacts: {_V4}", "median", "bss", "SAR"),
    "sdr": Metric("track SDR", "signal to error, of the whole track (MDX)", "mean", "sdr"),
    "si_sdr": Metric(
        "SI-SDR", "signal to error, with the reference scaled to fit best", "mean", "si_sdr"
    ),
    "log_l1": Metric(
        "log L1",
        "mean distance of log magnitudes; less is better",
        "mean",
        "log_l1",
        less_is_better=True,
    ),
    "nsdr": Metric("NSDR", f"gain in SDR over the mixture: {_SOURCES}", "weighted", "singing"),
    "sir": Metric("SIR sources", f"signal to interference: {_SOURCES}", "weighted", "singing"),
    "sar": Metric("SAR sources", f"signal to artefacts: {_SOURCES}", "weighted", "singing"),
}
GROUPS = tuple(dict.fromkeys(metric.group for metric in METRICS.values()))


def check_groups(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of groups in the order of ``GROUPS``.

    Raises:
        UnmixError: a name is unknown, or there are none.
    """
    unknown = [name for name in names if name not in GROUPS]
    if unknown or not names:
        wrong = f"unknown metric {', '.join(unknown)!r}" if unknown else "no metrics"
        raise UnmixError(f"{wrong}; choose from {', '.join(GROUPS)}")
    return tuple(name for name in GROUPS if name in names)
