"""Semi-supervised training: separator and critics learn, no item is repeated or lost."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from unmix.config import validate
from unmix.errors import ConfigError, UnmixError
from unmix.models import build
from unmix.recipes.reading import recipes
from unmix.training.adversary import Adversary
from unmix.training.batches import batches
from unmix.training.checkpoint import load_checkpoint
from unmix.training.config import Recipe, SemiSupervisedConfig, TrainConfig, read_recipe
from unmix.training.distributed import make_fabric
from unmix.training.dry_run import dry_run
from unmix.training.loop import train
from unmix.training.optimisation import learning_rate_factor
from unmix.training.run import Run
from unmix.training.semisupervised import critic_loss, supervised_loss
from unmix.training.setup import set_up
from unmix.training.validation import TrackValidator
from unmix.weights.load import load_model

MakeRun = Callable[..., Run]
Log = Callable[..., Any]

MODEL = {"sample_rate": 8000, "n_fft": 64, "hop_length": 32, "frames": 10, "width": 4, "depth": 2}
STEMS = ("accompaniment", "vocals")
UNPAIRED = [
    {"path": "unpaired/voices", "single": "vocals", "vocals": 1},
    {"path": "unpaired/bands", "single": "accompaniment", "accompaniment": 1},
    {"path": "songs", "mixture": 1},
]


@pytest.fixture(scope="module")
def data(songs_of_sines: Path) -> Path:
    """Songs, and unrelated recordings of singers and bands."""
    random = np.random.default_rng(1)
    for name, frequency in (("voices", 500), ("bands", 200)):
        folder = songs_of_sines / "unpaired" / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(2):
            samples = 0.3 * np.sin(2 * np.pi * (frequency + 9 * number) * np.arange(16000) / 8000)
            samples += 0.001 * random.standard_normal(16000)
            soundfile.write(folder / f"{number}.wav", samples, 8000)
    return songs_of_sines


@pytest.fixture
def make_semi(make_run: MakeRun, data: Path) -> MakeRun:
    """Make a run of a small adversarial separator; arguments go into its own table."""

    def make(
        out: str = "out", *, resume: bool = False, train: dict[str, Any] | None = None, **own: Any
    ) -> Run:
        table = {"corpora": UNPAIRED} | own
        settings = {
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "weight_decay": 0,
            "clip_norm": 0,
            "ema": 0,
            "steps": 10,
            "semi_supervised": table,
        } | (train or {})
        run = make_run(out, resume=resume, **settings)
        adversarial = {"architecture": "adversarial", "model": MODEL}
        return replace(run, recipe=run.recipe.model_copy(update=adversarial))

    return make


def _differ(a: dict[str, Tensor], b: dict[str, Tensor]) -> set[str]:
    assert a.keys() == b.keys()
    return {name for name in a if not torch.equal(a[name], b[name])}


def test_separator_and_critics_learn(make_semi: MakeRun, log: Log) -> None:
    run, heard = make_semi(train={"accumulate": 2, "validate_every": 10}), log()
    before = set_up(run, make_fabric("cpu", "32-true"))
    assert isinstance(before.objective, Adversary)
    last = train(run, heard, TrackValidator([run.data / "songs"]))
    assert len(heard.losses) == 10
    assert np.isfinite(heard.losses).all()
    held = load_checkpoint(last)
    assert _differ(before.state.model.state_dict(), held["model"]) == set(held["model"])
    critics = before.objective.critics.state_dict()
    assert {name.split(".")[0] for name in critics} == set(STEMS)
    assert _differ(critics, held["critics"]) == set(critics)
    assert all(value.isfinite().all() for value in held["critics"].values())
    assert held["critic_optimizer"]["state"][0]["step"] == 10 * 5
    assert load_model(last).stems == STEMS


def test_critics_learn_to_tell_fakes(make_semi: MakeRun) -> None:
    """While the separator does not change."""
    run = make_semi(critic_learning_rate=1e-3, critic_steps=30)
    trainee = set_up(run, make_fabric("cpu", "32-true"))
    adversary = trainee.objective
    assert isinstance(adversary, Adversary)
    batch = next(adversary._batches(5))

    @torch.no_grad()
    def advantages() -> list[float]:
        """How much higher critics judge recordings than estimates, by stem."""
        estimates = trainee.network(adversary._frames(batch["mixture"]))
        found = []
        for row, stem in enumerate(STEMS):
            real = torch.log1p(adversary._frames(batch[stem]).abs())[..., 1:, 1:-1]
            fake = estimates[:, row, :, 1:, 1:-1]
            critic = adversary.critics[stem]
            found.append((critic(real).mean() - critic(fake).mean()).item())
        return found

    before = advantages()
    weights = {name: value.clone() for name, value in trainee.state.model.state_dict().items()}
    adversary.train_critics(trainee.network, 0)
    assert not _differ(weights, trainee.state.model.state_dict())
    assert all(parameter.grad is None for parameter in trainee.state.model.parameters())
    for later, earlier in zip(advantages(), before, strict=True):
        assert later > max(0.1, earlier + 0.1)


def test_the_separators_loss_is_the_sum_of_its_terms(make_semi: MakeRun) -> None:
    """The supervised loss of paired items, and the other two of unpaired mixtures."""
    run = make_semi(alpha=0.5, beta=0.25, critic_steps=1)
    trainee = set_up(run, make_fabric("cpu", "32-true"))
    adversary, model = trainee.objective, trainee.state.model
    assert isinstance(adversary, Adversary)
    adversary.train_critics(trainee.network, 0)
    paired = next(batches(run, model, torch.device("cpu")))
    stream = adversary._batches(0)
    next(stream)  # the critics'
    unpaired = next(stream)
    assert list(unpaired) == ["mixture"]
    loss = adversary(trainee.network, paired.references, None)

    supervised = Adversary(make_semi(alpha=0, beta=0), model, trainee.fabric)
    frames = model.stft(unpaired["mixture"])[..., 1:-1]  # windows wholly within it
    estimates = model.log_magnitudes(frames)
    inner = slice(model.network.context, -model.network.context)
    sums = torch.expm1(estimates).sum(1)
    consistency = (frames[..., inner].abs() - sums).square().mean()
    judged = [
        adversary.critics[stem](estimates[:, row, :, 1:, 1:-1]).mean()
        for row, stem in enumerate(STEMS)
    ]
    wanted = supervised(trainee.network, paired.references, None)
    wanted = wanted - 0.5 * (judged[0] + judged[1]) + 0.25 * consistency
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_a_run_that_was_cut_goes_on_to_the_same_bits(make_semi: MakeRun, log: Log) -> None:
    whole = train(make_semi("whole", critic_steps=2), log())
    cut = make_semi("cut", critic_steps=2)
    with pytest.raises(KeyboardInterrupt):
        train(cut, log(stop_at=4), None)
    assert load_checkpoint(cut.last)["step"] == 4
    again = train(replace(cut, resume=True), log())
    first, second = load_checkpoint(whole), load_checkpoint(again)
    for part in ("model", "critics"):
        assert not _differ(first[part], second[part])
    moments = [state["critic_optimizer"]["state"] for state in (first, second)]
    for key in moments[0]:
        assert not _differ(moments[0][key], moments[1][key])


def test_an_interruption_among_the_critics_steps_is_not_saved(
    make_semi: MakeRun, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise critics would learn from the same items twice."""
    turns = []
    loss = critic_loss

    def interrupted(*arguments: Any) -> Tensor:
        turns.append(None)
        if len(turns) == 9:  # two critics, two turns: in the third step
            raise KeyboardInterrupt
        return loss(*arguments)

    monkeypatch.setattr("unmix.training.adversary.critic_loss", interrupted)
    run = make_semi(critic_steps=2)
    with pytest.raises(KeyboardInterrupt):
        train(run, log())
    assert not run.last.exists()


