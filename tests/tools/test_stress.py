"""The stress tool counts: each kind of fault is found, and what is in order is none."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import pytest
import soundfile

from tools.stress import disk, fuzz, kill, load, wheel
from tools.stress.commands import fault_in
from tools.stress.counting import Counts
from tools.stress.damage import damages
from tools.stress.inputs import FAULTS, Judge
from tools.stress.job import HalvingSeparator, leftovers, separate_case
from tools.stress.pool import Case, Outcome, Pool
from tools.stress.seeds import Seed
from unmix import UnmixError

ROOT = Path(__file__).parents[2]
SHIM = ROOT / "tools" / "stress" / "shim.c"


def work(case: Case) -> Outcome:
    """Do what the case's job says."""
    if case.job == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if case.job == "hang":
        time.sleep(60)
    return Outcome("done", case.data.decode(), seconds=1.0)


def test_a_crash_and_a_hang_cost_one_case_each() -> None:
    jobs = ["done", "crash", "done", "hang", "done"]
    cases = [Case(str(index), b"x", job=job) for index, job in enumerate(jobs)]
    pool = Pool(lambda: work, workers=1, limit=0.3, memory=None)
    assert [(case.job, outcome.status) for case, outcome in pool.run(cases)] == [
        (job, job) for job in jobs
    ]


class Failing(HalvingSeparator):
    def __init__(self, error: Exception, act: Callable[[], object] = bool) -> None:
        self._error, self._act = error, act

    def stream(self, blocks, sample_rate):  # type: ignore[no-untyped-def]
        self._act()
        raise self._error
        yield


def wav(seconds: float = 1.0) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((round(8000 * seconds), 1)), 8000, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize(
    ("separator", "status"),
    [
        (HalvingSeparator(), "done"),
        (Failing(UnmixError("one sentence")), "refused"),
        (Failing(ZeroDivisionError()), "traceback"),
    ],
)
def test_a_song_is_done_refused_or_a_traceback(
    separator: HalvingSeparator, status: str, tmp_path: Path
) -> None:
    outcome = separate_case(Case("a.wav", wav()), tmp_path, separator)
    assert (outcome.status, outcome.partial, outcome.warned) == (status, (), False)
    assert not list(tmp_path.iterdir())


def test_what_a_job_leaves_is_found(tmp_path: Path) -> None:
    act = partial((tmp_path / "stray.tmp").write_bytes, b"")
    outcome = separate_case(Case("a.wav", wav()), tmp_path, Failing(UnmixError(""), act))
    assert outcome.partial == ("stray.tmp is left",)


def test_hidden_and_superfluous_files_are_leftovers(tmp_path: Path) -> None:
    (tmp_path / ".unmix-1").mkdir()
    for name in ("a.wav", "vocals.wav", ".unmix-1/vocals.wav"):
        (tmp_path / name).touch()
    song = tmp_path / "a.wav"
    hidden = [".unmix-1 is left", ".unmix-1/vocals.wav is left"]
    assert leftovers(tmp_path, 1, song) == hidden
    assert leftovers(tmp_path, 2, song) == [*hidden, "vocals.wav is left"]


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        (Outcome("crash"), "crashes"),
        (Outcome("hang"), "hangs"),
        (Outcome("traceback"), "tracebacks"),
        (Outcome("done", seconds=0.5), "silent shortfalls"),
        (Outcome("done", seconds=0.5, warned=True), None),
        (Outcome("done", seconds=0.95), None),
        (Outcome("refused"), None),
        (Outcome("done", seconds=1.0, partial=("a.part is left",)), "partial files"),
    ],
)
@pytest.mark.parametrize("whole_first", [True, False])
def test_each_fault_is_counted_once(
    outcome: Outcome, fault: str | None, whole_first: bool, tmp_path: Path
) -> None:
    counts = Counts(FAULTS, tmp_path)
    judged = [
        (Case("a.wav", b"", group="a.wav"), Outcome("done", seconds=1.0)),
        (Case("a-cut.wav", b"cut", group="a.wav", loses=True), outcome),
    ]
    judge = Judge(counts)
    for case, came in judged if whole_first else reversed(judged):
        judge.count(case, came)
    assert counts.faults == ({fault: 1} if fault else {})
    kept = tmp_path / (fault or "").replace(" ", "-") / "a-cut.wav"
    assert kept.read_bytes() == b"cut" if fault else kept.is_dir() is False


def test_a_warning_of_a_whole_file_is_a_false_alarm() -> None:
    counts = Counts(FAULTS)
    Judge(counts).count(
        Case("a.wav", b"", group="a.wav"), Outcome("done", "cut short", seconds=1.0, warned=True)
    )
    assert counts.faults == {"false alarms": 1}
    assert counts.figures("files").startswith("1 files, 1 done: crashes 0, ")


class Disk:
    """A disk that is a folder."""

    is_real = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()


@pytest.mark.parametrize(("most", "status"), [(1000, "refused"), (10**6, "done")])
def test_what_fails_for_a_song_does_not_fail_the_next(
    most: int, status: str, tmp_path: Path
) -> None:
    case = Case("a.wav", wav(), job=f"file size:wav:{most}")
    outcome = disk.work(case, Disk(tmp_path / "disk"), tmp_path)  # type: ignore[arg-type]
    assert (outcome.status, outcome.partial, outcome.stopped) == (status, (), "")
    assert [path.name for path in tmp_path.rglob("*")] == ["disk"]


