"""Muon: orthogonal steps of a known length at any scale of the gradient."""

import pytest
import torch
from torch import Tensor, nn

from unmix.training.muon import Muon, _shared_out, orthogonalise, orthogonalise_all


def _random(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _stepped(weight: Tensor, gradient: Tensor, steps: int = 1, **settings: float) -> Tensor:
    parameter = nn.Parameter(weight.clone())
    optimizer = Muon([parameter], **settings)
    for _ in range(steps):
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 16, 144), (2, 144, 16), (1, 1, 5)])
def test_singular_values_come_near_one_and_vectors_stay(shape: tuple[int, ...]) -> None:
    left, values, right = torch.linalg.svd(_random(*shape), full_matrices=False)
    matrices = left * torch.logspace(0, -1.5, values.shape[-1]) @ right
    within = left.mT @ orthogonalise(3e-5 * matrices) @ right.mT
    found = torch.diagonal(within, dim1=-2, dim2=-1)
    assert float(found.min()) > 0.6
    assert float(found.max()) < 1.3
    assert float((within - torch.diag_embed(found)).abs().max()) < 0.1  # sixteen bits


def test_nothing_stays_nothing() -> None:
    assert torch.equal(orthogonalise(torch.zeros(2, 4, 6)), torch.zeros(2, 4, 6))


@pytest.mark.parametrize("shape", [(24, 12, 3, 3), (12, 24, 2, 2), (32, 32), (8, 4, 5)])
def test_a_step_has_the_length_that_its_rate_says(shape: tuple[int, ...]) -> None:
    """Their RMS is a fifth of the learning rate, for gradients of any size."""
    weight, gradient = _random(*shape), _random(*shape, seed=4)
    for scale in (1e-4, 1.0, 1e4):
        moved = _stepped(weight, scale * gradient, lr=0.01) - weight
        assert float(moved.square().mean().sqrt()) == pytest.approx(0.2 * 0.01, rel=0.2)
        assert float((moved * gradient).sum()) < 0


def test_a_convolution_is_the_matrix_of_its_outputs() -> None:
    weight, gradient = _random(6, 4, 3, 3), _random(6, 4, 3, 3, seed=4)
    flat = _stepped(weight.flatten(1), gradient.flatten(1), steps=3, lr=0.1, weight_decay=0.1)
    assert torch.equal(
        _stepped(weight, gradient, steps=3, lr=0.1, weight_decay=0.1).flatten(1), flat
    )
    by_channel = weight.to(memory_format=torch.channels_last)
    other = _stepped(by_channel, gradient, steps=3, lr=0.1, weight_decay=0.1).flatten(1)
    torch.testing.assert_close(other, flat)


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (64, 8), (24, 4, 1, 1)])
def test_steps_are_what_the_papers_write(shape: tuple[int, ...]) -> None:
    """Orthogonalised Nesterov momentum with the scale of Liu et al., and decoupled decay."""
    rate, share, decay = 0.02, 0.9, 0.3
    expected, average = _random(*shape), torch.zeros(shape)
    parameter = nn.Parameter(expected.clone())
    optimizer = Muon([parameter], lr=rate, momentum=share, weight_decay=decay)
    for step in range(3):
        gradient = _random(*shape, seed=10 + step)
        average = share * average + (1 - share) * gradient
        ahead = ((1 - share) * gradient + share * average).flatten(1)
        (turned,) = orthogonalise(ahead[None])
        scale = 0.2 * max(ahead.shape) ** 0.5
        expected = (1 - rate * decay) * expected - rate * scale * turned.reshape(shape)
        parameter.grad = gradient
        optimizer.step()
    torch.testing.assert_close(parameter.detach(), expected, rtol=1e-3, atol=1e-4)


def test_a_matrix_without_slope_only_decays() -> None:
    weight = _random(5, 7)
    moved = _stepped(weight, torch.zeros(5, 7), lr=0.1, weight_decay=0.2)
    torch.testing.assert_close(moved, 0.98 * weight)


