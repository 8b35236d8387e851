"""The public face: every name is there, and none costs anything before it is used."""

import inspect
import subprocess
import sys

import pytest

import unmix
from unmix.errors import UnmixError

HEAVY = [
    "torch",
    "torchaudio",
    "torchmetrics",
    "lightning",
    "librosa",
    "numba",
    "sklearn",
    "numpy",
    "scipy",
    "pandas",
    "matplotlib",
    "av",
    "soundfile",
    "musdb",
    "museval",
    "gradio",
    "ray",
]
LIGHT = {
    "import": "import unmix",
    "version": "from unmix.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass",
    "help": "from unmix.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    "help of a verb": (
        "from unmix.cli import main\ntry: main(['separate', '--help'])\nexcept SystemExit: pass"
    ),
    "models": "from unmix.cli import main\ntry: main(['models'])\nexcept SystemExit: pass",
}


@pytest.mark.parametrize("name", unmix.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(unmix, name)
    assert name in dir(unmix)
    assert isinstance(value, str) or inspect.getdoc(value)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'separat'"):
        _ = unmix.separat  # type: ignore[attr-defined]


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")

    monkeypatch.delitem(vars(unmix), "evaluate", raising=False)
    monkeypatch.setattr(unmix, "import_module", fail)
    with pytest.raises(UnmixError, match=r"run `pip install 'unmix\[evaluate\]'`"):
        _ = unmix.evaluate


def test_public_functions_are_no_modules() -> None:
    """A module of the same name would take a function's place as soon as anybody imports it."""
    for name in ("separate", "karaoke", "evaluate", "load_model", "list_models"):
        assert inspect.isfunction(getattr(unmix, name))
        with pytest.raises(ModuleNotFoundError):
            __import__(f"unmix.{name}")


@pytest.mark.parametrize("code", LIGHT.values(), ids=LIGHT)
def test_light_things_import_nothing_heavy(code: str) -> None:
    """What makes a start slow is what it imports: seconds would be the machine's."""
    script = f"import sys\n{code}\nprint(*sys.modules, sep='\\n', file=sys.stderr)"
    run = [sys.executable, "-c", script]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    imported = set(done.stderr.splitlines())
    assert "unmix" in imported
    assert not imported & set(HEAVY)
