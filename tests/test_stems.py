"""The order of stems, and the residual."""

import pytest

from unmix.stems import in_order, with_residual


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
