"""Laws of the stream: an identity model returns the mixture, however it is cut."""

import tracemalloc
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from unmix.errors import UnmixError
from unmix.models import Model, ModelConfig
from unmix.separation.stream import Separation, SeparationSettings

Samples = NDArray[np.float32]


class Identity(Model):
    """Returns the mixture and twice the mixture, and consumes ``context``."""

    def __init__(self, context: int = 0, most: int = 1000) -> None:
        super().__init__(ModelConfig(stems=("once", "twice")))
        self._context, self._most = context, most
        self.batches: list[int] = []

    @property
    def chunk(self) -> int:
        return 100

    @property
    def context(self) -> int:
        return self._context

    def forward(self, mixture: Tensor) -> Tensor:
        self.batches.append(len(mixture))
        if len(mixture) > self._most:
            raise torch.OutOfMemoryError("not enough memory")
        inner = mixture[..., self._context : mixture.shape[-1] - self._context]
        return torch.stack([inner, 2 * inner], 1)


def _noise(length: int) -> Samples:
    return np.random.default_rng(length).standard_normal((2, length), np.float32)


def _pieces(
    model: Model, blocks: Iterable[Samples], options: SeparationSettings
) -> Iterator[Samples]:
    separation = Separation(model, options)
    for block in blocks:
        yield from separation.push(block)
    yield from separation.finish()


def _separate(model: Model, blocks: Iterable[Samples], options: SeparationSettings) -> Samples:
    pieces = list(_pieces(model, blocks, options))
    return np.concatenate([np.zeros((2, 2, 0), np.float32), *pieces], -1)


@given(
    length=st.integers(0, 1500),
    chunk=st.integers(1, 300),
    overlap=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 0.9]),
    shifts=st.integers(1, 3),
    batch_size=st.integers(1, 5),
    context=st.sampled_from([0, 1, 37]),
    cuts=st.lists(st.integers(0, 1500), max_size=6),
)
@settings(max_examples=150, deadline=None)
def test_identity_returns_the_mixture_however_it_is_cut(
    length: int,
    chunk: int,
    overlap: float,
    shifts: int,
    batch_size: int,
    context: int,
    cuts: list[int],
) -> None:
    mixture, model = _noise(length), Identity(context)
    options = SeparationSettings(chunk=chunk, overlap=overlap, shifts=shifts, batch_size=batch_size)
    whole = _separate(model, [mixture], options)
    assert whole.shape == (2, 2, length)
    np.testing.assert_allclose(whole[0], mixture, atol=1e-6)
    np.testing.assert_allclose(whole[1], 2 * mixture, atol=2e-6)
    pieces = np.split(mixture, sorted(cut for cut in cuts if cut <= length), 1)
    np.testing.assert_array_equal(_separate(model, pieces, options), whole)


class Listener(Identity):
    """Records the windows that it is given."""

    def forward(self, mixture: Tensor) -> Tensor:
        self.heard = [*getattr(self, "heard", []), *mixture.numpy()]
        return super().forward(mixture)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize(("length", "begin"), [(180, 80), (250, 150), (130, 30), (100, 0)])
def test_the_last_chunk_is_moved_to_end_with_the_recording(
    batch_size: int, length: int, begin: int
) -> None:
    options = SeparationSettings(chunk=100, overlap=0.25, batch_size=batch_size)
    mixture, model = _noise(length), Listener()
    _separate(model, np.split(mixture, [40, 99], 1), options)
    begins = [*range(0, length - 100, 75), begin]
    assert len(model.heard) == len(begins)
    for window, start in zip(model.heard, begins, strict=True):
        np.testing.assert_array_equal(window, mixture[:, start : start + 100])


