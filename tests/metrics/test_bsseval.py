"""BSS Eval against museval, and against what must hold whatever the implementation."""

import itertools
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from unmix.evaluation.museval_backend import museval_scores
from unmix.metrics import SINGULAR, BSSOptions, BSSScores, bss_eval, bss_eval_blocks

MODES = ["images", "sources"]
FIGURES = ("sdr", "isr", "sir", "sar")
#: Above, a figure is the ratio of a signal to rounding errors: only that it is so high is compared.
PERFECT = 150


def _signals(
    channels: int = 2, length: int = 25000, seed: int = 0, stems: int = 2
) -> tuple[Tensor, Tensor]:
    """Return estimates and references ``[S, C, N]``: filtered, leaking and noisy."""
    random = np.random.default_rng(seed)
    references = random.standard_normal((stems, channels, length))
    references += 0.8 * np.roll(references, 1, -1)
    estimates = references + 0.3 * references[::-1] + 0.1 * random.standard_normal(references.shape)
    estimates[:, 0] += 0.3 * np.roll(references[:, 0], 5, -1)
    return torch.from_numpy(estimates), torch.from_numpy(references)


def _agrees(estimates: Tensor, references: Tensor, options: BSSOptions) -> BSSScores:
    """Assert that both give the same figures and NaN; return ours."""
    ours = bss_eval(estimates=estimates, references=references, options=options)
    theirs = museval_scores(
        estimates=list(estimates.numpy()), references=list(references.numpy()), options=options
    )
    for name in FIGURES:
        found, expected = getattr(ours, name).numpy(), getattr(theirs, name)
        assert found.shape == expected.shape
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        found, expected = (np.clip(figure, -PERFECT, PERFECT) for figure in (found, expected))
        np.testing.assert_allclose(found, expected, rtol=0, atol=0.01, err_msg=name)
    np.testing.assert_array_equal(ours.permutation, theirs.permutation)
    return ours


def _every_mode_and_window() -> Iterator[object]:
    """Yield channels, windows, hops and modes; those that differ in two ways are slow."""
    windows = [(8000, 3000), (8000, None), (8000, 9000), (None, None), (30000, None)]
    for (channels, mode), (window, hop) in itertools.product(
        [(2, "images"), (1, "images"), (2, "sources"), (1, "sources")], windows
    ):
        usual = ((channels, mode) == (2, "images")) + ((window, hop) == windows[0])
        yield pytest.param(channels, window, hop, mode, marks=[] if usual else pytest.mark.slow)


@pytest.mark.parametrize(("channels", "window", "hop", "mode"), [*_every_mode_and_window()])
def test_agrees_with_museval(channels: int, window: int | None, hop: int | None, mode: str) -> None:
    options = BSSOptions(mode=mode, window=window, hop=hop, filter_length=64)
    ours = _agrees(*_signals(channels), options)
    assert ours.condition < SINGULAR


@pytest.mark.parametrize("mode", MODES)
def test_agrees_with_museval_in_full(mode: str) -> None:
    """With all 512 taps; the short last window is left out."""
    options = BSSOptions(mode=mode, window=8000)
    estimates, references = _signals()
    ours = bss_eval(estimates=estimates, references=references, options=options)
    theirs = museval_scores(
        estimates=list(estimates.numpy()), references=list(references.numpy()), options=options
    )
    assert ours.sdr.shape == (2, 3)
    for name in FIGURES:
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-9)


