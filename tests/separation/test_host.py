"""The process that unmix runs in is not ours: it has forked, and set what it likes."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from unmix import Separator
from unmix._types import Samples
from unmix.audio import AudioWriter, OutputFormat, read_audio
from unmix.songs.plot import plot_file

RATE = 44100
PATIENCE = 60  # seconds until a child counts as hanging
fork = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="no safe fork here")


@pytest.fixture(scope="module")
def separator() -> Iterator[Separator]:
    """A separator that has computed, and so has started its threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # one has none to start
    made = Separator("tfc-tdf-tiny", quality="fast", device="cpu")
    made.separate(_noise(), RATE)
    yield made
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def expected(separator: Separator) -> dict[str, Samples]:
    return separator.separate(_noise(), RATE)


def _noise(seconds: float = 2) -> Samples:
    rng = np.random.default_rng(0)
    return rng.normal(0, 0.1, (2, round(seconds * RATE))).astype(np.float32)


def _same(found: dict[str, Samples], expected: dict[str, Samples]) -> bool:
    return all(np.array_equal(found[name], expected[name]) for name in expected)


def _separate_here(_: object = None) -> Samples:
    """Load a separator in this process; return the vocals."""
    one = Separator("tfc-tdf-tiny", quality="fast", device="cpu")
    return one.separate(_noise(), RATE)["vocals"]


@fork
def test_a_forked_child_separates(separator: Separator, expected: dict[str, Samples]) -> None:
    """torch's threads do not exist in the child: multiprocessing's default up to Python 3.13."""

    def job() -> None:
        sys.exit(0 if _same(separator.separate(_noise(), RATE), expected) else 3)

    assert torch.get_num_threads() > 1
    context = multiprocessing.get_context("fork")
    child = context.Process(target=job)
    child.start()
    child.join(PATIENCE)
    code = child.exitcode
    child.kill()
    assert code == 0


@fork
def test_a_child_forked_in_the_middle_separates(
    separator: Separator, expected: dict[str, Samples]
) -> None:
    """While another thread computes, and holds what locks there are."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            separator.separate(_noise(0.5), RATE)

    def job() -> None:
        sys.exit(0 if _same(separator.separate(_noise(), RATE), expected) else 3)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        child = multiprocessing.get_context("fork").Process(target=job)
        child.start()
        child.join(PATIENCE)
        code = child.exitcode
        child.kill()
    finally:
        stop.set()
        thread.join()
    assert code == 0
    assert _same(separator.separate(_noise(), RATE), expected)


@pytest.mark.slow
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_of_processes_separate(method: str, expected: dict[str, Samples]) -> None:
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        for vocals in pool.map(_separate_here, range(3), timeout=2 * PATIENCE):
            assert np.array_equal(vocals, expected["vocals"])


def test_threads_share_a_separator(separator: Separator, expected: dict[str, Samples]) -> None:
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: separator.separate(_noise(), RATE), range(6)):
            assert _same(found, expected)


def test_an_event_loop_goes_on_meanwhile(
    separator: Separator, expected: dict[str, Samples]
) -> None:
    async def both() -> tuple[list[dict[str, Samples]], int]:
        jobs = asyncio.gather(
            *(asyncio.to_thread(separator.separate, _noise(), RATE) for _ in range(2))
        )
        turns = 0
        while not jobs.done():
            await asyncio.sleep(0.001)
            turns += 1
        return await jobs, turns

    found, turns = asyncio.run(both())
    assert turns > 10
    assert all(_same(one, expected) for one in found)


@contextmanager
def _default_type(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _default_device(name: str) -> Iterator[None]:
    torch.set_default_device(name)
    try:
        yield
    finally:
        torch.set_default_device(None)


HOSTS: dict[str, Callable[[], object]] = {
    "64 bits": lambda: _default_type(torch.float64),
    "16 bits": lambda: _default_type(torch.bfloat16),
    "another device": lambda: _default_device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "gradients": lambda: torch.enable_grad(),
    "no gradients": lambda: torch.inference_mode(),
    "numpy raises": lambda: np.errstate(all="raise"),
}


def _state() -> tuple[object, ...]:
    return (
        torch.get_default_dtype(),
        torch.empty(0).device,
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_num_threads(),
        torch.random.initial_seed(),
        bool((torch.tensor(1e-310, dtype=torch.float64, device="cpu") * 1 == 0).item()),
        tuple(sorted(np.geterr().items())),
        np.random.get_state()[2],
    )


@pytest.mark.parametrize("model", ["tfc-tdf-tiny", pytest.param("unet", marks=pytest.mark.slow)])
@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_what_the_host_has_set_changes_no_bit_and_stays(
    tmp_path: Path, host: Callable[[], object], model: str
) -> None:
    song = tmp_path / "song.wav"
    wav = OutputFormat.parse("wav")
    with AudioWriter(song, sample_rate=48000, channels=2, format=wav) as file:
        file.write(_noise(0.3) * 1e-3)

    def work(folder: str) -> list[Samples]:
        one = Separator(model, quality="fast", device="cpu", precision="fp32")
        done = one.separate_file(song, tmp_path / folder, format="flac")
        files = [read_audio(path)[0] for path in done.stems.values()]
        return [*one.separate(_noise(0.3), RATE).values(), *files]

    plain = work("plain")
    with host():  # type: ignore[attr-defined]
        before = _state()
        found = work("here")
        assert _state() == before
    assert all(np.array_equal(one, other) for one, other in zip(found, plain, strict=True))


@pytest.mark.slow
def test_a_plot_is_drawn_where_numpy_raises(separator: Separator, tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    wav = OutputFormat.parse("wav")
    with AudioWriter(song, sample_rate=8000, channels=1, format=wav) as file:
        file.write(_noise(0.1)[:1] * 1e-30)
    with np.errstate(all="raise"):
        assert plot_file(separator, song, tmp_path / "a.png").path.exists()


def test_a_thread_that_outlives_the_script_ends_its_song(tmp_path: Path) -> None:
    """While the interpreter ends, no pool starts threads; ``atexit`` comes later still."""
    song = tmp_path / "song.wav"
    wav = OutputFormat.parse("wav")
    with AudioWriter(song, sample_rate=44100, channels=2, format=wav) as file:
        file.write(_noise(0.3))
    script = """
import atexit, sys, threading, time, unmix
one = unmix.Separator("tfc-tdf-tiny", quality="fast", device="cpu")
def job(name, wait):
    time.sleep(wait)
    one.separate_file(sys.argv[1], sys.argv[2], template=name + "/{stem}.{ext}", format="flac")
threading.Thread(target=job, args=("thread", 0.5)).start()
atexit.register(job, "exit", 0)
"""
    run = [sys.executable, "-c", script, str(song), str(tmp_path / "out")]
    done = subprocess.run(run, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "Error" not in done.stderr
    for name in ("thread", "exit"):
        assert read_audio(tmp_path / "out" / name / "vocals.flac")[0].shape[1] == 13230
