"""Scaffolding in the shell: out as a table, changed, and in again."""

from __future__ import annotations

from pathlib import Path

from tests.shell import Shell


def test_a_table_goes_out_and_comes_back_changed(tmp_path: Path, dsn: str) -> None:
    """An analyst exports, edits in a spreadsheet, checks and imports; what is wrong is told and nothing saved."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    table = tmp_path / "personas.csv"
    shell.run("scaffolding", "export", "persona", "--out", str(table))
    table.write_bytes(table.read_bytes().replace(b"Marcus Chen", b"Marcus Holm"))
    done = shell.json("scaffolding", "import", "persona", str(table))
    assert (done["changed"], done["new"], done["saved"]) == (["overwhelmed_avoider"], [], True)
    table.write_bytes(table.read_bytes().replace(b"overwhelmed_avoider", b"Not A Key"))
    assert "column persona_key" in shell.run("scaffolding", "import", "persona", str(table), code=1)
