"""Magnitudes and their gradients equal torch's."""

import torch

from unmix.frontends.magnitude import magnitude


def test_values_and_gradients_are_those_of_abs() -> None:
    values = torch.randn(3, 5, 7, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    values[0, 0] *= 1e-9
    values[1] *= 1e9
    weights = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(2))
    grads = []
    for function in (torch.abs, magnitude):
        given = values.clone().requires_grad_()
        found = function(given.mT.conj())
        torch.testing.assert_close(found, values.mT.abs())
        (found * weights).sum().backward()
        grads.append(given.grad)
    torch.testing.assert_close(grads[1], grads[0])


def test_double_precision_passes_the_numerical_check() -> None:
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(4, 6, dtype=torch.complex128, generator=generator).requires_grad_()
    assert torch.autograd.gradcheck(magnitude, (values,))


def test_silence_has_a_gradient_of_zero_and_real_values_have_their_sign() -> None:
    silence = torch.zeros(2, 3, dtype=torch.complex64, requires_grad=True)
    magnitude(silence).sum().backward()
    assert torch.equal(silence.grad, torch.zeros_like(silence))
    real = torch.tensor([-2.0, 0.5], requires_grad=True)
    magnitude(real).sum().backward()
    assert real.grad.tolist() == [-1, 1]
