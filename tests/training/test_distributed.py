"""Two processes take the steps of one with twice the batch; only the main process writes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from unmix.training.batches import items_of
from unmix.training.checkpoint import load_checkpoint
from unmix.training.distributed import is_main_process, launched, make_fabric, with_synced_norms
from unmix.training.loop import train
from unmix.training.run import Run

MakeRun = Callable[..., Run]
Log = Callable[..., Any]
InTwo = Callable[[Run, str], None]

#: Trains a recipe as one of several processes, and tells what each of them heard.
SCRIPT = """
import json, os, sys, torch
from pathlib import Path
torch.set_num_threads(1)
from unmix.training.config import Recipe
from unmix.training.distributed import is_main_process
from unmix.training.loop import Run, train

class Log:
    heard = {"losses": [], "rates": [], "scores": [], "saved": 0, "validated": 0}
    heard["leads"] = is_main_process()
    def step(self, step, loss, learning_rate, items_per_second):
        self.heard["losses"].append(loss)
        self.heard["rates"].append(learning_rate)
    def validated(self, step, scores):
        self.heard["scores"].append(scores)
    def saved(self, path):
        self.heard["saved"] += 1

def validate(model):
    Log.heard["validated"] += 1
    return {"vocals": -float(Log.heard["validated"])}

recipe = Recipe.model_validate_json(Path(sys.argv[1]).read_text())
data, out = map(Path, sys.argv[2:])
run = Run(recipe=recipe, train=recipe.train, data=data, out=out, workers=0, device="cpu")
train(run, Log(), validate)
(out.parent / f"{os.environ['RANK']}.json").write_text(json.dumps(Log.heard))
"""


def test_processes_share_out_the_items_of_a_step(make_run: MakeRun) -> None:
    """Adjacent items, so that their common step is that of one larger batch."""
    parts, whole = make_run(batch_size=2).train, make_run(batch_size=6).train
    for part in range(4):
        together = [i for rank in range(3) for i in items_of(parts, part, rank, 3)]
        assert together == list(items_of(whole, part, 0, 1))


def test_a_process_alone_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_main_process()
    assert not launched()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        assert is_main_process() == (rank == 0)


def test_norms_are_joint_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of the checkpoint do not change."""

    class Cuda:
        world_size = 2
        device = torch.device("cuda")

    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    names = list(model.state_dict())
    with_synced_norms(model, make_fabric("cpu", "32-true"))
    assert type(model[1]) is nn.BatchNorm2d
    with_synced_norms(model, Cuda())  # type: ignore[arg-type]
    assert type(model[1]) is nn.SyncBatchNorm
    assert list(model.state_dict()) == names


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_two_processes_are_one_with_twice_the_batch(
    make_run: MakeRun, log: Log, tmp_path: Path, train_in_two: InTwo, optimizer: str
) -> None:
    """For a model without batch norm, which on the CPU is not synchronised."""
    schedule = {"kind": "plateau", "patience": 2, "factor": 0.5}
    settings = {"architecture": "wave-unet", "steps": 12, "accumulate": 2, "schedule": schedule}
    settings |= {"validate_every": 2, "warmup": 0, "optimizer": optimizer}
    pair = make_run("pair", batch_size=2, **settings)
    train_in_two(pair, SCRIPT)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))

    calls = []

    def falling(model: object) -> dict[str, float]:
        calls.append(1)
        return {"vocals": -float(len(calls))}

    alone = log()
    whole = train(make_run("alone", batch_size=4, **settings), alone, falling)
    # AdamW's steps, twelve of 1e-3, follow the sign of what is nearly zero; Muon's, of 2e-4, are
    # orthogonal to 16 bits.
    close, apart = (1e-4 if optimizer == "adamw" else 1e-3), 5e-4
    assert first["losses"] == pytest.approx(alone.losses, rel=close)
    assert first["rates"] == alone.rates
    assert min(alone.rates) < 1e-3  # the plateau fell in both
    assert first["scores"] == alone.scores
    # Saved before the last score, lest it fail, and after it.
    assert (first["validated"], first["saved"], first["leads"]) == (6, 2, True)
    nothing = {"losses": [], "rates": [], "scores": [], "saved": 0, "validated": 0, "leads": False}
    assert second == nothing
    ours, theirs = load_checkpoint(pair.last), load_checkpoint(whole)
    assert sorted(path.name for path in pair.out.iterdir()) == ["best.ckpt", "last.ckpt"]
    for part in ("model", "average"):
        assert ours[part].keys() == theirs[part].keys()
        for name, value in theirs[part].items():
            torch.testing.assert_close(ours[part][name], value, rtol=1e-3, atol=apart)
