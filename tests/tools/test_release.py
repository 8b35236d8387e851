"""The score table and the card: measured on what was asked for, and nothing left out."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import soundfile

from tools.release import manifest, scores
from tools.release.card import card, with_scores
from tools.release.splits import SPLITS, Split, measure, scores_of
from unmix import Separator
from unmix.audio import read_audio, resample
from unmix.config import read_toml
from unmix.errors import UnmixError
from unmix.evaluation import Report
from unmix.recipes.reading import recipes
from unmix.training.config import read_recipe
from unmix.weights.manifest import Manifest, ModelEntry, list_models

RATE = 22050


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs of two seconds, a real one's parts as stems."""
    folder = tmp_path_factory.mktemp("data") / "songs"
    song = next((Path(__file__).parents[1] / "songs").glob("*_excerpt.ogg"))
    samples, rate = read_audio(song)
    samples = resample(samples, rate, RATE)
    for number, name in enumerate(("ann_1", "bob_1")):
        (folder / name).mkdir(parents=True)
        for part, stem in enumerate(("vocals", "accompaniment")):
            start = (4 * number + 2 * part) * RATE
            excerpt = samples[:, start : start + 2 * RATE].T
            soundfile.write(folder / name / f"{stem}.wav", excerpt, RATE)
    return folder.parent


@pytest.fixture(scope="module")
def report(data: Path) -> Report:
    split = Split("Songs", "dev", "songs", ("ann_*",), 16000)
    return measure("unet", data, [split])[split]


def test_only_the_tracks_of_the_split_count_at_the_rate_of_the_recordings(
    data: Path, report: Report
) -> None:
    assert [Path(track).name for track in report.tracks] == ["ann_1"]
    stems = {
        stem: resample(read_audio(data / "songs" / "ann_1" / f"{stem}.wav")[0], RATE, 16000)
        for stem in ("vocals", "accompaniment")
    }
    found = Separator("unet").separate(sum(stems.values()), 16000)
    for score in scores_of({Split("Songs", "dev", "songs"): report}):
        assert (score.dataset, score.split) == ("Songs", "dev")
        if score.metric == "SDR (whole track)":
            estimate, reference = map(np.ascontiguousarray, (found[score.stem], stems[score.stem]))
            wanted = 10 * np.log10(
                np.square(reference).sum() / np.square(estimate - reference).sum()
            )
            assert score.value == pytest.approx(wanted, abs=0.05)
        assert score.low is None  # one track has no interval


def test_the_table_has_every_split_that_is_asked_for(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setitem(SPLITS, "musdb18-7/dev", Split("Songs", "one", "songs", ("ann_*",)))
    monkeypatch.setitem(SPLITS, "mir1k/dev", Split("Songs", "both", "songs"))
    arguments = ["scores.py", "--data", str(data), "--model", "unet"]
    arguments += ["--split", "musdb18-7/dev", "mir1k/dev"]
    monkeypatch.setattr(sys, "argv", arguments)
    scores.main()
    printed = capsys.readouterr().out
    assert printed.count(" one ") == printed.count(" both ") == 4  # two stems, two metrics
    assert printed.count(" to ") == 4


def test_a_split_that_is_not_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["scores.py", "--data", str(tmp_path), "--model", "unet"])
    with pytest.raises(SystemExit, match="no such folder"):
        scores.main()
    with pytest.raises(UnmixError, match="no such folder"):
        measure("unet", tmp_path, [SPLITS["mir1k/test"]])


@pytest.mark.parametrize("name", [name for name in recipes() if not name.startswith("mir1k-")])
def test_no_recipe_trains_on_what_is_scored(name: str) -> None:
    """But those of MIR-1K's table, which has splits of its own."""
    train = read_recipe(recipes()[name]).train
    assert train
    unpaired = train.semi_supervised.corpora if train.semi_supervised else ()
    for corpus, split in product([*train.corpora, *unpaired], SPLITS.values()):
        ours, theirs = PurePosixPath(corpus.path), PurePosixPath(split.folder)
        assert not ours.is_relative_to(theirs) or ours == theirs
        if theirs.is_relative_to(ours):
            left_out = {pattern.removesuffix("_*") for pattern in split.tracks}
            assert left_out
            assert left_out <= set(corpus.exclude)