@pytest.mark.parametrize("batch_size", [1, 4])
def test_models_with_context_see_zeros_around_the_recording(batch_size: int) -> None:
    options = SeparationSettings(chunk=100, overlap=0.25, batch_size=batch_size)
    mixture, model = _noise(180), Listener(10)
    _separate(model, [mixture], options)
    whole = np.pad(mixture, ((0, 0), (10, 100)))
    for index, window in enumerate(model.heard):
        np.testing.assert_array_equal(window, whole[:, 75 * index : 75 * index + 120])
    assert len(model.heard) == 3


def test_short_recordings_are_padded_by_reflection_then_zeros() -> None:
    mixture, model = _noise(30), Listener()
    _separate(model, [mixture], SeparationSettings(chunk=100, overlap=0.25))
    zeros = np.zeros((2, 40))
    wanted = np.concatenate([mixture, mixture[:, ::-1], zeros], 1)
    np.testing.assert_array_equal(np.stack(model.heard), wanted[None])


def test_memory_does_not_grow_with_the_recording() -> None:
    """At most a batch of chunks is held back."""
    model, options = Identity(), SeparationSettings(chunk=100, overlap=0.25, batch_size=4)
    taken = given_back = 0

    def blocks() -> list[Samples]:
        nonlocal taken
        for _ in range(200):
            taken += 60
            assert taken - given_back <= 4 * 75 + 25 + 2 * 60
            yield _noise(60)

    for piece in _pieces(model, blocks(), options):
        given_back += piece.shape[-1]
    assert given_back == taken == 12000


def test_the_state_between_blocks_does_not_grow() -> None:
    """Of a recording of 2.4 MB, only a few chunks are kept."""
    separation = Separation(Identity(), SeparationSettings(chunk=100, shifts=2, batch_size=4))
    block, held = _noise(600), []
    tracemalloc.start()
    try:
        for _ in range(500):
            separation.push(block)
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(held[100:]) < max(held[:100]) + 50_000


def test_out_of_memory_halves_the_batch() -> None:
    model, mixture = Identity(most=2), _noise(5000)
    options = SeparationSettings(chunk=100, batch_size=8)
    np.testing.assert_allclose(_separate(model, [mixture], options)[0], mixture, atol=1e-6)
    assert model.batches[:3] == [8, 4, 2]
    assert max(model.batches[2:]) == 2


def test_out_of_memory_with_one_chunk_is_an_error() -> None:
    with pytest.raises(UnmixError, match=r"not enough memory.*shorter --chunk"):
        _separate(Identity(most=0), [_noise(500)], SeparationSettings(chunk=100))


def test_overflow_in_16_bits_is_computed_again_in_32() -> None:
    class Overflowing(Identity):
        def forward(self, mixture: Tensor) -> Tensor:
            estimates = super().forward(mixture)
            return estimates / 0 if torch.is_autocast_enabled("cpu") else estimates

    mixture = _noise(500)
    options = SeparationSettings(chunk=100, precision="bf16")
    np.testing.assert_allclose(_separate(Overflowing(), [mixture], options)[0], mixture, atol=1e-6)


@pytest.mark.parametrize("step", [1, 7, 64])
def test_chunks_start_on_the_models_grid(step: int) -> None:
    options = SeparationSettings(chunk=100, overlap=0.3, step=step)
    assert options.hop % step == 0
    assert 0 < options.hop <= 100
    mixture = _noise(777)
    np.testing.assert_allclose(_separate(Identity(), [mixture], options)[0], mixture, atol=1e-6)
    with pytest.raises(ValueError, match="at least 128 samples"):
        SeparationSettings(chunk=100, step=128)


def test_refuses_other_channels_and_settings() -> None:
    with pytest.raises(ValueError, match=r"expected samples \[2, n\]"):
        _separate(Identity(), [np.zeros((3, 50), np.float32)], SeparationSettings(chunk=10))
    for wrong in ({"chunk": 0}, {"chunk": 9, "overlap": 1.0}, {"chunk": 9, "shifts": 0}):
        with pytest.raises(ValueError, match="must be"):
            SeparationSettings(**wrong)
