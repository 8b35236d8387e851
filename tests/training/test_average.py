"""The moving average follows the weights."""

import pytest
import torch
from torch import nn

from unmix.training.average import MovingAverage


def test_constant_weights_stay() -> None:
    model = nn.Linear(3, 2)
    average = MovingAverage(model, 0.9)
    for _ in range(5):
        average.update(model)
    torch.testing.assert_close(average.state["weight"], model.weight.detach())


def test_the_average_is_the_textbooks() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.0)
    average = MovingAverage(model, 0.5)
    expected = 0.0
    for step in range(1, 30):
        nn.init.constant_(model.weight, float(step))
        average.update(model)
        decay = min(0.5, step / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert float(average.state["weight"]) == pytest.approx(expected)


def test_counters_are_copied_not_averaged() -> None:
    model = nn.BatchNorm1d(4)
    average = MovingAverage(model, 0.9)
    for _ in range(3):
        model(torch.randn(8, 4))
        average.update(model)
    assert average.state["num_batches_tracked"] == 3
    assert average.state["num_batches_tracked"].dtype == torch.int64
