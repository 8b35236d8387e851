"""What the tests of the command line share: a way to call it, and a separator that is quick."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from unmix.cli import main


@dataclass
class Outcome:
    """What a command left: its exit code, and what it printed where."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.err.splitlines() if line.startswith("error:")]


Unmix = Callable[..., Outcome]


@pytest.fixture
def unmix(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Unmix]:
    """Call the command line in this process, at 80 columns and not on a terminal."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        code = stopped.value.code
        assert "Traceback" not in err or "--debug" in arguments
        return Outcome(code if isinstance(code, int) else 0, out, err)

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, splitter: object) -> list[dict[str, object]]:
    """Put the quick separator in the place of the real one; return what it is made with."""
    made: list[dict[str, object]] = []

    def make(model: object, **options: object) -> object:
        made.append({"model": model, **options})
        return splitter

    monkeypatch.setattr("unmix.songs.separator.Separator", make)
    return made
