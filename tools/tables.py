"""Markdown tables that tools write into READMEs, between two comments, and read back from there."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class MarkdownTable:
    """A table between ``<!-- NAME: ... -->`` and ``<!-- /NAME -->``."""

    name: str
    path: Path
    """The README it is part of."""
    headings: tuple[str, ...]
    text: Collection[str]
    """Headings of text columns; the other columns hold numbers."""

    @property
    def rows(self) -> dict[str, list[str]]:
        """Cells of every row that starts with a name in backticks, by that name."""
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in self._split()[1]]
        return {cells[0].strip("`"): cells for cells in rows if cells and cells[0][:1] == "`"}

    def markdown(self, rows: Sequence[Sequence[str]]) -> str:
        """Return the table as Markdown."""
        rule = ["---" if heading in self.text else "---:" for heading in self.headings]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in [self.headings, rule, *rows])

    def write(self, rows: Sequence[Sequence[str]]) -> None:
        """Replace the rows in the README."""
        head, _, tail = self._split()
        self.path.write_text(f"{head}\n\n{self.markdown(rows)}\n\n{tail}", encoding="utf-8")

    def _split(self) -> tuple[str, list[str], str]:
        """Return the README up to the table, the table's lines, and the README after it."""
        head, table, tail = split(self.path.read_text(encoding="utf-8"), self.name, self.path)
        return head, table.splitlines(), tail


def split(text: str, name: str, path: Path) -> tuple[str, str, str]:
    """Split Markdown at ``<!-- NAME: ... -->`` and ``<!-- /NAME -->``; the comments stay outside.

    Raises:
        ValueError: if the comments are missing.
    """
    found = re.fullmatch(
        rf"(.*<!-- {name}: [^>]*-->)(.*)(<!-- /{name} -->.*)", text, flags=re.DOTALL
    )
    if not found:
        raise ValueError(f"{path}: no comments <!-- {name}: ... --> and <!-- /{name} -->")
    head, between, tail = found.groups()
    return head, between, tail