@pytest.fixture
def wrong_losses(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make some of the critics' losses NaN, counted from the first."""
    loss = critic_loss

    def make(*numbers: int) -> None:
        turns: list[None] = []

        def wrong(*arguments: Any) -> Tensor:
            turns.append(None)
            return loss(*arguments) * (np.nan if len(turns) - 1 in numbers else 1)

        monkeypatch.setattr("unmix.training.adversary.critic_loss", wrong)

    return make


def test_critics_do_not_learn_from_what_is_no_number(
    make_semi: MakeRun, log: Log, wrong_losses: Callable[..., None]
) -> None:
    """The step is skipped if the recipe allows it; the others do not change."""
    run, heard = make_semi(critic_steps=2, train={"skips": 1}), log()
    wrong_losses(8, 16, 19)  # four in a step: in its third one, and twice in its fifth
    whole = load_checkpoint(train(run, heard))
    assert [step for step, loss in enumerate(heard.losses, 1) if np.isnan(loss)] == [3, 5]
    assert whole["skipped"] == [2, 0]
    for part in ("model", "critics"):
        assert all(value.isfinite().all() for value in whole[part].values())
    assert whole["critic_optimizer"]["state"][0]["step"] == 10 * 2 - 3

    wrong_losses(8, 16, 19)
    cut = make_semi("cut", critic_steps=2, train={"skips": 1})
    with pytest.raises(KeyboardInterrupt):
        train(cut, log(stop_at=5))
    again = load_checkpoint(train(replace(cut, resume=True), log()))
    for part in ("model", "critics"):
        assert not _differ(whole[part], again[part])


def test_a_critics_loss_that_is_no_number_ends_the_run(
    make_semi: MakeRun, log: Log, wrong_losses: Callable[..., None]
) -> None:
    wrong_losses(9)
    heard = log()
    with pytest.raises(UnmixError, match=r"of the critics, the loss is nan at step 3: .*unpaired"):
        train(make_semi(critic_steps=2), heard)
    assert len(heard.losses) == 2


def test_a_checkpoint_without_critics_is_no_use(make_semi: MakeRun, log: Log) -> None:
    train(make_semi(alpha=0, beta=0, corpora=[], train={"steps": 1}), log())
    with pytest.raises(UnmixError, match=r"semi_supervised\.alpha"):
        train(make_semi(resume=True), log())


def test_without_alpha_and_beta_it_is_supervised_alone(make_semi: MakeRun, log: Log) -> None:
    """No unpaired recording is opened; the weights equal those of the plain loop."""
    nowhere = [{"path": "nowhere", "vocals": 1, "accompaniment": 1, "mixture": 1}]
    run, heard = make_semi(alpha=0, beta=0, corpora=nowhere), log()
    held = load_checkpoint(train(run, heard))
    assert "critics" not in held

    torch.manual_seed(run.train.seed)
    model: Any = build("adversarial", MODEL).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for step, batch in enumerate(batches(run, model, torch.device("cpu"))):
        optimizer.param_groups[0]["lr"] = 1e-3 * learning_rate_factor(step, run.train)
        mixture = model.stft(batch.references.sum(1))[..., 1:-1]  # windows wholly within it
        inner = slice(1 + model.network.context, -1 - model.network.context)
        references = torch.log1p(model.stft(batch.references)[..., inner].abs())
        loss = supervised_loss(model.log_magnitudes(mixture), references)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert heard.losses == losses
    assert not _differ(held["model"], model.state_dict())


def test_the_mixture_alone_is_drawn_where_there_are_no_critics(
    make_semi: MakeRun, log: Log
) -> None:
    run, heard = make_semi(alpha=0, corpora=UNPAIRED[2:], train={"steps": 3}), log()
    assert "critics" not in load_checkpoint(train(run, heard))
    plain = log()
    train(make_semi("plain", alpha=0, beta=0, train={"steps": 3}), plain)
    assert all(more > less for more, less in zip(heard.losses[:1], plain.losses[:1], strict=True))


def test_a_dry_run_counts_the_critics(make_semi: MakeRun, log: Log) -> None:
    run = make_semi(train={"steps": 1})
    found = dry_run(replace(run, workers=2))
    written = train(run, log())
    critics = load_checkpoint(written)["critics"]
    assert found.checkpoint_bytes > 3 * 4 * sum(value.numel() for value in critics.values())
    assert found.checkpoint_bytes == pytest.approx(written.stat().st_size, rel=0.1)


@pytest.mark.slow
def test_processes_that_read_change_nothing(make_semi: MakeRun, log: Log) -> None:
    heard = [log(), log()]
    settings = {"train": {"steps": 2}, "critic_steps": 2}
    for workers in range(2):
        run = make_semi(str(workers), **settings)
        train(replace(run, workers=workers), heard[workers])
    assert heard[0].losses == heard[1].losses


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(
    make_semi: MakeRun, log: Log, program: str, train_in_two: Callable[[Run, str], None]
) -> None:
    """So do critics, which learn from the items of both."""
    own = {"critic_steps": 2, "critic_learning_rate": 1e-3, "alpha": 0.1}
    pair = make_semi("pair", train={"steps": 4, "batch_size": 1}, **own)
    train_in_two(pair, program)
    whole = train(make_semi("alone", train={"steps": 4, "batch_size": 2}, **own), log())
    ours, theirs = load_checkpoint(pair.last), load_checkpoint(whole)
    for part in ("model", "critics"):
        assert ours[part].keys() == theirs[part].keys()
        for name, value in theirs[part].items():
            torch.testing.assert_close(ours[part][name], value, rtol=1e-3, atol=1e-4)


def test_items_follow_from_seed_and_index(make_semi: MakeRun) -> None:
    fabric = make_fabric("cpu", "32-true")

    def stream(seed: int) -> Any:
        trainee = set_up(make_semi(train={"seed": seed}), fabric)
        assert isinstance(trainee.objective, Adversary)
        return trainee.objective._open()

    first, same, other = stream(0), stream(0), stream(1)
    wanted = (*STEMS, "mixture")
    for index in (7, 0):  # in any order
        items = [part[index, wanted] for part in (first, same, other)]
        for stem in wanted:
            assert torch.equal(items[0][stem], items[1][stem])
            assert not torch.equal(items[0][stem], items[2][stem])
        alone = first[index, ("mixture",)]
        assert list(alone) == ["mixture"]
        assert torch.equal(alone["mixture"], items[0]["mixture"])
    peaks = [float(first[index, ("vocals",)]["vocals"].abs().max()) for index in range(40)]
    assert 0.05 < min(peaks) < 0.12 < 0.3 < max(peaks) < 0.38  # 0.3 times 0.2 to 1.2


@pytest.mark.parametrize(
    ("changes", "own", "sentence"),
    [
        ({"architecture": "unet"}, {}, "`unet` does not estimate log magnitudes"),
        ({"model": MODEL | {"stems": ["vocals"]}}, {}, "the model needs the stems"),
        ({}, {"train": {"loss": {"magnitude": 2}}}, r"remove the table \[train.loss\]"),
        ({}, {"corpora": [UNPAIRED[0] | {"band": 3000}]}, "unpaired/voices ends at 3000 Hz"),
        ({}, {"corpora": UNPAIRED[:2]}, "no corpus has a weight `mixture`"),
    ],
)
def test_what_cannot_be_trained_so_is_refused(
    make_semi: MakeRun,
    log: Log,
    changes: dict[str, Any],
    own: dict[str, Any],
    sentence: str,
) -> None:
    run = make_semi(**own)
    if "architecture" in changes:
        changes["model"] = {"sample_rate": 8000, "n_fft": 128, "hop_length": 32, "depth": 2}
    run = replace(run, recipe=run.recipe.model_copy(update=changes))
    with pytest.raises(ConfigError, match=sentence):
        train(run, log())


def test_the_recipe_has_the_papers_values() -> None:
    recipe = read_recipe(recipes()["adversarial-semisupervised"])
    assert recipe.train is not None
    config = recipe.train.semi_supervised
    assert config is not None
    assert SemiSupervisedConfig(corpora=config.corpora) == config
    assert recipe.model == read_recipe(recipes()["adversarial"]).model
    table = recipe.train.model_dump(mode="json")
    assert validate(TrainConfig, table, "test") == recipe.train
    assert validate(Recipe, recipe.model_dump(mode="json"), "test") == recipe


def test_its_unpaired_corpora_are_where_the_data_is_documented(shared: Path) -> None:
    recipe = read_recipe(recipes()["adversarial-semisupervised"])
    assert recipe.train is not None
    assert recipe.train.semi_supervised is not None
    for corpus in recipe.train.semi_supervised.corpora:
        assert (shared / "data" / corpus.path).is_dir()
