"""Laws of the four maps: what each does to a bin, alone."""

import torch
from torch import Tensor

from unmix.models._decoupled import MAPS, decoupled_frames, floored_magnitude

_OPEN = 50.0


def _frames() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 2, 5, 7, dtype=torch.complex64, generator=generator)


def _maps(mask: float, real: float, imaginary: float, added: float) -> Tensor:
    maps = torch.tensor([mask, real, imaginary, added]).view(1, 1, 1, MAPS, 1, 1)
    return maps.expand(2, 3, 2, MAPS, 5, 7)


def test_an_open_mask_and_no_turn_are_the_mixture() -> None:
    estimates = decoupled_frames(_frames(), _maps(_OPEN, 1, 0, 0), bounded=True)
    assert estimates.shape == (2, 3, 2, 5, 7)
    torch.testing.assert_close(estimates, _frames().unsqueeze(1).expand(2, 3, 2, 5, 7))


def test_the_mask_scales() -> None:
    estimates = decoupled_frames(_frames(), _maps(0, 1, 0, 0), bounded=False)
    torch.testing.assert_close(estimates[:, 0], _frames() / 2)


def test_the_pair_turns_whatever_its_length() -> None:
    for length in (0.01, 0.1, 100.0):
        estimates = decoupled_frames(_frames(), _maps(_OPEN, 0, length, 0), bounded=False)
        torch.testing.assert_close(estimates[:, 0], _frames() * 1j)
    eighth = decoupled_frames(_frames(), _maps(_OPEN, -0.3, -0.3, 0), bounded=False)
    torch.testing.assert_close(eighth[:, 0], _frames() * complex(-0.5, -0.5) * 2**0.5)


def test_no_turn_at_all_is_silence() -> None:
    """As published: what is not the network's has maps of zero, and is left out."""
    assert not decoupled_frames(_frames(), _maps(_OPEN, 0, 0, 1), bounded=False).any()


def test_what_is_added_is_added_to_the_magnitude() -> None:
    estimates = decoupled_frames(_frames(), _maps(-_OPEN, 1, 0, 3), bounded=False)
    torch.testing.assert_close(estimates.abs(), torch.full((2, 3, 2, 5, 7), 3.0))
    torch.testing.assert_close(estimates[:, 0].angle(), _frames().angle())
    bounded = decoupled_frames(_frames(), _maps(-_OPEN, 1, 0, 3), bounded=True)
    torch.testing.assert_close(bounded.abs(), torch.full((2, 3, 2, 5, 7), 3.0).tanh())


def test_a_magnitude_is_never_negative() -> None:
    assert not decoupled_frames(_frames(), _maps(_OPEN, 1, 0, -100), bounded=False).any()


def test_silence_has_no_phase() -> None:
    silence = torch.zeros_like(_frames())
    assert (floored_magnitude(silence) == floored_magnitude(silence).new_tensor(1e-5)).all()
    assert not decoupled_frames(silence, _maps(_OPEN, 1, 1, 1), bounded=False).any()


def test_gradients_are_finite_at_zero() -> None:
    maps = torch.zeros(2, 3, 2, MAPS, 5, 7, requires_grad=True)
    estimates = decoupled_frames(_frames(), maps, bounded=False)
    (estimates.real.sum() + estimates.imag.sum()).backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


def test_keeps_the_precision_of_the_frames() -> None:
    maps = _maps(0, 1, 0, 0).bfloat16()
    assert decoupled_frames(_frames(), maps, bounded=False).dtype == torch.complex64
