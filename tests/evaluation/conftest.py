"""What the tests of evaluation share: small sets of tracks whose stems are known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

RATE = 8000
INSTRUMENTS = ("drums", "bass", "other")

MakeTracks = Callable[..., Path]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium; without it, or without selenium, the test is skipped."""
    pytest.importorskip("selenium")
    from chromium import chromium

    with chromium(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def make_tracks(tmp_path: Path) -> MakeTracks:
    """Write tracks of noise in a folder each: vocals as loud as all else together."""

    def make(
        root: Path | str = "data",
        *,
        tracks: int = 3,
        seconds: float = 4.0,
        stems: tuple[str, ...] = ("vocals", *INSTRUMENTS),
        rate: int = RATE,
        channels: int = 2,
        suffix: str = "wav",
    ) -> Path:
        random = np.random.default_rng(0)
        for song in range(tracks):
            folder = tmp_path / root / f"song {song}"
            folder.mkdir(parents=True)
            for stem in stems:
                level = 0.1 / 3**0.5 if stem in INSTRUMENTS else 0.1
                samples = level * random.standard_normal((round(seconds * rate), channels))
                subtype = "FLOAT" if suffix == "wav" else None
                soundfile.write(folder / f"{stem}.{suffix}", samples, rate, subtype)
        return tmp_path / root

    return make