def test_a_card_holds_every_score_picture_and_note(report: Report) -> None:
    split = Split("Songs", "dev", "songs")
    entry: ModelEntry = list_models()[0].model_copy(
        update={"stages": ("first", "second"), "scores": tuple(scores_of({split: report}))}
    )
    held = {"step": 12, "seconds": 120.0, "recipe": {"train": {"seed": 3, "batch_size": 2}}}
    text = card(
        entry,
        held,
        {split: report},
        differences="It changed.",
        calibrated={"ceiling": 0.9},
        notes="# data\n\nof our own\n\n# failures\n\nwhispers\n",
        pictures=["a.png", "b.png"],
    )
    for score in entry.scores:
        row = f"| {score.dataset} | {score.split} | {score.stem} | {score.metric} | "
        assert f"{row}{score.aggregation} | {score.value:.2f} |" in text
    for words in (
        f"`{entry.sha256}`",
        f"{entry.parameters:,} parameters",
        "of our own",
        "whispers",
        "(a.png)",
        "(b.png)",
        "`first`, then `second`",
        "seed 3, 12 steps of\n2 excerpts in each process in 2 minutes. It changed.",
        "`ceiling` = 0.9",
        "- Songs dev, vocals: 1 of 1 tracks",
    ):
        assert words in text
    again = entry.model_copy(update={"scores": entry.scores[:1]})
    other = with_scores(text, again, {split: report})
    assert with_scores(other, entry, {split: report}) == text
    assert other.count("| Songs |") == 1
    with pytest.raises(UnmixError, match="no comments <!-- scores"):
        with_scores("# unet", entry, {})


def test_measured_anew_a_model_keeps_its_weights_and_notes(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = next(model for model in list_models() if model.name == "unet")
    folder = tmp_path / "pretrained"
    shutil.copytree(entry.weights.parent, folder / "unet")
    readme = folder / "README.md"
    readme.write_text("<!-- models: a table -->\n<!-- /models -->\n", encoding="utf-8")
    monkeypatch.setattr(manifest, "PRETRAINED", folder)
    monkeypatch.setattr(manifest, "TABLE", replace(manifest.TABLE, path=readme))
    shutil.copy(entry.weights.parents[1] / "manifest.toml", folder)
    for name in [*SPLITS]:
        monkeypatch.delitem(SPLITS, name)
    monkeypatch.setitem(SPLITS, "songs", Split("Songs", "dev", "songs"))
    kept = entry.scores[0].model_copy(update={"metric": "another", "dataset": "Kept"})
    before = (folder / "unet" / "card.md").read_text(encoding="utf-8")
    scores.rescore(entry.model_copy(update={"scores": (*entry.scores, kept)}), data)
    written = Manifest.model_validate(read_toml(folder / "manifest.toml"))
    found = {model.name: model for model in written.models}
    assert {score.dataset for score in found["unet"].scores} == {"Songs", "Kept"}
    assert found["unet"].model_copy(update={"scores": entry.scores}) == entry
    assert [*found] == [model.name for model in list_models()]
    after = (folder / "unet" / "card.md").read_text(encoding="utf-8")
    assert after != before
    assert after.split("## Scores")[0] == before.split("## Scores")[0]
    assert after.split("## Pictures")[1] == before.split("## Pictures")[1]
    assert "| Songs | dev | vocals |" in after
    rows = {tuple(row[0:1] + row[4:5]) for row in manifest.models_rows()}
    assert ("`unet`", "Songs, dev") in rows
    assert manifest.TABLE.markdown(manifest.models_rows()) in readme.read_text("utf-8")