@pytest.mark.parametrize("settings", [{"lr": -1.0}, {"weight_decay": -1.0}, {"momentum": 1.0}])
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        Muon([nn.Parameter(torch.zeros(2, 2))], **settings)


def test_parameters_without_numbers_are_left_alone() -> None:
    for shape in ((0, 3), (3, 0), (4, 0, 3)):
        _stepped(torch.zeros(shape), torch.zeros(shape))


def test_weights_of_one_axis_are_adams_and_do_not_decay() -> None:
    ours, theirs = (nn.Parameter(_random(7)) for _ in range(2))
    muon = Muon([ours], lr=0.01, weight_decay=0.5)
    adam = torch.optim.Adam([theirs], lr=0.01)
    for step in range(6):
        for parameter, optimizer in ((ours, muon), (theirs, adam)):
            parameter.grad = _random(7, seed=step) / (step + 1)
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_matrices_of_one_shape_do_not_mix() -> None:
    weights = [_random(8, 6, seed=seed) for seed in range(3)]
    gradients = [_random(8, 6, seed=10 + seed) for seed in range(3)]
    together = [nn.Parameter(weight.clone()) for weight in weights]
    optimizer = Muon(together, lr=0.1)
    for parameter, gradient in zip(together, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    for parameter, weight, gradient in zip(together, weights, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), _stepped(weight, gradient, lr=0.1))


def test_what_a_checkpoint_holds_goes_on_to_the_same_bits() -> None:
    def parameters() -> list[nn.Parameter]:
        return [nn.Parameter(_random(6, 5)), nn.Parameter(_random(6))]

    def go_on(optimizer: Muon, moved: list[nn.Parameter], steps: range) -> None:
        for step in steps:
            for parameter in moved:
                parameter.grad = _random(*parameter.shape, seed=step)
            optimizer.step()

    whole, first = parameters(), parameters()
    go_on(Muon(whole), whole, range(6))
    optimizer = Muon(first)
    go_on(optimizer, first, range(3))
    rest = [nn.Parameter(parameter.detach().clone()) for parameter in first]
    resumed = Muon(rest)
    resumed.load_state_dict(optimizer.state_dict())
    go_on(resumed, rest, range(3, 6))
    assert all(torch.equal(a, b) for a, b in zip(whole, rest, strict=True))


def test_a_parameter_without_gradient_stays() -> None:
    still = nn.Parameter(_random(4, 4))
    before = still.detach().clone()
    optimizer = Muon([still])
    assert optimizer.step(lambda: 3.0) == 3.0
    assert torch.equal(still, before)


def test_a_small_network_learns() -> None:
    inputs, wanted = _random(128, 12), _random(128, 3, seed=9)
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 3))
    optimizer = Muon(network.parameters(), lr=0.02)
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = (network(inputs) - wanted).square().mean()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]


def test_work_is_shared_out_evenly_and_nothing_is_left_out() -> None:
    matrices = [torch.zeros(rows, 64) for rows in (64, 8, 64, 32, 16, 64, 8, 64)]
    for processes in (1, 2, 3, 20):
        shares = _shared_out(matrices, processes)
        assert len(shares) == processes
        assert sorted(index for share in shares for index in share) == list(range(8))
        loads = [sum(matrices[i].numel() * min(matrices[i].shape) for i in s) for s in shares]
        assert max(loads) <= sum(loads) / processes + 64**3


def test_matrices_of_many_shapes_are_made_orthogonal_each_for_itself() -> None:
    matrices = [_random(*shape, seed=n) for n, shape in enumerate([(8, 6), (4, 9), (8, 6), (1, 3)])]
    together = orthogonalise_all(matrices)
    for matrix, step in zip(matrices, together, strict=True):
        torch.testing.assert_close(step, orthogonalise(matrix[None])[0], rtol=0, atol=1e-2)
