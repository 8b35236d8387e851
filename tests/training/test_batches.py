"""Batches: the same with any number of workers, in constant memory."""

import logging
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from unmix.models import build
from unmix.training.batches import batches, open_corpora
from unmix.training.loop import train
from unmix.training.run import Run

MakeRun = Callable[..., Run]
CPU = torch.device("cpu")


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_stream_can_start_at_any_batch(make_run: MakeRun, workers: int) -> None:
    run = make_run(steps=6, accumulate=2)
    model = build("unet", run.recipe.model)
    whole = list(batches(run, model, CPU))
    assert [batch.items for batch in whole] == [(2 * n, 2 * n + 1) for n in range(12)]
    rest = list(batches(replace(run, workers=workers), model, CPU, first=4))
    assert len(rest) == 4
    for ours, theirs in zip(rest, whole[8:], strict=True):
        assert ours.items == theirs.items
        assert torch.equal(ours.references, theirs.references)


def test_memory_does_not_grow_with_the_steps(make_run: MakeRun) -> None:
    run = make_run(steps=300_000)
    model = build("unet", run.recipe.model)
    next(batches(run, model, CPU))  # whatever is imported on the way
    tracemalloc.start()
    next(batches(run, model, CPU))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


def test_files_that_cannot_be_opened_are_named_once(
    make_run: MakeRun, log: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_run(steps=1, warmup=0)
    shutil.copytree(run.data / "songs", tmp_path / "songs")
    damaged = tmp_path / "songs" / "1" / "drums.wav"
    damaged.write_bytes(b"no header")
    with caplog.at_level(logging.WARNING):
        train(replace(run, data=tmp_path), log())
    (record,) = caplog.records
    assert str(damaged) in record.getMessage()
    assert record.getMessage().endswith("; skipped")


def test_one_process_of_several_names_them(
    make_run: MakeRun,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run()
    shutil.copytree(run.data / "songs", tmp_path / "songs")
    (tmp_path / "songs" / "1" / "drums.wav").write_bytes(b"no header")
    corpora = run.train.corpora * 2  # the same folder, drawn from in two ways
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        open_corpora(corpora, replace(run, data=tmp_path))
        assert len(caplog.records) == 1
