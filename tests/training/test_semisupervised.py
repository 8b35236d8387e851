"""The losses of semi-supervised training, on closed-form cases."""

import pytest
import torch
from torch import Tensor

from unmix.training.semisupervised import (
    adversarial_loss,
    consistency_loss,
    critic_loss,
    gradient_penalty,
    supervised_loss,
)


class Linear:
    """A linear critic, whose gradient is its weights everywhere."""

    def __init__(self, norm: float) -> None:
        weights = torch.randn(1, 5, 6, generator=torch.Generator().manual_seed(0))
        self.weights = norm * weights / weights.norm()

    def __call__(self, log_magnitude: Tensor) -> Tensor:
        return (self.weights * log_magnitude).sum((1, 2, 3)).unsqueeze(1)


class Squares:
    """A critic whose gradient equals its input."""

    def __call__(self, log_magnitude: Tensor) -> Tensor:
        return log_magnitude.square().sum((1, 2, 3)).unsqueeze(1) / 2


def _filled(*values: float) -> Tensor:
    """Return a batch ``[B, 1, 5, 6]`` of constants."""
    return torch.tensor(values)[:, None, None, None].expand(-1, 1, 5, 6)


@pytest.mark.parametrize(("norm", "penalty"), [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (3.0, 4.0)])
def test_the_penalty_is_of_gradients_above_one_alone(norm: float, penalty: float) -> None:
    found = gradient_penalty(Linear(norm), _filled(1, 2), _filled(3, -4), torch.rand(2, 1, 1, 1))
    assert found.item() == pytest.approx(penalty, abs=1e-5)


def test_the_gradient_is_taken_where_each_item_has_its_own_share_of_the_real_one() -> None:
    size = 30**0.5  # norm of a batch item filled with 1
    real, fake = _filled(1.0, 2.0), _filled(0.0, 0.5)
    shares = torch.tensor([1.0, 0.5])[:, None, None, None]
    wanted = ((size * 1.0 - 1) ** 2 + (size * 1.25 - 1) ** 2) / 2
    found = gradient_penalty(Squares(), real, fake, shares)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_the_penalty_makes_a_critic_less_steep() -> None:
    critic = torch.nn.Linear(30, 1, bias=False)
    torch.nn.init.constant_(critic.weight, 1.0)
    judge = torch.nn.Sequential(torch.nn.Flatten(), critic)
    gradient_penalty(judge, _filled(1.0), _filled(0.0), _filled(0.5)[..., :1, :1]).backward()
    size = 30**0.5  # the penalty is (norm - 1)^2: its gradient 2 (norm - 1) weight / norm
    wanted = torch.full((1, 30), 2 * (size - 1) / size)
    torch.testing.assert_close(critic.weight.grad, wanted)


def test_a_critic_is_to_judge_real_ones_above_fakes() -> None:
    critic = Linear(3.0)
    real, fake = _filled(2.0, 4.0), _filled(1.0, -1.0).clone().requires_grad_()
    total = float(critic.weights.sum())
    loss = critic_loss(critic, real, fake, torch.rand(2, 1, 1, 1), penalty=10)
    assert loss.item() == pytest.approx(-3 * total + 10 * 4, rel=1e-5)
    learning = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 1))
    critic_loss(learning, real, fake, torch.rand(2, 1, 1, 1), penalty=10).backward()
    assert fake.grad is None  # the separator learns nothing from a critic's step


def test_the_separator_is_to_please_every_critic() -> None:
    critics = [Linear(1.0), Squares()]
    wanted = -(2 * float(critics[0].weights.sum()) + (30 * 9 / 2 + 30 * 1 / 2) / 2)
    found = adversarial_loss(critics, [_filled(1, 3), _filled(3, 1)])
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_the_supervised_loss_sums_the_stems_mean_squared_errors() -> None:
    references = torch.rand(3, 2, 1, 5, 6)
    errors = torch.tensor([0.5, -2.0])[None, :, None, None, None]
    found = supervised_loss(references + errors, references)
    assert float(found) == pytest.approx(0.25 + 4, rel=1e-5)


def test_the_supervised_loss_looks_within_the_band() -> None:
    references = torch.rand(1, 2, 1, 5, 6)
    band = torch.tensor([[1.0, 1.0, 0.0, 0.0, 0.0]])
    wrong = references.clone()
    wrong[..., 2:, :] += 9
    assert float(supervised_loss(wrong, references, band)) == 0
    wrong[..., :2, :] += 1
    assert float(supervised_loss(wrong, references, band)) == pytest.approx(2 * 2 / 5, rel=1e-5)


def test_estimates_are_to_sum_to_the_mixture_in_magnitude() -> None:
    parts = torch.rand(3, 2, 1, 5, 6)
    estimates, mixture = torch.log1p(parts), parts.sum(1)
    assert float(consistency_loss(estimates, mixture)) == pytest.approx(0, abs=1e-10)
    assert float(consistency_loss(estimates, mixture + 3)) == pytest.approx(9, rel=1e-5)
