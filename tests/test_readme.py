"""The README is true: its commands and its Python run, what it names exists, and it stays short."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from unmix.cli import app, main
from unmix.recipes.reading import find_recipe
from unmix.training.config import read_recipe
from unmix.weights.manifest import find_model, list_models

MakeSong = Callable[..., Path]

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Every page with commands for users: the README, and those of the rooms.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("*/README.md"))]
PAGES += [*sorted(ROOT.glob("unmix/*/README.md")), *sorted(ROOT.glob("tools/*/README.md"))]
PAGES += [*sorted(ROOT.glob("pretrained/*/card.md"))]
#: Verbs that have verbs of their own.
GROUPS = ("models", "data")
EXCERPT = "joshua-morin_on-the-run_excerpt"
#: Commands that no test runs, and why.
NOT_RUN = {
    "python3 -m venv .venv": "needs the network; .ci/run runs it",
    ".venv/bin/pip install .": "needs the network; test_packaging builds the wheel and uses it",
    ".venv/bin/pip install -e '.[test]'": "needs the network; .ci/run runs it",
    ".venv/bin/python -m pytest": "is what runs this",
    "pip install '.[train]'": "needs the network; test_extras_exist looks for the extra",
    "pip install '.[evaluate]'": "needs the network; test_extras_exist looks for the extra",
}
SMALL = "--batch-size 1 --workers 0"
#: What makes a command cheap. It is added behind the command as it is printed.
CHEAPER = {
    "unmix train tfc-tdf --data DATA --out runs/mine": f"--steps 1 {SMALL}",
    "unmix train tfc-tdf --data DATA --out runs/mine --resume": f"--steps 2 {SMALL}",
    "unmix evaluate --data musdb:MUSDB18 --out report": "--examples 1 --baselines mixture",
}


def _blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def _commands(text: str) -> list[str]:
    """Return the commands of a page in their order, without comments."""
    lines = "".join(_blocks(text, "sh")).replace("\\\n", " ").splitlines()
    return [
        command
        for line in lines
        if (whole := re.split(r"(?:^|\s{2,})#", line)[0].strip())
        for command in whole.split(" && ")
    ]


def _words(command: str) -> list[str]:
    """Return the words behind ``unmix`` in a command; none if it runs something else."""
    words = shlex.split(command)
    names = [Path(word).name for word in words]
    return words[names.index("unmix") + 1 :] if "unmix" in names else []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder with the tests of the clone in it; signals are put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield tmp_path
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _run(command: str, *more: str) -> None:
    """Run a command in this process, with more words behind those that are printed."""
    words = [*_words(command), *CHEAPER.get(command, "").split(), *more]
    assert words, f"{command}: neither run nor in NOT_RUN"
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert not stopped.value.code, command


def _section(heading: str) -> list[str]:
    (text,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    return [command for command in _commands(text) if command not in NOT_RUN]


def _noise(path: Path, seconds: float = 2.0, channels: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(len(str(path))).normal(
        0, 0.1, (round(seconds * 44100), channels)
    )
    soundfile.write(path, samples, 44100)


def test_every_section_with_commands_is_run() -> None:
    held = [
        command
        for section in ("Install", "Your songs", "Karaoke", "Train", "Evaluate", "Develop")
        for command in _section(section)
    ]
    assert {*held, *NOT_RUN} == {*_commands(README)}
    assert set(CHEAPER) <= set(held)


@pytest.mark.slow
def test_the_first_command_draws_and_separates(folder: Path) -> None:
    (command,) = _section("Install")
    _run(command)
    written = {path.name for path in (folder / "separated" / EXCERPT).iterdir()}
    assert {"vocals.wav", "accompaniment.wav"} < written
    assert any(name.endswith(".png") for name in written)


@pytest.mark.slow
def test_the_commands_for_songs_run(folder: Path, make_song: MakeSong) -> None:
    for name in ("SONG.mp3", "SONG.m4a", "one.flac", "Music/deep/two.ogg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        make_song(folder / name)
    for command in _section("Your songs"):
        own = command == "unmix models" or "drums" in command  # tiny has no drums
        _run(command, *(() if own else ("--model", "tiny")))
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {
        "separated/SONG/vocals.wav",
        "separated/SONG/accompaniment.wav",
        "separated/one/vocals.flac",
        "separated/deep/two/vocals.wav",
        "SONG (spectrograms).png",
    } <= written
    assert sum(name.endswith("/vocals.mp3") for name in written) == 1


@pytest.mark.slow
def test_the_commands_for_karaoke_run(
    folder: Path, make_song: MakeSong, make_video: Callable[..., Path]
) -> None:
    make_song(folder / "SONG.mp3")
    make_video(folder / "VIDEO.mp4", "libx264", "aac")
    for command in _section("Karaoke"):
        _run(command, "--model", "tiny")
        (folder / "SONG (karaoke).mp3").unlink(missing_ok=True)
    assert (folder / "VIDEO (karaoke).mp4").is_file()


@pytest.mark.slow
def test_the_commands_for_training_run(folder: Path, make_song: MakeSong) -> None:
    recipe = read_recipe(find_recipe("tfc-tdf")).train
    for corpus in recipe.corpora:
        where = folder / "DATA" / corpus.path
        names = (
            [f"{corpus.single}/1.wav"] if corpus.single else ["1/vocals.wav", "1/accompaniment.wav"]
        )
        for name in names:
            _noise(where / name, seconds=4.0)
    for path in recipe.validation:
        for stem in ("vocals", "accompaniment"):
            _noise(folder / "DATA" / path / "1" / f"{stem}.wav")
    make_song(folder / "SONG.mp3")
    for command in _section("Train"):
        _run(command)
    assert (folder / "separated" / "SONG" / "vocals.wav").is_file()


@pytest.mark.slow
def test_the_commands_for_evaluation_run(folder: Path) -> None:
    for stem in ("mixture", "vocals", "drums", "bass", "other"):
        _noise(folder / "MUSDB18" / "test" / "Al James - Schoolboy" / f"{stem}.wav")
    for root in ("SONGS", "DEMUCS"):
        for stem in ("vocals", "accompaniment"):
            _noise(folder / root / "one" / f"{stem}.wav")
    for command in _section("Evaluate"):
        if "other-report" in command:
            shutil.copytree("report", "other-report")
        _run(command)
    assert (folder / "report" / "index.html").is_file()


@pytest.mark.parametrize(
    "command",
    sorted(
        {
            command
            for page in PAGES
            for command in _commands(page.read_text(encoding="utf-8"))
            if _words(command) and "pip install" not in command and "torchrun" not in command
        }
    ),
)
def test_every_option_exists(command: str) -> None:
    words = _words(command)
    verbs = words[: 2 if words[0] in GROUPS and words[1:] and words[1][0] != "-" else 1]
    shown = CliRunner().invoke(app, [*verbs, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"{word}\b", shown.output), f"{' '.join(verbs)} has no {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        assert (page.parent / link).exists(), link
    for name in re.findall(r"`((?:unmix|tests|tools|pretrained)/[\w./-]+)`", text):
        assert (
            (ROOT / name).exists()
            or name == "unmix/models/linknet.py"
            or (name == "unmix/recipes/linknet.toml")
        ), name
    for tool in re.findall(r"python -m (tools[\w.]*\w)", text):
        path = ROOT / tool.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), tool


def test_extras_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for page in PAGES:
        for extra in re.findall(r"(?:unmix|'\.)\[([\w-]+)\]", page.read_text(encoding="utf-8")):
            assert extra in project["optional-dependencies"], f"{page}: {extra}"


def test_it_fits_in_nine_kilobytes() -> None:
    assert len(README.encode()) <= 9000


def test_the_models_table_is_the_manifests() -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in README.partition("## Models")[2].partition("## ")[0].splitlines()
        if line.startswith("| `")
    ]
    assert len(rows) == len(list_models())
    for (names, stems, purpose, sdr, size, _), entry in zip(rows, list_models(), strict=True):
        for name in re.findall("`(.*?)`", names):
            assert find_model(name) == entry
        assert (stems, purpose) == (", ".join(entry.stems), entry.purpose)
        assert size == f"{entry.size / 2**20:.1f} MiB"
        scores = {
            score.value
            for score in entry.scores
            if (score.dataset, score.split, score.stem) == ("MUSDB18-7", "test", "vocals")
            and score.metric.startswith("SDR (museval")
        }
        assert sdr == "".join(f"{value:.2f}" for value in scores)


def test_continuous_integration_runs_its_command() -> None:
    (line,) = re.findall(r"^python3 -m venv .* pytest$", README, re.MULTILINE)
    assert "pip install -e '.[test]'" in line
    assert "README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
