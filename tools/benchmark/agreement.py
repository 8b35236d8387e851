"""How far our BSS Eval is from museval's, and synthetic cases that are easy to get wrong: silence,
perfect and filtered estimates, permuted stems, odd windows.

The signals are a few seconds of noise at 8 kHz; estimates add leakage and more noise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table

from unmix.evaluation import museval_backend
from unmix.metrics import SINGULAR, BSSOptions, BSSScores, bss_eval

FIGURES = ("sdr", "isr", "sir", "sar")
#: dB. Higher figures are ratios of a signal to rounding errors.
PERFECT = 150.0
#: ``[S, C, N]``.
Signals = NDArray[Any]
_RATE = 8000
_SECOND = slice(_RATE, 2 * _RATE)


@dataclass(frozen=True)
class Agreement:
    """Our figures against museval's, for the same signals."""

    apart: dict[str, float]
    """Largest difference in dB by figure; NaN if no frame is defined. Figures beyond 150 dB,
    infinite ones included, count as equal."""
    same: bool
    """Whether the same frames are NaN and the estimates are in the same order."""
    undefined: int
    """Frames that are NaN in museval's SDR."""
    frames: int
    perfect: tuple[str, ...]
    """Figures that museval puts beyond 150 dB in some frame."""


class Case(NamedTuple):
    """Signals ``[S, C, N]`` and how to score them."""

    name: str
    estimates: Signals
    references: Signals
    options: BSSOptions


def compared(ours: BSSScores, theirs: museval_backend.MusevalScores) -> Agreement:
    """Compare two scores of the same signals."""
    apart, perfect = {}, []
    same = np.array_equal(ours.permutation.cpu().numpy(), theirs.permutation)
    for figure in FIGURES:
        found, expected = getattr(ours, figure).cpu().numpy(), getattr(theirs, figure)
        same &= np.array_equal(np.isnan(found), np.isnan(expected))
        if (np.abs(expected) > PERFECT).any():
            perfect.append(figure.upper())
        found, expected = (np.clip(one, -PERFECT, PERFECT) for one in (found, expected))
        difference = np.abs(found - expected)
        defined = difference[~np.isnan(difference)]
        apart[figure] = float(defined.max()) if defined.size else np.nan
    return Agreement(
        apart=apart,
        same=bool(same),
        undefined=int(np.isnan(theirs.sdr).all(0).sum()),
        frames=theirs.sdr.shape[1],
        perfect=tuple(perfect),
    )


def score(
    estimates: Signals, references: Signals, options: BSSOptions, device: str = "cpu"
) -> BSSScores:
    """Return our figures for signals ``[S, C, N]``."""
    return bss_eval(
        estimates=torch.from_numpy(estimates).to(device),
        references=torch.from_numpy(references).to(device),
        options=options,
    )


