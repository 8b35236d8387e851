"""The wheel, on its own: built, unpacked elsewhere, and used from another directory."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).parents[1]
EXCERPT = ROOT / "tests" / "songs" / "joshua-morin_on-the-run_excerpt.ogg"


def _run(command: Sequence[str], folder: Path, site: Path | None = None) -> str:
    environment = dict(os.environ)
    environment.pop("PYTHONPATH", None)
    if site:
        environment["PYTHONPATH"] = str(site)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build from a copy, so that no build folder is left in the tree."""
    folder = tmp_path_factory.mktemp("build")
    tracked = _run(["git", "ls-files", "-co", "--exclude-standard"], ROOT).splitlines()
    for name in tracked:
        if name.startswith(("unmix/", "pretrained/")) or "/" not in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    _run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "-q",
            "-w",
            "dist",
            ".",
        ],
        folder,
    )
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "unmix/py.typed",
        "unmix/recipes/unet.toml",
        "unmix/pretrained/manifest.toml",
        "unmix/pretrained/published.toml",
        "unmix/cli/separate.py",
    ):
        assert needed in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"unmix"}
    weights = {n.split("/")[2] for n in names if n.endswith("weights.safetensors")}
    assert weights == {p.parent.name for p in (ROOT / "pretrained").glob("*/weights.safetensors")}
    assert wheel.stat().st_size <= 80 * 2**20


@pytest.mark.slow
def test_the_wheel_separates_from_another_directory(wheel: Path, tmp_path: Path) -> None:
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(wheel).extractall(site)
    where = _run([sys.executable, "-c", "import unmix; print(unmix.__file__)"], elsewhere, site)
    assert Path(where.strip()).is_relative_to(site)
    _run([sys.executable, "-m", "unmix", "separate", str(EXCERPT), "-o", "out"], elsewhere, site)
    expected = soundfile.info(EXCERPT)
    for stem in ("vocals", "accompaniment"):
        info = soundfile.info(elsewhere / "out" / EXCERPT.stem / f"{stem}.wav")
        assert (info.frames, info.samplerate) == (expected.frames, expected.samplerate)
