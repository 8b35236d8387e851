"""museval as it is: one track, and many in processes of their own."""

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from unmix.evaluation.museval_backend import (
    MusevalTrack,
    museval_memory,
    museval_scores,
    museval_tracks,
)
from unmix.metrics import BSSOptions

OPTIONS = BSSOptions(window=2000, filter_length=32)


def _load(seed: int) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    random = np.random.default_rng(seed)
    references = random.standard_normal((2, 1, 6000)).astype(np.float32)
    estimates = references + 0.1 * random.standard_normal(references.shape).astype(np.float32)
    names = ("vocals", "accompaniment")
    # Estimates in another order: they are told apart by name.
    by_name = dict(zip(names, estimates, strict=True))
    return dict(reversed(by_name.items())), dict(zip(names, references, strict=True))


@pytest.mark.slow
def test_tracks_in_processes_score_as_here() -> None:
    tracks = [MusevalTrack(str(seed), partial(_load, seed), 2, 1, 6000) for seed in range(3)]
    found = dict(museval_tracks(tracks, OPTIONS, workers=2))
    assert sorted(found) == ["0", "1", "2"]
    for seed in range(3):
        estimates, references = _load(seed)
        here = museval_scores(
            estimates=[estimates[stem] for stem in references],
            references=list(references.values()),
            options=OPTIONS,
        )
        for name in ("sdr", "isr", "sir", "sar"):
            np.testing.assert_allclose(getattr(found[str(seed)], name), getattr(here, name))


@pytest.mark.slow
def test_tracks_too_large_go_alone_and_one_that_fails_says_why() -> None:
    good = [MusevalTrack(str(seed), partial(_load, seed), 2, 1, 6000) for seed in range(2)]
    tracks = [MusevalTrack("bad", _fail, 2, 1, 100), *good]  # the smallest: it comes last
    scored = museval_tracks(tracks, OPTIONS, workers=2, memory=1)
    assert {next(scored)[0], next(scored)[0]} == {"0", "1"}
    with pytest.raises(ValueError, match="no such seed"):
        next(scored)


def test_memory_grows_with_length_and_stems() -> None:
    song = MusevalTrack("song", partial(_load, 0), 2, 2, 44100 * 240)
    four = MusevalTrack("four", partial(_load, 0), 4, 2, 44100 * 240)
    hour = MusevalTrack("hour", partial(_load, 0), 2, 2, 44100 * 3600)
    assert 1 << 30 < museval_memory(song) < museval_memory(four) < museval_memory(hour)


def _fail() -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    raise ValueError("no such seed")


def test_exactly_singular_equations_have_the_shortest_solution() -> None:
    """museval 0.4.1 fails on them by itself with a NumPy of today."""
    references = np.zeros((2, 1, 200))
    references[:, :, 0] = 1e9
    references[1] *= 2
    scores = museval_scores(
        estimates=list(references), references=list(references), options=BSSOptions(filter_length=2)
    )
    assert (scores.sdr > 100).all()
