"""Tables of the README that tools write: each between two comments, and read back from there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
Cells = list[str]


@dataclass(frozen=True)
class ReadmeTable:
    """A table between its marks.

    Attributes:
        name: of the marks.
        tools: file names of what writes it.
        headings: one for each column.
        text: columns that are text; the others hold numbers.
    """

    name: str
    tools: str
    headings: tuple[str, ...]
    text: Collection[str]

    @property
    def rows(self) -> dict[str, Cells]:
        """Cells of the rows whose first is in backticks, by that one."""
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in self._split()[1]]
        return {cells[0].strip("`"): cells for cells in rows if cells and cells[0][:1] == "`"}

    def markdown(self, rows: Sequence[Sequence[str]]) -> str:
        """Return headings and rows of cells."""
        rule = ["---" if heading in self.text else "---:" for heading in self.headings]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in [self.headings, rule, *rows])

    def write(self, rows: Sequence[Sequence[str]]) -> None:
        """Put rows of cells between the marks."""
        head, _, tail = self._split()
        README.write_text(f"{head}\n\n{self.markdown(rows)}\n\n{tail}", encoding="utf-8")

    def _split(self) -> tuple[str, list[str], str]:
        """Return the README up to its first mark, the lines between, and the rest of it."""
        start, end = (
            f"<!-- {self.name}: written by tools/{self.tools} -->",
            f"<!-- /{self.name} -->",
        )
        head, rest = README.read_text(encoding="utf-8").split(start, 1)
        between, tail = rest.split(end, 1)
        return head + start, between.splitlines(), end + tail
