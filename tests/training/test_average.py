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


def test_a_share_of_the_start_stays_in_what_is_released_and_not_in_what_moves() -> None:
    model = nn.BatchNorm1d(2)
    nn.init.constant_(model.weight, 1.0)
    average, plain = MovingAverage(model, 0.5, start_share=0.25), MovingAverage(model, 0.5)
    for step in range(1, 30):
        nn.init.constant_(model.weight, float(step))
        model(torch.randn(8, 2))
        average.update(model)
        plain.update(model)
        expected = 0.75 * plain.state["weight"] + 0.25
        torch.testing.assert_close(average.state["weight"], expected)
    assert average.state["num_batches_tracked"] == 29


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_it_goes_on_from_what_it_dumped(share: float) -> None:
    model = nn.Linear(3, 2)
    average = MovingAverage(model, 0.9, share)
    again = MovingAverage(nn.Linear(3, 2), 0.9, share)
    for step in range(10):
        nn.init.normal_(model.weight)
        average.update(model)
        if step == 5:
            again.load(average.dump())
        elif step > 5:
            again.update(model)
    assert again.updates == average.updates
    for name, value in average.state.items():
        assert torch.equal(value, again.state[name])
    assert ("start" in average.dump()) == bool(share)
