"""Templates in the shell: out to a file, back as the next version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.shell import Shell


@pytest.fixture
def shell(tmp_path: Path, dsn: str) -> Shell:
    return Shell(tmp_path / "home", DATABASE_URL=dsn)


def test_a_template_goes_out_and_comes_back(shell: Shell, tmp_path: Path) -> None:
    """An exported template can be changed in any editor, checked, and published as the next version."""
    path = tmp_path / "mine.json"
    shell.run("templates", "export", "task_dialogue", "--out", str(path))
    held = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(held | {"user_text": held["user_text"] + " {{ moood }}"}), encoding="utf-8")
    assert "Did you mean mood?" in shell.run("templates", "import", str(path), "--check", code=1)
    assert "nothing was published" in shell.run("templates", "import", str(path), code=1).lower()
    path.write_text(json.dumps(held | {"name": "Renamed"}), encoding="utf-8")
    assert shell.json("templates", "import", str(path))["version"] == 2
    rows = shell.json("templates", "list")["templates"]
    assert isinstance(rows, list)
    assert ("task_dialogue", "Renamed", 2) in [(row["key"], row["name"], row["version"]) for row in rows]
    older = json.loads(shell.run("templates", "export", "task_dialogue", "--version", "1"))
    assert older["user_text"] == held["user_text"]
    assert "has no version 9" in shell.run("templates", "export", "task_dialogue", "--version", "9", code=1)


def test_a_check_tells_what_the_import_would_be_refused_for(shell: Shell, tmp_path: Path) -> None:
    """A template of an arc that is not there is never said to be fit for publishing."""
    path = tmp_path / "mine.json"
    held = json.loads(shell.run("templates", "export", "task_dialogue"))
    path.write_text(json.dumps(held | {"arc_key": "nope"}), encoding="utf-8")
    for words in (("--check",), ()):
        said = shell.run("templates", "import", str(path), *words, code=1)
        assert "there is no arc 'nope'" in said
        assert "foreign key" not in said


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": "a\0b"}, "name"),
        ({"user_text": "a\0b"}, "user_text"),
        ({"optional": ["own"], "variables": [{"name": "own", "help": "a\0b"}]}, "variables, number 1"),
        ({"description": "half \ud800"}, "description"),
    ],
)
def test_a_check_refuses_text_that_the_database_cannot_hold(
    shell: Shell, tmp_path: Path, changed: dict[str, object], field: str
) -> None:
    """The field is named by the check and by the import alike, and nothing is said to be fit that is refused later."""
    path = tmp_path / "mine.json"
    held = json.loads(shell.run("templates", "export", "task_dialogue"))
    path.write_text(json.dumps(held | changed), encoding="utf-8")
    for words in (("--check",), ()):
        said = shell.run("templates", "import", str(path), *words, code=1)
        assert f"mine.json: {field}" in said
        assert "nothing was published" in said


def test_a_template_that_is_as_it_was_gets_no_new_version(shell: Shell, tmp_path: Path) -> None:
    """Importing the same file again, by a script or by mistake, leaves the newest version as it is and says so."""
    path = tmp_path / "mine.json"
    shell.run("templates", "export", "task_dialogue", "--out", str(path))
    assert shell.json("templates", "import", str(path), "--check")["unchanged"] is True
    done = shell.json("templates", "import", str(path))
    assert (done["version"], done["published"]) == (1, False)
    held = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(held | {"rating": 9.5}), encoding="utf-8")
    done = shell.json("templates", "import", str(path))
    assert (done["version"], done["published"]) == (2, True)
    returned, _, said = shell.ended("templates", "import", str(path))
    assert (returned, said.strip()) == (0, "task_dialogue v2 is unchanged: nothing is published.")
