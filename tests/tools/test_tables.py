"""The tables that tools write: read back, current, and complete."""

from pathlib import Path

import pytest

from tools.benchmark import family
from tools.release import manifest
from tools.tables import MarkdownTable
from unmix.recipes.reading import recipes


def test_a_written_table_is_read_back_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n\n<!-- it: by hand -->\n<!-- /it -->\n\nafter\n", encoding="utf-8")
    table = MarkdownTable("it", readme, ("name", "dB"), text=("name",))
    rows = [["`a`", "1.0"], ["published", "2.0"], ["`b`", ""]]
    for _ in range(2):
        table.write(rows)
        assert table.rows == {"a": rows[0], "b": rows[2]}
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n\n<!-- it: by hand -->\n\n| name | dB |\n| --- | ---: |\n")
    assert text.endswith("| `b` |  |\n\n<!-- /it -->\n\nafter\n")


def test_a_file_without_the_comments_is_named(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- it: -->", encoding="utf-8")
    with pytest.raises(ValueError, match=r"README\.md: no comments <!-- it: "):
        MarkdownTable("it", readme, ("name",), text=()).write([])


def test_the_models_table_is_the_manifests() -> None:
    rows = manifest.models_rows()
    assert rows
    assert manifest.TABLE.markdown(rows) in manifest.TABLE.path.read_text(encoding="utf-8")


def test_the_family_table_has_every_recipe() -> None:
    rows = family.TABLE.rows
    assert set(rows) == set(filter(family.is_member, recipes()))
    for name, cells in rows.items():
        assert cells[1] == family.description(recipes()[name])
        assert float(cells[family.COLUMNS["cpu"]]) > 0