@pytest.mark.parametrize("permute", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_every_frame_with_filters_of_its_own(mode: str, permute: bool) -> None:
    options = BSSOptions(
        mode=mode, window=6000, hop=4000, framewise=True, permute=permute, filter_length=64
    )
    ours = _agrees(*_signals(), options)
    assert ours.condition.shape == (5,)


@pytest.mark.parametrize("framewise", [False, True])
def test_finds_the_order_of_the_estimates(framewise: bool) -> None:
    estimates, references = _signals(1, stems=3)
    order = [2, 0, 1]
    options = BSSOptions(window=8000, framewise=framewise, permute=True, filter_length=64)
    ours = _agrees(estimates[order], references, options)
    assert ours.permutation[:, 0].tolist() == [1, 2, 0]
    straight = bss_eval(estimates=estimates, references=references, options=options)
    torch.testing.assert_close(ours.sdr, straight.sdr)


def _silent_start(references: Tensor) -> None:
    references[0, :, :8000] = 0


def _opposite_channels(references: Tensor) -> None:
    references[0, 1, :8000] = -references[0, 0, :8000]


def _one_channel_silent(references: Tensor) -> None:
    references[0, 1] = 0


def _one_channel_twice(references: Tensor) -> None:
    references[0, 1] = references[0, 0]


def _panned(references: Tensor) -> None:
    references[0, 1] = 0.3 * references[0, 0]


def _one_stem_twice(references: Tensor) -> None:
    references[1] = references[0]


def _nothing(references: Tensor) -> None:
    pass


@pytest.mark.parametrize("framewise", [False, True])
@pytest.mark.parametrize(
    "change",
    [_silent_start, _opposite_channels, _one_channel_silent, _one_channel_twice, _panned, _nothing],
)
def test_odd_references(change, framewise: bool) -> None:
    estimates, references = _signals()
    change(references)
    options = BSSOptions(window=8000, framewise=framewise, filter_length=64)
    ours = _agrees(estimates, references, options)
    undefined = change in (_silent_start, _opposite_channels)
    assert ours.sdr[:, 0].isnan().all() == undefined
    assert ours.sdr[:, 1:].isfinite().all()


def test_a_stem_that_is_there_twice_leaks_nothing() -> None:
    estimates, references = _signals()
    _one_stem_twice(references)
    ours = _agrees(estimates, references, BSSOptions(window=8000, filter_length=64))
    assert ours.condition > SINGULAR


def _perfect(references: Tensor) -> Tensor:
    return references.clone()


def _delayed(references: Tensor) -> Tensor:
    return references.roll(7, -1)


def _filtered(references: Tensor) -> Tensor:
    return references + 0.5 * references.roll(3, -1) - 0.2 * references.roll(20, -1).flip(1)


def _swapped(references: Tensor) -> Tensor:
    return references.flip(0)


def _mixed(references: Tensor) -> Tensor:
    return references.sum(0, keepdim=True).expand_as(references)


def _half_silent(references: Tensor) -> Tensor:
    estimates = 0.5 * references
    estimates[1, :, 8000:16000] = 0
    return estimates


def _mono(references: Tensor) -> Tensor:
    estimates = references.clone()
    estimates[:, 1] = 0
    return estimates


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "estimate", [_perfect, _delayed, _filtered, _swapped, _mixed, _half_silent, _mono]
)
def test_odd_estimates(estimate, mode: str) -> None:
    _, references = _signals()
    options = BSSOptions(mode=mode, window=8000, filter_length=64)
    ours = _agrees(estimate(references), references, options)
    if estimate is _perfect and mode == "images":
        assert ours.sdr.isposinf().all()
    if estimate is _half_silent:
        assert ours.sdr[:, 1].isnan().all()


def test_a_silent_stem_leaves_nothing_defined() -> None:
    """museval refuses such tracks."""
    estimates, references = _signals(length=9000)
    references[1] = 0
    options = BSSOptions(window=3000, filter_length=64)
    assert _agrees(estimates, references, options).sdr.isnan().all()
    whole = BSSOptions(filter_length=64)
    ours = bss_eval(estimates=estimates, references=references, options=whole)
    assert ours.sir.isnan().all()


def test_a_filtered_reference_is_perfect_for_sources_alone() -> None:
    _, references = _signals(1, 8000)
    filtered = references + 0.5 * references.roll(3, -1)
    filtered[..., :3] = references[..., :3]
    sources = BSSOptions(mode="sources")
    forgiving = bss_eval(estimates=filtered, references=references, options=sources)
    strict = bss_eval(estimates=filtered, references=references)
    assert (forgiving.sdr > 30).all()
    np.testing.assert_allclose(strict.sdr, 20 * np.log10(2), atol=0.1)
    assert (strict.sir > 30).all()


