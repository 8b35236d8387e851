"""A resumed run continues its CSV logs; TensorBoard has curves, pictures and sounds."""

import csv
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unmix.errors import UnmixError
from unmix.training.logs import CsvLog, Listeners, MovingLoss
from unmix.training.loop import train
from unmix.training.run import Run
from unmix.training.tensorboard import TensorBoardLog, spectrogram_figure
from unmix.training.validation import TrackValidator

MakeRun = Callable[..., Run]
Log = Callable[..., Any]


def _table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_steps_that_a_resumed_run_repeats_are_logged_once(tmp_path: Path) -> None:
    for first, last in ((1, 45), (26, 60)):  # stopped at 45, resumed from the checkpoint of 25
        log = CsvLog(tmp_path)
        for step in range(first, last + 1):
            log.step(step, float(first), 1e-3, 1.0)
            if step % 20 == 0:
                log.validated(step, {"vocals": float(first)})
        if first == 1:
            with (tmp_path / "log.csv").open("a") as file:
                file.write("5")  # cut in the middle of a row
    rows = _table(tmp_path / "log.csv")
    assert [row["step"] for row in rows] == ["10", "20", "30", "40", "50", "60"]
    assert [row["loss"] for row in rows] == ["1.000000"] * 2 + ["26.000000"] * 4
    scores = (tmp_path / "scores.csv").read_text().split()
    assert scores == ["step,vocals", "20,1.0000", "40,26.0000", "60,26.0000"]


def test_a_row_without_an_end_is_not_taken_for_whole(tmp_path: Path) -> None:
    log = CsvLog(tmp_path)
    for step in range(1, 21):
        log.step(step, 1.0, 1e-3, 12.5)
    whole = (tmp_path / "log.csv").read_text().rstrip()
    (tmp_path / "log.csv").write_text(whole[:-3])
    CsvLog(tmp_path).step(30, 1.0, 1e-3, 12.5)
    assert [row["step"] for row in _table(tmp_path / "log.csv")] == ["10", "30"]


def test_a_log_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnmixError, match=r"log\.csv: cannot write the log \(.*; is the disk full"):
        CsvLog(tmp_path / "file" / "run").step(10, 1.0, 1e-3, 1.0)
    with pytest.raises(UnmixError, match=r"scores\.csv: cannot write the log"):
        CsvLog(tmp_path / "file" / "run").validated(10, {"vocals": 1.0})
    pytest.importorskip("tensorboard")
    with pytest.raises(UnmixError, match="board: cannot write the TensorBoard log"):
        TensorBoardLog(tmp_path / "file" / "board").step(10, 1.0, 1e-3, 1.0)


def test_steps_left_out_are_counted_and_spoil_no_mean(tmp_path: Path) -> None:
    log, moving = CsvLog(tmp_path), MovingLoss()
    for step in range(1, 21):
        loss = math.nan if step in (1, 5, 6, 14) else 2.0
        log.step(step, loss, 1e-3, 1.0)
        moving.add(loss)
    assert moving.value == 2.0
    rows = _table(tmp_path / "log.csv")
    assert [row["skipped"] for row in rows] == ["3", "1"]
    assert [row["loss"] for row in rows] == ["2.000000"] * 2


def test_several_listeners_hear_the_same(tmp_path: Path, log: Log) -> None:
    first, second = log(), log()
    both = Listeners([first, second])
    both.step(1, 0.5, 1e-3, 1.0)
    both.validated(1, {"vocals": 3.0})
    (tmp_path / "last.ckpt").touch()
    both.saved(tmp_path / "last.ckpt")
    assert first.losses == second.losses == [0.5]
    assert first.scores == second.scores == [{"vocals": 3.0}]


def test_tensorboard_has_curves_pictures_and_sounds(make_run: MakeRun, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = make_run(steps=20, validate_every=10)
    board = TensorBoardLog(tmp_path / "board", TrackValidator([run.data / "songs"]))
    train(run, board, board)
    board.close()
    events = accumulator.EventAccumulator(str(tmp_path / "board"))
    events.Reload()
    tags = events.Tags()
    curves = {"loss", "learning_rate", "items_per_second", "SDR/vocals", "SDR/accompaniment"}
    assert set(tags["scalars"]) == curves
    assert [event.step for event in events.Scalars("loss")] == [10, 20]
    assert set(tags["images"]) == {"spectrograms/vocals"}
    estimates = {"vocals/estimate", "accompaniment/estimate", "vocals/reference"}
    assert set(tags["audio"]) == {"mixture"} | estimates
    assert events.Audio("mixture")[0].sample_rate == 8000


def test_tensorboard_hides_what_a_resumed_run_repeats(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for first, last in ((10, 50), (30, 60)):
        board = TensorBoardLog(tmp_path)
        for step in range(first, last + 10, 10):
            board.step(step, float(first), 1e-3, 1.0)
        board.saved(tmp_path)
        board.close()
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("loss")]
    assert found == [(10, 10), (20, 10), (30, 30), (40, 30), (50, 30), (60, 30)]


def test_without_tensorboard_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UnmixError, match=r"pip install 'unmix\[train\]'"):
        TensorBoardLog(tmp_path)


def test_the_mask_in_the_picture_is_the_share_of_the_mixture() -> None:
    mixture = np.random.default_rng(0).standard_normal((2, 8000)).astype(np.float32)
    figure = spectrogram_figure(mixture, 0.25 * mixture, np.zeros_like(mixture))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["mixture", "mask", "estimate", "reference"]
    pictures = [np.asarray(axes.images[0].get_array()) for axes in figure.axes]
    np.testing.assert_allclose(pictures[1], 0.25, rtol=1e-3)
    np.testing.assert_allclose(pictures[0] - pictures[2], 20 * math.log10(4), rtol=1e-3)
    assert (pictures[3] <= pictures[0].max() - 80).all()


def test_the_example_is_where_the_first_stem_is_loudest(make_run: MakeRun, tmp_path: Path) -> None:
    import soundfile

    from unmix.models import build

    folder = tmp_path / "track"
    folder.mkdir()
    vocals = np.zeros(160000, np.float32)
    vocals[100000:110000] = 0.5
    soundfile.write(folder / "vocals.wav", vocals, 8000)
    soundfile.write(folder / "accompaniment.wav", np.full(160000, 0.1, np.float32), 8000)
    model = build("unet", make_run().recipe.model)
    example = TrackValidator([tmp_path]).example(model)
    assert example.mixture.shape == (2, 64000)
    assert np.square(example.references["vocals"]).sum() == pytest.approx(
        2 * 10000 * 0.25, rel=1e-3
    )
