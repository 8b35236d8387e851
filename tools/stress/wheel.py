"""The built wheel in fresh environments of every supported Python: the main job, run from there."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

from unmix.audio import open_audio

from ..benchmark.measuring import EXCERPT
from ..tables import ROOT
from .counting import Counts, Report
from .job import fault_of

FAULTS = ("failed versions",)


def wheel(options: argparse.Namespace, folder: Path) -> Report:
    """Build the wheel, install it for each Python of this machine, and separate a song there.

    A version that this machine lacks is said, and is no fault: versions are looked for on PATH,
    with uv and with pyenv. The installed package has to separate the song that ships with the
    project into whole stems, from a folder that is not the clone.
    """
    counts = Counts(FAULTS, options.keep)
    built = build_wheel(folder)
    passed: list[str] = []
    missing: list[str] = []
    for version in options.versions.split(","):
        python = find_python(version)
        if python is None:
            missing.append(version)
            continue
        counts.tried += 1
        print(f"Python {version}: {python}", flush=True)
        if text := try_python(python, built, folder / version):
            counts.fault("failed versions", version, text)
        else:
            passed.append(version)
        shutil.rmtree(folder / version, ignore_errors=True)
    notes = [f"passed on {', '.join(passed) or 'none'}"]
    if missing:
        notes.append(f"not on this machine: {', '.join(missing)}")
    what = f"the built wheel in fresh environments of {options.versions}: the main job"
    return Report(what, f"{counts.figures('versions')}; {'; '.join(notes)}", counts.total)


def build_wheel(folder: Path) -> Path:
    """Build the wheel of a copy of the project's files, so that nothing else gets into it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    source = folder / "source"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(folder), str(source))
    (built,) = folder.glob("unmix-*.whl")
    return built


def find_python(version: str) -> str | None:
    """Return a Python of a version such as "3.12" that works, None if there is none."""
    known = [shutil.which(f"python{version}")]
    if shutil.which("uv"):
        known.append(_said("uv", "python", "find", "--no-python-downloads", version))
    if root := shutil.which("pyenv") and _said("pyenv", "root"):
        known += map(str, sorted(Path(root).glob(f"versions/{version}.*/bin/python{version}")))
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return next((path for path in known if path and _said(path, "-c", code) == version), None)


def try_python(python: str, built: Path, folder: Path) -> str:
    """Install a wheel into a new environment and separate a song; return what fails, or ""."""
    folder.mkdir()
    own = folder / "venv" / "bin" / "python"
    out = folder / "out"
    try:
        _run(python, "-m", "venv", str(folder / "venv"))
        _run(str(own), "-m", "pip", "install", "-q", str(built))
        song = shutil.copy2(EXCERPT, folder / "song.ogg")
        _run(str(own), "-m", "unmix", "separate", str(song), "--out", str(out), cwd=folder)
        with open_audio(song) as reader:
            samples = sum(block.shape[1] for block in reader.blocks())
        stems = sorted(out.rglob("*.wav"))
        if [path.stem for path in stems] != ["accompaniment", "vocals"]:
            return f"the stems are {', '.join(map(str, stems))}"
        return "; ".join(text for path in stems if (text := fault_of(path, samples)))
    except subprocess.CalledProcessError as error:
        return f"{error}: {error.output[-2000:]}"
    except Exception:
        return traceback.format_exc()


def _run(*command: str, cwd: Path | None = None) -> None:
    """Run a command without the paths of this clone."""
    subprocess.run(
        command,
        check=True,
        cwd=cwd,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _said(*command: str) -> str:
    """Return what a command prints, "" if it fails."""
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=_environment()
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
