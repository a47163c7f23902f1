"""The import command as a program sees it: its exit code and what it says."""

from __future__ import annotations

import json
from pathlib import Path

from tests.shell import Shell


def test_an_import_that_took_nothing_is_no_success(tmp_path: Path, dsn: str) -> None:
    """Refused line after line it ends with 1 and the whole report; what is here already is no fault."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    bad = tmp_path / "bad.jsonl"
    bad.write_text("17\n{broken\n")
    assert "0 of 2 entries imported, 2 refused" in shell.run("import", str(bad), code=1)
    code, said, _ = shell.ended("import", str(bad), "--name", "again", "--json")
    assert (code, json.loads(said)["refused"], len(json.loads(said)["lines"]["refused"])) == (1, 2, 2)
    good = tmp_path / "good.csv"
    good.write_bytes('instruction;output\n"Say; hi";"Café"\n'.encode("cp1252"))
    assert shell.json("import", str(good))["imported"] == 1
    known = shell.json("import", str(good), "--name", "again")
    assert (known["imported"], known["duplicates"]) == (0, 1)


def test_an_import_is_listed_and_named_in_a_filter(tmp_path: Path, dsn: str) -> None:
    """The list shows what can be given as a filter; before the first import it says how to make one."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    assert "brightrun import FILE" in shell.run("imports")
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert "empty.jsonl is empty" in shell.run("import", str(empty), code=1)
    good = tmp_path / "good.json"
    good.write_text('[{"instruction": "Say hi", "output": "Hi"}, 17]')
    said = shell.run("import", str(good), "--name", "Autumn")
    assert "entry 2: It is no object." in said
    (listed,) = shell.json("imports")["imports"]  # type: ignore[misc]
    assert listed["name"] == "Autumn"
    assert listed["id"][:8] in shell.run("imports")
    for wanted in ("Autumn", listed["id"][:8]):
        assert shell.json("review", "--filter", f"import={wanted}")["matching"] == 1
    assert shell.json("imports", "--withdraw", "Autumn") == {"removed": 1}
    assert shell.json("imports") == {"imports": []}
    assert "There is no import 'Autumn'" in shell.run("imports", "--withdraw", "Autumn", code=1)


def test_a_folder_is_called_a_folder(tmp_path: Path, dsn: str) -> None:
    """Who names a folder is told to name the files in it."""
    said = Shell(tmp_path / "home", DATABASE_URL=dsn).run("import", str(tmp_path), code=1)
    assert "is a folder" in said
    assert "Name the files in it" in said
