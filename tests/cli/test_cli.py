"""The command line as a whole: help, usage, models, and errors that are one line."""

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from unmix import __version__
from unmix.audio import FORMATS
from unmix.cli import _options, main

Unmix = Callable[..., Any]
VERBS = ("separate", "karaoke", "plot", "models", "data", "train", "evaluate")


def test_version(unmix: Unmix) -> None:
    outcome = unmix("--version")
    assert (outcome.code, outcome.out) == (0, f"unmix {__version__}\n")


def test_python_m_unmix_is_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "unmix", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"unmix {__version__}\n"


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_fits_a_terminal_and_says_the_exit_codes(unmix: Unmix, verb: str) -> None:
    outcome = unmix(*verb.split(), "--help")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "Exit codes: 0 all done, 1 something failed, 2 wrong usage" in outcome.out


def test_every_verb_is_listed(unmix: Unmix) -> None:
    listed = unmix("--help").out
    assert all(f"│ {verb}" in listed for verb in VERBS)


def test_choices_are_those_of_the_rooms() -> None:
    """The command line repeats them, as asking the rooms would import torch for ``--help``."""
    from unmix.devices import choose_precision
    from unmix.separation.separator import QUALITIES

    assert tuple(_options.Format) == FORMATS
    assert tuple(_options.QualityName) == tuple(QUALITIES)
    assert all(choose_precision(name, _gpu()) for name in _options.Precision if name != "auto")


def _gpu() -> Any:
    import torch

    return torch.device("cuda")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["separate"], "Missing argument"),
        (["separate", "a.wav", "--format", "mp5"], "--format"),
        (["separate", "a.wav", "--bit-depth", "8"], "--bit-depth"),
        (["separate", "a.wav", "--bit-depth", "x"], "--bit-depth"),
        (["separate", "a.wav", "--quality", "perfect"], "--quality"),
        (["separate", "a.wav", "--precision", "int8"], "--precision"),
        (["separate", "a.wav", "--overlap", "1"], "--overlap"),
        (["separate", "a.wav", "--shifts", "0"], "--shifts"),
        (["separate", "a.wav", "--chunk", "ten"], "--chunk"),
        (["separate", "a.wav", "--batch-size", "0"], "--batch-size"),
        (["separate", "a.wav", "--template", "{singer}"], "unknown field {singer}"),
        (["separate", "a.wav", "--bitrate", "192k"], "wav is lossless"),
        (["separate", "a.wav", "--format", "mp3", "--bitrate", "loud"], "unknown bit rate"),
        (["separate", "a.wav", "--format", "flac", "--bit-depth", "32"], "needs wav"),
        (["separate", "a.wav", "--overwrite", "--skip-existing"], "cannot be used together"),
        (["separate", "a.wav", "--nonsense"], "--nonsense"),
        (["karaoke", "a.wav", "--guide", "3"], "--guide"),
        (["karaoke", "a.wav", "--guide", "nan"], "--guide"),
        (["karaoke", "a.wav", "--format", "mp3", "--bit-depth", "16"], "no bit depth"),
        (["evaluate", "--data", ".", "--quality", "superb"], "--quality"),
        (["plot"], "Missing argument"),
        (["sing"], "sing"),
    ],
)
def test_wrong_usage_is_reported_and_exits_with_2(
    unmix: Unmix, arguments: list[str], sentence: str
) -> None:
    outcome = unmix(*arguments)
    assert outcome.code == 2
    assert outcome.out == ""
    assert sentence in " ".join(outcome.err.replace("│", " ").split())


def test_mistakes_anywhere_are_one_line(unmix: Unmix) -> None:
    outcome = unmix("train", "no-such-recipe.toml", "--data", ".")
    assert (outcome.code, outcome.out) == (1, "")
    assert len(outcome.errors) == len(outcome.err.splitlines()) == 1


def test_a_missing_extra_names_the_remedy(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise ModuleNotFoundError("No module named 'lightning.fabric'", name="lightning.fabric")

    monkeypatch.setattr("unmix.cli.app", fail)
    with pytest.raises(SystemExit, match="1"):
        main([])
    assert "pip install 'unmix[train]'" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of POSIX")
def test_what_is_run_under_nohup_outlives_its_terminal(unmix: Unmix) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    unmix("models")
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    unmix("models")
    assert callable(signal.getsignal(signal.SIGHUP))
