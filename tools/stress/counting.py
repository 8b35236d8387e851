"""What is counted, what is kept for a look, and the row that a verb adds to the table of tests."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..tables import ROOT, MarkdownTable

#: The figures of the verbs, by verb.
TABLE = MarkdownTable(
    name="stress",
    path=ROOT / "tests" / "README.md",
    headings=("verb", "what is tried", "command", "figures"),
    text=("verb", "what is tried", "command", "figures"),
)
_SHOWN = 200  # characters of a fault's text


@dataclass
class Counts:
    """How often something was tried, and each kind of fault; what failed is kept in a folder."""

    kinds: Sequence[str]
    """The kinds of fault, in the order they are printed."""
    keep: Path | None = None
    """Folder for what failed; None keeps nothing."""
    tried: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    """What is worth a number, and no fault."""

    def fault(self, kind: str, name: str, text: str, data: bytes | None = None) -> None:
        """Count a fault, print it, and keep the file that shows it."""
        if kind not in self.kinds:
            raise ValueError(f"unknown kind of fault {kind!r}")
        self.faults[kind] += 1
        line = " ".join(text.split())
        print(f"{kind}: {name}: {line[-_SHOWN:]}", flush=True)
        if self.keep is None:
            return
        folder = self.keep / kind.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        plain = re.sub(r"[^\w.+-]", "_", name)
        if data is not None:
            (folder / plain).write_bytes(data)
        with (folder / "faults.txt").open("a", encoding="utf-8") as file:
            file.write(f"{plain}\t{line}\n")

    @property
    def total(self) -> int:
        """Number of faults of all kinds."""
        return sum(self.faults.values())

    def figures(self, what: str) -> str:
        """Return all counts as one cell of the table."""
        counted = [f"{kind} {self.faults[kind]:,}" for kind in self.kinds]
        noted = [f"{count:,} {note}" for note, count in sorted(self.notes.items())]
        return ", ".join([f"{self.tried:,} {what}", *noted]) + f": {', '.join(counted)}"


@dataclass(frozen=True)
class Report:
    """What a verb found."""

    what: str
    """What is tried, for the table."""
    figures: str
    faults: int
    """The exit code is 1 unless this is 0."""


def show(verb: str, arguments: Sequence[str], report: Report, *, write: bool) -> None:
    """Print a verb's row; with ``write``, also put it into the table."""
    command = shlex.join(["python", "-m", "tools.stress", *arguments])
    cells = [f"`{verb}`", report.what, f"`{command}`", report.figures]
    print(f"| {' | '.join(cells)} |", flush=True)
    if write:
        rows = TABLE.rows
        rows[verb] = cells
        TABLE.write(list(rows.values()))