def table_of_cases() -> Table:
    """Return a table of the largest differences, case by case and over all cases."""
    table = Table(title="BSS Eval on edge cases, 8 kHz: largest difference from museval's in dB")
    table.add_column("case")
    for heading in (*(figure.upper() for figure in FIGURES), "NaN", "same"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("remarks")
    worst = dict.fromkeys(FIGURES, 0.0)
    every = True
    for case in cases():
        ours = score(*case[1:])
        theirs, remarks = _museval(case)
        found = compared(ours, theirs)
        if float(ours.condition.max()) >= SINGULAR:
            remarks.append("singular")
        if found.perfect:
            remarks.append(f"{', '.join(found.perfect)} beyond {PERFECT:.0f}")
        table.add_row(
            case.name,
            *_row(found.apart),
            f"{found.undefined} of {found.frames}",
            "yes" if found.same else "NO",
            "; ".join(remarks),
        )
        worst = {figure: np.fmax(worst[figure], found.apart[figure]) for figure in FIGURES}
        every &= found.same
    table.add_section()
    table.add_row("all", *_row(worst), "", "yes" if every else "NO", "")
    return table


def cases() -> Iterator[Case]:
    """Yield the cases."""
    usual = BSSOptions(window=_RATE)
    framewise = BSSOptions(window=_RATE, framewise=True)
    ordered = BSSOptions(window=_RATE, permute=True)
    sources = BSSOptions(window=_RATE, mode="sources")
    yield _case("usual: leaking and noisy", usual)
    yield _case("mono", usual, channels=1)
    yield _case("four stems", usual, stems=4, channels=1)
    yield _case("short last window", usual, seconds=3.4)
    yield _case("track shorter than a window", usual, seconds=0.7)
    yield _case("the whole track as one frame", BSSOptions())
    yield _case("hop half the window", BSSOptions(window=_RATE, hop=_RATE // 2))
    yield _case("hop longer than the window", BSSOptions(window=_RATE, hop=_RATE * 3 // 2))
    yield _case("framewise", framewise)
    yield _case("framewise, hop half the window", BSSOptions(window=8000, hop=4000, framewise=True))
    yield _case("sources", sources)
    yield _case("sources, framewise", BSSOptions(window=_RATE, framewise=True, mode="sources"))
    yield _case("reference silent throughout", usual, _silenced(references=np.s_[1]))
    yield _case("estimate silent throughout", usual, _silenced(estimates=np.s_[1]))
    yield _case("reference silent for a frame", usual, _silenced(references=np.s_[1, :, _SECOND]))
    yield _case("estimate silent for a frame", usual, _silenced(estimates=np.s_[1, :, _SECOND]))
    both = _silenced(np.s_[..., _SECOND], np.s_[..., _SECOND])
    yield _case("all silent for a frame", usual, both)
    yield _case("all silent for a frame, framewise", framewise, both)
    yield _case("reference's channels cancel", usual, _cancelling)
    yield _case("one channel of a reference silent", usual, _silenced(references=np.s_[0, 1]))
    yield _case("one channel of an estimate silent", usual, _silenced(estimates=np.s_[0, 1]))
    yield _case("one channel of all silent", usual, _silenced(np.s_[:, 1], np.s_[:, 1]))
    yield _case("one channel of all silent, framewise", framewise, _silenced(*[np.s_[:, 1]] * 2))
    yield _case("both channels of a reference the same", usual, _centred)
    yield _case("one reference twice", usual, _doubled)
    yield _case("one click twice: exactly singular", BSSOptions(), _clicks, channels=1)
    yield _case("references without upper band", usual, _muffled)
    yield _case("estimate = reference", usual, _of_references(lambda signals: signals))
    yield _case("estimate = reference, sources", sources, _of_references(lambda signals: signals))
    yield _case("estimate = half the reference", usual, _of_references(lambda s: 0.5 * s))
    yield _case("delayed by 7", usual, _of_references(lambda s: _delayed(s, 7)))
    yield _case("delayed by 600: beyond the filters", usual, _of_references(_late))
    yield _case("filtered", usual, _of_references(_filtered))
    yield _case("filtered, sources", sources, _of_references(_filtered))
    yield _case("mixture as every estimate", usual, _of_references(_mixed))
    yield _case("permuted stems", usual, _permuted, stems=3, channels=1)
    yield _case("permuted stems, order sought", ordered, _permuted, stems=3, channels=1)
    yield _case(
        "permuted in a frame, framewise, sought",
        BSSOptions(window=_RATE, framewise=True, permute=True),
        _permuted_in_a_frame,
    )


#: Changes estimates and references.
_Change = Callable[[Signals, Signals], tuple[Signals, Signals]]


def _case(
    name: str,
    options: BSSOptions,
    change: _Change = lambda estimates, references: (estimates, references),
    *,
    stems: int = 2,
    channels: int = 2,
    seconds: float = 3,
) -> Case:
    random = np.random.default_rng(0)
    references = random.standard_normal((stems, channels, round(seconds * _RATE)))
    references += 0.8 * np.roll(references, 1, -1)
    estimates = references + 0.3 * references[::-1] + 0.1 * random.standard_normal(references.shape)
    estimates[:, 0] += 0.3 * np.roll(references[:, 0], 5, -1)
    estimates, references = change(estimates, references)
    return Case(name, np.ascontiguousarray(estimates), np.ascontiguousarray(references), options)


def _silenced(estimates: Any = None, references: Any = None) -> _Change:
    def change(heard: Signals, true: Signals) -> tuple[Signals, Signals]:
        for signals, where in ((heard, estimates), (true, references)):
            if where is not None:
                signals[where] = 0
        return heard, true

    return change


def _of_references(make: Callable[[Signals], Signals]) -> _Change:
    return lambda _, references: (make(references.copy()), references)


def _delayed(signals: Signals, samples: int) -> Signals:
    return np.pad(signals, ((0, 0), (0, 0), (samples, 0)))[..., :-samples]


def _late(signals: Signals) -> Signals:
    return _delayed(signals, 600)


def _filtered(signals: Signals) -> Signals:
    return signals + 0.5 * _delayed(signals, 3) - 0.2 * _delayed(signals[:, ::-1], 20)


def _mixed(signals: Signals) -> Signals:
    return np.broadcast_to(signals.sum(0, keepdims=True), signals.shape)


def _cancelling(estimates: Signals, references: Signals) -> tuple[Signals, Signals]:
    references[0, 1, _SECOND] = -references[0, 0, _SECOND]
    return estimates, references


def _centred(estimates: Signals, references: Signals) -> tuple[Signals, Signals]:
    references[0, 1] = references[0, 0]
    return estimates, references


def _doubled(estimates: Signals, references: Signals) -> tuple[Signals, Signals]:
    references[1] = references[0]
    return estimates, references


def _clicks(estimates: Signals, references: Signals) -> tuple[Signals, Signals]:
    references[...] = 0
    references[..., 0] = 1e9
    return 1e7 * estimates, references


def _muffled(estimates: Signals, references: Signals) -> tuple[Signals, Signals]:
    spectra = np.fft.rfft(references)
    spectra[..., spectra.shape[-1] * 3 // 4 :] = 0
    return estimates, np.fft.irfft(spectra, references.shape[-1])


def _permuted(estimates: Signals, references: Signals) -> tuple[Signals, Signals]:
    return estimates[[2, 0, 1]], references


def _permuted_in_a_frame(estimates: Signals, references: Signals) -> tuple[Signals, Signals]:
    estimates[..., _SECOND] = estimates[::-1, ..., _SECOND]
    return estimates, references


def _museval(case: Case) -> tuple[museval_backend.MusevalScores, list[str]]:
    """Return museval's figures, and remarks on where it fails without our help."""
    module, remarks = museval_backend._metrics(), []
    signals = {"estimates": list(case.estimates), "references": list(case.references)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            true, heard = (s.swapaxes(1, 2) for s in (case.references, case.estimates))
            module.validate(true, heard)
        except ValueError:
            remarks.append("museval refuses the track")
        try:
            with patch.dict(vars(module), np=np):  # unpatched
                found = museval_backend.museval_scores(**signals, options=case.options)
        except AttributeError as error:
            remarks.append(f"museval fails: {error}")
            found = museval_backend.museval_scores(**signals, options=case.options)
    remarks += dict.fromkeys(f"museval warns: {warning.message}" for warning in caught)
    return found, remarks


def _row(apart: dict[str, float]) -> list[str]:
    return ["-" if np.isnan(value) else f"{value:.0e}" for value in apart.values()]
