"""museval, the reference implementation of BSS-Eval v4, as it is: numbers that others can check."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from ..errors import UnmixError

Samples = NDArray[np.float32]


def bss_sdr(
    *, estimates: Sequence[Samples], references: Sequence[Samples], sample_rate: int
) -> NDArray[np.float64]:
    """Return museval's SDR ``[S, frames]`` in dB, over frames of one second.

    The settings are those of ``museval.evaluate`` in mode v4: distortion filters of 512 taps for
    the whole track, no permutation, NaN where a reference or an estimate is silent. Its ISR, SIR
    and SAR are left out: where stems hold nothing above the band of their codec, as those of lossy
    data sets do, the equations behind these three have no unique solution, and what museval returns
    for them is noise.

    Args:
        estimates: ``[C, N]`` each.
        references: ``[C, N]`` each, in the order of the estimates.
        sample_rate: Hz; a frame is as many samples.
    """
    sdr, *_ = _metrics().bss_eval(
        np.stack([reference.T for reference in references]).astype(np.float64),
        np.stack([estimate.T for estimate in estimates]).astype(np.float64),
        compute_permutation=False,
        window=sample_rate,
        hop=sample_rate,
        framewise_filters=False,
        bsseval_sources_version=False,
    )
    return np.asarray(sdr)


@cache
def _metrics() -> ModuleType:
    """Return the module ``museval.metrics`` without the package around it.

    The package imports stempeg, which refuses to load on a machine without FFmpeg's programs; the
    metrics are arithmetic and need none.
    """
    package = importlib.util.find_spec("museval")
    if package is None or package.origin is None:
        raise UnmixError("scores need museval: pip install 'unmix[evaluate]'")
    path = Path(package.origin).with_name("metrics.py")
    spec = importlib.util.spec_from_file_location("unmix_museval_metrics", path)
    if spec is None or spec.loader is None:
        raise UnmixError(f"{path}: not found; reinstall museval")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
