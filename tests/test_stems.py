"""Stems come in one order everywhere."""

from unmix.stems import in_order


def test_vocals_first_strangers_last_by_name() -> None:
    names = ["piano", "other", "accompaniment", "guitar", "bass", "vocals", "drums"]
    expected = ("vocals", "accompaniment", "drums", "bass", "other", "guitar", "piano")
    assert in_order(names) == in_order(reversed(names)) == expected