def test_leakage_is_interference_and_noise_is_artefact() -> None:
    _, references = _signals(1, 20000)
    noise = torch.from_numpy(np.random.default_rng(5).standard_normal(references.shape))
    leaking = bss_eval(estimates=references + 0.1 * references.flip(0), references=references)
    noisy = bss_eval(estimates=references + 0.1 * noise, references=references)
    assert (leaking.sir - leaking.sdr).abs().max() < 1
    assert (leaking.sar > leaking.sir + 20).all()
    assert (noisy.sar - noisy.sdr).abs().max() < 1
    assert (noisy.sir > noisy.sar + 10).all()


@pytest.mark.parametrize("mode", MODES)
def test_level_and_order_change_nothing(mode: str) -> None:
    estimates, references = _signals(length=12000)
    options = BSSOptions(mode=mode, window=4000, filter_length=128)
    one = bss_eval(estimates=estimates, references=references, options=options)
    loud = bss_eval(estimates=7 * estimates, references=7 * references, options=options)
    swapped = bss_eval(estimates=estimates.flip(0), references=references.flip(0), options=options)
    assert one.sdr.shape == (2, 3)
    for name in ("sdr", "sir", "sar"):
        figure = getattr(one, name)
        torch.testing.assert_close(getattr(loud, name), figure)
        torch.testing.assert_close(getattr(swapped, name).flip(0), figure)


@pytest.mark.parametrize(
    "options",
    [
        BSSOptions(window=4000, hop=3000, filter_length=64),
        BSSOptions(window=4000, hop=5000, filter_length=64),
        BSSOptions(window=4000, framewise=True, filter_length=64),
        BSSOptions(filter_length=64, permute=True),
    ],
)
def test_blocks_of_any_length_give_what_the_whole_gives(options: BSSOptions) -> None:
    estimates, references = _signals(length=300000)
    lengths = [1, 70000, 10, 3999, 130000, 4000, 299999]

    def blocks() -> Iterator[tuple[Tensor, Tensor]]:
        start = 0
        for length in lengths:
            cut = slice(start, start + length)
            if estimates[..., cut].shape[-1]:
                yield estimates[..., cut], references[..., cut]
            start += length

    ours = bss_eval_blocks(blocks, options)
    whole = bss_eval(estimates=estimates, references=references, options=options)
    for name in FIGURES:
        torch.testing.assert_close(getattr(ours, name), getattr(whole, name), equal_nan=True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak as Linux counts it")
def test_memory_does_not_grow_with_the_length() -> None:
    """Of two stems: ten minutes in blocks of a second take what two minutes take."""
    script = """
import resource, sys, torch
from unmix.metrics import BSSOptions, bss_eval_blocks, track_scores
torch.set_num_threads(1)
second = torch.randn(2, 2, 2, 16000)
blocks = lambda: ((second[0], second[1]) for _ in range(int(sys.argv[1])))
bss_eval_blocks(blocks, BSSOptions(window=16000, filter_length=64))
track_scores(blocks)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
    peaks = [
        float(subprocess.check_output([sys.executable, "-c", script, str(seconds)]))
        for seconds in (120, 600)
    ]
    assert peaks[1] < peaks[0] + 50  # MiB


def test_refuses_shapes_that_differ() -> None:
    with pytest.raises(ValueError, match="one shape"):
        bss_eval(estimates=torch.zeros(1, 1, 5), references=torch.zeros(2, 1, 5))


def test_refuses_nothing() -> None:
    with pytest.raises(ValueError, match="got none"):
        bss_eval(estimates=torch.zeros(1, 1, 0), references=torch.zeros(1, 1, 0))


@pytest.mark.cuda
def test_a_gpu_gives_the_same() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU")
    estimates, references = _signals()
    options = BSSOptions(window=8000)
    here = bss_eval(estimates=estimates, references=references, options=options)
    there = bss_eval(estimates=estimates.cuda(), references=references.cuda(), options=options)
    for name in FIGURES:
        torch.testing.assert_close(
            getattr(there, name).cpu(), getattr(here, name), atol=1e-6, rtol=0
        )
