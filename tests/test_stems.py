"""The order of stems, and the residual."""

import numpy as np
import pytest

from unmix.stems import in_order, needed, pick, with_residual


def test_vocals_first_strangers_last_by_name() -> None:
    names = ["piano", "other", "accompaniment", "guitar", "bass", "vocals", "drums"]
    expected = ("vocals", "accompaniment", "drums", "bass", "other", "guitar", "piano")
    assert in_order(names) == in_order(reversed(names)) == expected


@pytest.mark.parametrize(
    ("estimates", "stems"),
    [
        (("vocals",), ("vocals", "accompaniment")),
        (("accompaniment",), ("vocals", "accompaniment")),
        (("accompaniment", "vocals"), ("vocals", "accompaniment")),
        (
            ("drums", "bass", "other", "vocals"),
            ("vocals", "accompaniment", "drums", "bass", "other"),
        ),
        (("bass", "drums"), ("drums", "bass", "residual")),
    ],
)
def test_a_residual_joins_the_estimates(estimates: tuple[str, ...], stems: tuple[str, ...]) -> None:
    assert with_residual(estimates) == stems


@pytest.mark.parametrize(
    ("name", "stem", "value"),
    [
        ("drums", "drums", 2),
        ("no_drums", "drums", 9),
        ("no_vocals", "accompaniment", 10),
        ("instrumental", "accompaniment", 10),
        ("no_accompaniment", "vocals", 1),
    ],
)
def test_a_name_asks_for_a_stem_or_for_everything_else(name: str, stem: str, value: float) -> None:
    levels = {"vocals": 1, "accompaniment": 10, "drums": 2, "bass": 3, "other": 5}
    stems = {of: np.full((1, 3), level, np.float32) for of, level in levels.items()}
    assert needed(name) == stem
    np.testing.assert_array_equal(pick(stems, name), np.full((1, 3), value))


def test_without_vocals_the_mixture_is_the_sum_of_the_estimates_and_the_residual() -> None:
    stems = {name: np.ones((1, 3), np.float32) for name in ("drums", "bass", "residual")}
    np.testing.assert_array_equal(pick(stems, "no_bass"), np.full((1, 3), 2))
