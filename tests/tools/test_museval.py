"""What counts as agreement with museval, and that the edge cases are what they are called."""

import numpy as np
import pytest
import torch

from tools.benchmark.agreement import FIGURES, cases, compared, score
from unmix.evaluation.museval_backend import MusevalScores
from unmix.metrics import BSSScores

VALUES = np.array([[3.0, 200.0, np.inf, np.nan], [-1.0, 2.0, -180.0, np.nan]])


def _ours(values: np.ndarray = VALUES) -> BSSScores:
    table = torch.from_numpy(values)
    order, condition = torch.arange(2)[:, None], torch.ones(1)
    return BSSScores(table, table, table, table, order, condition)


def _theirs(values: np.ndarray = VALUES) -> MusevalScores:
    return MusevalScores(values, values, values, values, np.arange(2)[:, None])


def test_figures_beyond_150_db_need_only_be_so() -> None:
    other = VALUES.copy()
    other[0, 1:3], other[1, 2] = (np.inf, 160), -np.inf
    found = compared(_ours(other), _theirs())
    assert found.same
    assert found.apart == dict.fromkeys(FIGURES, 0.0)
    assert (found.undefined, found.frames) == (1, 4)
    assert found.perfect == ("SDR", "ISR", "SIR", "SAR")


@pytest.mark.parametrize(("frame", "apart"), [(0, 0.25), (1, 147.75)])
def test_a_difference_is_the_largest_of_all_frames(frame: int, apart: float) -> None:
    other = VALUES.copy()
    other[1, frame] += apart
    assert compared(_ours(other), _theirs()).apart["sir"] == apart


def test_a_frame_that_is_not_defined_is_not_the_same() -> None:
    other = VALUES.copy()
    other[0, 0] = np.nan
    assert not compared(_ours(other), _theirs()).same


def test_another_order_is_not_the_same() -> None:
    theirs = MusevalScores(VALUES, VALUES, VALUES, VALUES, np.array([[1], [0]]))
    assert not compared(_ours(), theirs).same


def test_figures_without_a_defined_frame_have_no_difference() -> None:
    nothing = np.full_like(VALUES, np.nan)
    found = compared(_ours(nothing), _theirs(nothing))
    assert found.same
    assert np.isnan(found.apart["sdr"])


def test_cases_do_what_they_say() -> None:
    by_name = {case.name: case for case in cases()}
    perfect = score(*by_name["estimate = reference"][1:])
    assert perfect.sdr.isposinf().all()
    silent = score(*by_name["reference silent for a frame"][1:])
    assert silent.sdr.isnan().all(0).tolist() == [False, True, False]
    sought = score(*by_name["permuted stems, order sought"][1:])
    assert sought.permutation[:, 0].tolist() == [1, 2, 0]
    assert sought.sir.min() > score(*by_name["permuted stems"][1:]).sir.max()
