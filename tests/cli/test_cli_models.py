"""``unmix models``: list, download, import and check models."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unmix.audio import read_audio
from unmix.recipes.reading import recipes
from unmix.weights.cache import record_sha256, recorded_sha256, weights_path
from unmix.weights.manifest import (
    ModelEntry,
    Score,
    find_model,
    find_published,
    list_models,
    list_published,
)

pytestmark = pytest.mark.usefixtures("cache")

Unmix = Callable[..., Any]
COMMANDS = ("list", "download", "path", "verify", "import", "architectures")
ENTRIES = [
    ModelEntry(
        name=name,
        aliases=(f"{name}-alias",),
        purpose="eighteen letters..",
        summary="a model",
        architecture="unet",
        stems=("vocals", "accompaniment"),
        sample_rate=44100,
        audio_channels=2,
        parameters=1000,
        size=12_345_678,
        sha256="0" * 64,
        licence="MIT",
        training_data=("noise",),
        since="0.1.0",
        scores=tuple(
            Score(
                dataset="musdb18-7",
                split="dev",
                stem=stem,
                metric="museval SDR",
                aggregation="median",
                value=value,
            )
            for stem, value in (("accompaniment", 8.68), ("vocals", 4.591))
        ),
    )
    for name in ("first", "second")
]


@pytest.fixture
def chainer(shared: Path) -> Path:
    """A real, small file of foreign weights."""
    return shared / "parity_tf" / "chainer_unet_reduced.model"


def _words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_terminal_and_says_the_exit_codes(unmix: Unmix, command: str) -> None:
    outcome = unmix("models", command, "--help")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    assert "Exit codes: 0 all done, 1 something failed, 2 wrong usage" in outcome.out
    assert f"│ {command}" in unmix("models", "--help").out
    assert not {"{file}", "{name}", "{NAME...}..."} & set(outcome.out.split())


@pytest.mark.parametrize("command", [[], ["list"]])
def test_each_model_is_one_line_of_at_most_80_columns(
    unmix: Unmix, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr("unmix.weights.manifest.list_models", lambda: ENTRIES)
    outcome = unmix("models", *command)
    for words in (
        "default vocals, accompaniment eighteen letters.. *4.59 12.3 MIT",
        "second-alias vocals, accompaniment eighteen letters.. *4.59 12.3 MIT",
        "spleeter-4stems 4 stems *6.55 MIT",
        "unet-16khz vocals, accompaniment none",
    ):
        assert words in map(_words, outcome.out.splitlines())
    assert max(map(len, outcome.out.splitlines())) <= 80
    for entry in list_published():
        assert sum(line.startswith(f"{entry.name} ") for line in outcome.out.splitlines()) == 1
    for words in ("To download: unmix models download NAME", "To fetch by hand:", "SDR of the"):
        assert words in outcome.out
    [last] = outcome.err.splitlines()
    assert len(last) <= 80
    for words in ("unmix models --all", "unmix models architectures"):
        assert words in last
    everything = _words(unmix("models", *command, "--all").out)
    for words in (
        "first (default) (first-alias) vocals, accompaniment 44.1 kHz 12.3 MB",
        "second unet MIT",
        "second musdb18-7/dev museval SDR, median vocals 4.59, accompaniment 8.68",
    ):
        assert words in everything
    outcome = unmix("models", *command, "--json")
    assert outcome.err == ""
    listed = json.loads(outcome.out)["models"]
    assert [(entry.pop("default"), entry.pop("where")) for entry in listed] == [
        (True, "package"),
        (False, "package"),
    ]
    assert [ModelEntry(**entry) for entry in listed] == ENTRIES


def test_every_model_of_the_package_has_a_line_that_fits(unmix: Unmix) -> None:
    printed = unmix("models").out.partition("To download")[0].splitlines()
    assert max(len(line.rstrip()) for line in printed) <= 80
    names = [line.split()[0] for line in printed[2:] if line]
    assert names[0] == "default"
    for name, entry in zip(names, list_models(), strict=True):
        assert find_model(name) == entry
        assert 0 < len(entry.purpose) <= 18
        line = next(line for line in printed if line.startswith(f"{name} "))
        stems = entry.stems if len(entry.stems) == 2 else ["4 stems"]
        for words in (*stems, entry.purpose, "non-commercial"):
            assert words in line
        assert re.search(r" \*?\d+\.\d\d ", line)


def test_models_are_chosen_by_their_aliases(unmix: Unmix) -> None:
    aliases = [alias for entry in list_models() for alias in entry.aliases]
    assert "tiny" in aliases
    assert len({*aliases, *(entry.name for entry in list_models()), "default"}) == (
        len(aliases) + len(list_models()) + 1
    )
    assert find_model("tiny").name == "tfc-tdf-tiny"
    assert unmix("models", "path", "tiny").out == unmix("models", "path", "tfc-tdf-tiny").out
    assert unmix("models", "verify", "tiny").out == "tfc-tdf-tiny: ok\n"
    outcome = unmix("models", "path", "huge")
    assert outcome.code == 1
    for words in ("tfc-tdf-deep (default)", "tfc-tdf-tiny (tiny)"):
        assert words in outcome.errors[0]
    outcome = unmix("models", "download", "tiny")
    assert "tiny is on this machine already" in outcome.errors[0]


def test_no_models_is_said(unmix: Unmix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unmix.weights.manifest.list_models", list)
    outcome = unmix("models")
    assert outcome.code == 0
    assert "no model on this machine" in outcome.err
    assert "spleeter-2stems" in outcome.out
    assert json.loads(unmix("models", "--json").out) == {"models": []}


def test_all_lists_what_others_published_with_where_its_scores_are_from(unmix: Unmix) -> None:
    outcome = unmix("models", "--all")
    assert (outcome.code, outcome.err) == (0, "")
    assert max(map(len, outcome.out.splitlines())) <= 80
    for entry in list_published():
        assert f" {entry.name} " in outcome.out
    for words in ("To download: unmix models download NAME", "To fetch by hand:", "README"):
        assert words in _words(outcome.out)
    listed = {m["name"]: m for m in json.loads(unmix("models", "--all", "--json").out)["models"]}
    assert listed["unet-16khz"]["where"] == "by hand"
    assert listed["spleeter-4stems"]["where"] == "download"
    assert listed["spleeter-4stems"]["scores"][0]["source"] == "the paper"
    assert listed["resunet-vocals"]["recipe"] == "resunet"


def test_weights_of_others_come_in_and_are_used(
    unmix: Unmix, chainer: Path, excerpt: Path, cache: Path, tmp_path: Path
) -> None:
    outcome = unmix("models", "import", chainer, "--as", "unet-16khz", "--licence", "to settle")
    weights = cache / "models" / "unet-16khz" / "weights.safetensors"
    assert (outcome.code, outcome.out) == (0, f"{weights}\n")
    for line in (
        "architecture: unet",
        "stems: vocals, accompaniment",
        f"sha256: {sha256(weights.read_bytes()).hexdigest()}",
        "use it: unmix separate SONG --model unet-16khz",
    ):
        assert line in outcome.err.splitlines()
    assert "parameters: " in outcome.err
    listed = json.loads(unmix("models", "--json").out)["models"][-1]
    assert (listed["name"], listed["where"], listed["licence"]) == (
        "unet-16khz",
        "cache",
        "to settle",
    )
    assert listed["path"] == str(weights)
    # As of every other model: what a recording is split into, which is more than the estimates.
    assert listed["stems"] == ["vocals", "accompaniment"]
    assert "unet-16khz vocals, accompaniment" in _words(unmix("models").out)
    assert "In the cache" in unmix("models").out
    assert " unet-16khz " not in unmix("models", "--all").out.partition("by hand")[2]
    outcome = unmix("separate", excerpt, "-m", "unet-16khz", "-o", tmp_path / "out", "--json")
    assert outcome.code == 0
    assert unmix("models", "path", "unet-16khz").out == f"{weights}\n"


def test_imports_have_a_name_or_a_file_of_their_own(
    unmix: Unmix, chainer: Path, cache: Path, tmp_path: Path
) -> None:
    said = ("models", "import", chainer, "--as", "unet-16khz")
    for stem, stems in (("drums", ["drums", "residual"]), ("vocals", ["vocals", "accompaniment"])):
        assert unmix(*said, "--name", "mine", "--stems", stem, "--overwrite").code == 0
        assert json.loads(unmix("models", "--json").out)["models"][-1]["stems"] == stems
    assert unmix(*said, "--name", "mine").code == 1
    assert unmix(*said, "--name", "mine", "--overwrite").code == 0
    out = tmp_path / "sub" / "file.safetensors"
    outcome = unmix(*said, "--out", out)
    assert (outcome.code, outcome.out) == (0, f"{out}\n")
    assert f"--model {out}" in outcome.err
    assert [path.name for path in (cache / "models").iterdir()] == ["mine"]
    for more, sentence, code in (
        (["--name", "unet"], "unet is a model of the package", 1),
        (["--name", "tiny"], "tiny is a model of the package", 1),
        (["--name", "a/b"], "cannot be a model's name", 1),
        (["--out", tmp_path / "x.bin"], "must end in .safetensors", 1),
        (["--out", out, "--name", "mine"], "cannot be used together", 2),
    ):
        outcome = unmix(*said, *more)
        assert outcome.code == code
        assert sentence in _words(outcome.err.replace("│", " "))


def test_what_cannot_be_imported_leaves_nothing(
    unmix: Unmix, chainer: Path, excerpt: Path, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "above" / "below").mkdir(parents=True)
    (tmp_path / "above" / "below" / "model.index").touch()
    for file, recipe, sentence in (
        (excerpt.with_name("nothing"), "unet-16khz", "no such file; expected a Chainer archive"),
        (excerpt, "nonsense", "unknown recipe"),
        (tmp_path / "above", "spleeter-2stems", "found no .index file"),
        (tmp_path / "above", "unet-16khz", "a folder, not a file; expected a Chainer"),
        (Path(os.devnull), "spleeter-2stems", "not a TensorFlow checkpoint"),
        (Path(os.devnull), "unet-16khz", "neither a file nor a folder; expected a Chainer"),
        # From here on the file must be read to see that it is wrong.
        (excerpt, "unet-16khz", "expected a Chainer archive"),
        (chainer, "spleeter-2stems", "expected model in it (a TensorFlow checkpoint of Spleeter"),
    ):
        assert not cache.exists() or file in (excerpt, chainer)
        outcome = unmix("models", "import", file, "--as", recipe)
        assert (outcome.code, outcome.out) == (1, "")
        assert len(outcome.errors) == len(outcome.err.splitlines()) == 1
        assert sentence in outcome.err
    assert not [path for path in cache.rglob("*") if path.is_file()]
    assert unmix("models", "verify", "unet-16khz").code == 1


def test_verify_finds_damage(unmix: Unmix, chainer: Path) -> None:
    unmix("models", "import", chainer, "--as", "unet-16khz", "--name", "mine")
    outcome = unmix("models", "verify")
    assert (outcome.code, outcome.err) == (0, "")
    own = "".join(f"{entry.name}: ok\n" for entry in list_models())
    assert outcome.out == f"{own}mine: ok\n"
    weights = weights_path("mine")
    weights.write_bytes(weights.read_bytes() + b" ")
    outcome = unmix("models", "verify")
    assert (outcome.code, outcome.out) == (1, own)
    for part in ("mine", "expected sha256", str(recorded_sha256(weights)), "remove "):
        assert part in outcome.errors[0]
    assert unmix("models", "verify", "unet").code == 0
    assert unmix("models", "verify", "nope").code == 1
    record_sha256(weights, None)
    outcome = unmix("models", "verify", "mine")
    assert outcome.code == 0
    assert "no recorded sha256" in outcome.err
    weights.write_bytes(b"nonsense")
    outcome = unmix("models")
    assert outcome.code == 0
    assert outcome.err.startswith(f"warning: {weights}: damaged")


def test_architectures_name_their_papers_and_recipes(unmix: Unmix) -> None:
    listed = json.loads(unmix("models", "architectures", "--json").out)["architectures"]
    assert {"unet", "spleeter", "wave-unet"} <= {entry["name"] for entry in listed}
    assert all("et al." in entry["about"] for entry in listed)
    assert {name for entry in listed for name in entry["recipes"]} == set(recipes())
    text = unmix("models", "architectures").out
    assert "unet: The U-Net of Jansson et al." in text
    assert "unet-16khz" in text


@pytest.fixture
def published(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server with a real, small checkpoint as Spleeter's archive; what it was asked for."""
    folder = tmp_path / "net"
    folder.mkdir()
    with tarfile.open(folder / "2stems.tar.gz", "w:gz") as archive:
        for path in (shared / "parity_tf" / "spleeter_2stems_reduced_released").iterdir():
            archive.add(path, path.name)
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    handler = partial(Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        entry = find_published("spleeter-2stems")
        assert entry
        entry = entry.model_copy(
            update={
                "url": f"http://127.0.0.1:{server.server_port}/2stems.tar.gz",
                "sha256": sha256((folder / "2stems.tar.gz").read_bytes()).hexdigest(),
            }
        )
        for module in ("manifest", "download"):
            monkeypatch.setattr(f"unmix.weights.{module}.list_published", lambda: [entry])
        yield asked
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_from_the_net_to_stems(
    unmix: Unmix, published: list[str], excerpt: Path, cache: Path, tmp_path: Path
) -> None:
    separate = ("separate", excerpt, "-m", "spleeter-2stems", "-o", tmp_path / "out", "--json")
    outcome = unmix(*separate, "--bit-depth", 32)
    assert outcome.code == 1
    assert "run `unmix models download spleeter-2stems`" in outcome.errors[0]
    outcome = unmix("models", "download", "spleeter-2stems")
    weights = cache / "models" / "spleeter-2stems" / "weights.safetensors"
    assert (outcome.code, outcome.out) == (0, f"{weights}\n")
    assert "downloaded and converted" in outcome.err
    assert len(published) == 1
    outcome = unmix("models", "download", "spleeter-2stems", "nonsense")
    assert (outcome.code, outcome.out) == (1, f"{weights}\n")
    assert "spleeter-2stems: already downloaded" in outcome.err
    assert "unknown model 'nonsense'" in outcome.errors[0]
    assert len(published) == 1
    assert unmix("models", "verify", "spleeter-2stems").code == 0
    outcome = unmix(*separate, "--bit-depth", 32)
    assert outcome.code == 0, outcome.err
    [song] = json.loads(outcome.out)["songs"]
    mixture, _ = read_audio(excerpt)
    stems = [read_audio(Path(path))[0] for path in song["stems"].values()]
    np.testing.assert_allclose(sum(stems), mixture, atol=1e-5)
    filtered = unmix(*separate, "--bit-depth", 32, "--wiener", 1, "--overwrite")
    assert filtered.code == 0, filtered.err
    again = read_audio(Path(song["stems"]["vocals"]))[0]
    assert not np.allclose(again, stems[list(song["stems"]).index("vocals")], atol=1e-4)


def test_an_interrupted_download_says_how_to_go_on(
    unmix: Unmix, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(name: str, **_: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr("unmix.weights.download.download", interrupt)
    outcome = unmix("models", "download", "spleeter-2stems")
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err == "Interrupted. Run the same command again to resume.\n"


@pytest.mark.parametrize("command", ["list --all", "path unet", "verify"])
def test_what_only_looks_needs_no_torch(command: str) -> None:
    script = f"""
import sys
from unmix.cli import main
try: main(["models", *{command.split()!r}])
except SystemExit as stopped: assert not stopped.code
assert not {{"torch", "numpy", "requests"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