def test_faults_of_disks_are_counted() -> None:
    counts = Counts(disk.FAULTS)
    case = Case("a.wav", b"", job="disk full:opus:1")
    disk.judge(counts, case, Outcome("refused", stopped="the next song: refused"))
    disk.judge(counts, case, Outcome("done", seconds=3.0, partial=("vocals.opus has 1",)))
    disk.judge(counts, case, Outcome("done", seconds=1.0))
    assert counts.faults == {"stopped batches": 1, "partial files": 1, "silent shortfalls": 1}


@pytest.mark.skipif(not shutil.which("cc") or sys.platform != "linux", reason="needs Linux and cc")
def test_reads_and_writes_fail_at_a_byte_and_the_clock_is_off(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from tools.stress import shim
folder, now = Path({str(tmp_path)!r}), time.time()
with shim.clock_off(-3600):
    assert 3590 < now - time.time() < 3610
with shim.failing("write", 28, 5, folder), (folder / "a").open("wb", buffering=0) as file:
    assert file.write(b"12345678") == 5
    try:
        file.write(b"678")
    except OSError as error:
        assert error.errno == 28
    else:
        raise AssertionError
assert (folder / "a").read_bytes() == b"12345"
"""
    library = tmp_path / "shim.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, SHIM, "-ldl"], check=True)
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"LD_PRELOAD": str(library)},
        check=True,
    )


class Ran:
    """A command that has run: files it left, and which of them are not whole."""

    said = "Traceback"

    def __init__(self, files: set[str], faulty: tuple[str, ...] = ()) -> None:
        self._files, self._faulty = files, faulty

    def files(self) -> set[str]:
        return self._files

    def faults(self, files: set[str]) -> list[str]:
        return [name for name in self._faulty if name in files]


@pytest.mark.parametrize(
    ("code", "ran", "fault"),
    [
        (0, Ran({"a", "b"}), None),
        (1, Ran({"a", "b"}), "failed next runs"),
        (1000, Ran(set()), "hangs"),
        (0, Ran({"a"}), "failed next runs"),
        (0, Ran({"a", "b", ".unmix-1/a"}), "files left"),
        (0, Ran({"a", "b"}, ("b",)), "partial files"),
    ],
)
def test_the_run_after_a_kill_is_judged(code: int, ran: Ran, fault: str | None) -> None:
    counts = Counts(kill.FAULTS)
    kill.judge_next(counts, "separate 1", code, {"a", "b"}, ran)  # type: ignore[arg-type]
    assert counts.faults == ({fault: 1} if fault else {})


@pytest.mark.parametrize("name", ["a.json", "a.safetensors", "a.flac", "a.csv"])
def test_a_cut_file_is_not_whole(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"{" if name != "a.csv" else b"")
    assert fault_in(path).startswith(f"{name} is ")


FLAT = load.Watched(memory=[100] * 18 + [104] * 2, descriptors=[5, 9] * 10)


@pytest.mark.parametrize(
    ("watched", "fault"),
    [
        (FLAT, None),
        (replace(FLAT, memory=[100] * 18 + [106] * 2), "growing memory"),
        (replace(FLAT, descriptors=[5] * 10 + [6] * 10), "growing file descriptors"),
        (replace(FLAT, wrong=["song 1 differs"]), "wrong results"),
        (replace(FLAT, error="Traceback"), "tracebacks"),
    ],
)
def test_growth_and_wrong_results_are_counted(watched: load.Watched, fault: str | None) -> None:
    counts = Counts(load.FAULTS)
    load.judge(counts, "batch", watched)
    assert counts.faults == ({fault: 1} if fault else {})


def test_memory_and_files_are_watched(tmp_path: Path) -> None:
    watched = load.Watched()
    with load.watching(watched, every=0.001), (tmp_path / "a").open("w"):
        while len(watched.memory) < 2:
            time.sleep(0.001)
    assert min(watched.memory) > 1 << 20
    assert min(watched.descriptors) > 3


def test_damage_is_the_same_for_the_same_seed() -> None:
    made = [list(damages(wav(), Random(1))) for _ in range(2)]
    assert made[0] == made[1]
    assert len({damage.data for damage in made[0]}) > 35


def test_fuzz_builds_and_changes_the_same_files_for_the_same_seed() -> None:
    built = [fuzz.built(1, 40) for _ in range(2)]
    assert built[0] == built[1]
    assert len(set(built[0])) > 20
    seed = Seed("a.wav", wav())
    changed = [
        [fuzz.changed(seed.data, random, [seed]) for _ in range(40)]
        for random in (Random(1), Random(1))
    ]
    assert changed[0] == changed[1]
    assert len({seed.data, *changed[0]}) > 30


def test_a_python_of_the_right_version_is_found() -> None:
    here = "{}.{}".format(*sys.version_info)
    found = wheel.find_python(here)
    if found:
        said = subprocess.check_output([found, "--version"], text=True)
        assert said.startswith(f"Python {here}.")
    assert wheel.find_python("2.99") is None


def test_a_python_in_which_nothing_can_be_installed_fails(tmp_path: Path) -> None:
    text = wheel.try_python("false", tmp_path / "unmix-1-py3-none-any.whl", tmp_path / "3.99")
    assert "false" in text


@pytest.mark.slow
def test_a_sample_of_the_inputs_shows_no_fault(tmp_path: Path) -> None:
    command = ["-m", "tools.stress", "inputs", "--every", "20", "--limit", "60", "--workers"]
    done = subprocess.run(
        [sys.executable, *command, str(os.cpu_count()), "--folder", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert not list(tmp_path.iterdir())
