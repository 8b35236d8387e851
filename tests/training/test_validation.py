"""Scores of whole tracks; tracks that do not decode are reported and skipped."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unmix.errors import UnmixError
from unmix.models import Model, build
from unmix.training.run import Run
from unmix.training.validation import TrackValidator


@pytest.fixture
def model(make_run: Callable[..., Run]) -> Model:
    return build("unet", make_run().recipe.model).eval()


@pytest.fixture
def tracks(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in "ab":
        for stem in ("vocals", "accompaniment"):
            (tmp_path / "tracks" / name).mkdir(parents=True, exist_ok=True)
            noise = random.uniform(-0.3, 0.3, 16000)
            soundfile.write(tmp_path / "tracks" / name / f"{stem}.wav", noise, 8000)
    return tmp_path / "tracks"


def test_a_track_that_does_not_decode_is_named_once_and_left_out(
    tracks: Path, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    validator = TrackValidator([tracks])
    (tracks / "a" / "vocals.wav").unlink()
    with caplog.at_level(logging.WARNING):
        scores = [validator(model) for _ in range(2)]
    (record,) = caplog.records
    assert str(tracks / "a" / "vocals.wav") in record.getMessage()
    assert scores == [TrackValidator([tracks / "b"])(model)] * 2


def test_the_example_is_of_a_track_that_decodes(tracks: Path, model: Model) -> None:
    validator = TrackValidator([tracks])
    (tracks / "a" / "vocals.wav").unlink()
    whole, _ = soundfile.read(tracks / "b" / "vocals.wav", dtype="float32")
    np.testing.assert_array_equal(validator.example(model).references["vocals"][0], whole)


def test_no_track_left_is_a_sentence(tracks: Path, model: Model) -> None:
    validator = TrackValidator([tracks])
    for path in tracks.rglob("vocals.wav"):
        path.unlink()
    for _ in range(2):
        with pytest.raises(UnmixError, match="no validation track can be decoded"):
            validator(model)


def test_what_can_be_known_is_said_at_the_start(tracks: Path) -> None:
    (tracks / "a" / "accompaniment.wav").unlink()
    with pytest.raises(UnmixError, match="a: has neither a mixture"):
        TrackValidator([tracks])
    (tracks / "b" / "vocals.wav").write_bytes(b"no header")
    with pytest.raises(UnmixError, match=r"b.vocals\.wav"):
        TrackValidator([tracks])
