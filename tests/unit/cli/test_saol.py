"""The database library in the shell: rows out and in, looking before deleting, errors with their remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from brightrun.cli.main import shell


@pytest.fixture(autouse=True)
def _settings(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("BRIGHTRUN_HOME", str(tmp_path / "home"))


def run(*words: str, code: int = 0, text: str | None = None) -> Result:
    result = CliRunner().invoke(shell(), ["saol", *words], input=text)
    assert result.exit_code == code, result.output
    return result


def asked(*words: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*words, "--json", code=code).stdout)
    return found


def test_rows_travel_through_files_and_are_deleted_only_on_purpose(tmp_path: Path) -> None:
    """Export, delete after a look, import again: the table is as it was."""
    file = str(tmp_path / "topics.csv")
    before = asked("query", "training_topics", "--order", "-topic_key", "--all")["data"]
    keys = [row["topic_key"] for row in before]
    assert keys == sorted(keys, reverse=True)
    exported = asked("export", "training_topics", file)
    assert exported["count"] == len(before)
    picked = ("training_topics", "--where", f"topic_key in {json.dumps(keys[:2])}")
    assert asked("count", *picked)["count"] == 2
    asked("delete", *picked, code=1)
    looked = asked("delete", *picked, "--dry-run")
    assert (looked["count"], looked["next_actions"][0]["action"]) == (2, "CONFIRM_DELETE")
    asked("delete", *picked, "--confirm")
    twice = asked("import", "training_topics", file, code=1)
    assert twice["data"]["totals"] == {**twice["data"]["totals"], "written": 2, "failed": len(before) - 2}
    asked("import", "training_topics", file, "--upsert", "topic_key")
    assert asked("query", "training_topics", "--order", "-topic_key", "--all")["data"] == before


def test_statements_and_definitions_are_held_back_and_rehearsed() -> None:
    """A statement only reads unless told otherwise; what drops a table needs the word."""
    lines = run("sql", "select name from personas where persona_key = $1", "--value", "nobody's").stdout
    assert lines == ""
    assert asked("sql", "delete from job_log where id < 0", code=1)["error"]["code"] == "ERR_READ_ONLY"
    told = run("sql", "delete from job_log where id < 0", code=1).output
    assert "--write" in told, "the shell speaks of its options, not of the library's arguments"
    assert "=True" not in told
    run("ddl", "-", text="create table public.note (id int);\nalter table note add column t text")
    refused = asked("ddl", "drop table note", code=1)
    assert refused["error"]["code"] == "ERR_CONFIRMATION_REQUIRED"
    run("table", "rename_column", "note", "--column", "t", "--to", "text")
    run("table", "add_column", "note", "--column", "tags text[]")
    run("index", "note", "--create", "id", "--unique", "--name", "note_key")
    assert asked("index", "note")["count"] == 1
    assert asked("upkeep", "vacuum", "note")["success"]
    assert asked("preflight", "note", "--columns", "id,nothing")["data"]["issues"]
    run("verify", "note", "--column", "id integer", "--index", "note_key")
    assert "text is text, not uuid" in run("verify", "note", "--column", "text uuid", code=1).output
    shown = run("query", "personas", "--select", "persona_key,id,name", "--limit", "1").stdout
    assert list(json.loads(shown)) == ["persona_key", "id", "name"]
    run("ddl", "drop table note", "--confirm")


def test_what_is_written_wrong_is_said_with_its_remedy() -> None:
    """A mistake in a call ends with a sentence and the exit code 1, never a traceback."""
    for words, said in (
        (("query", "personas", "--where", "key"), "COLUMN OPERATOR VALUE"),
        (("query", "personas", "--where", "key in a,b"), "as JSON"),
        (("query", "persona"), "no table"),
        (("rpc", "describe_schema", "--params", "[]"), "as JSON"),
        (("upkeep", "polish"), "Say vacuum"),
        (("count", "personas", "--over", "supabase"), "SUPABASE_URL"),
    ):
        result = run(*words, code=1)
        assert said in result.output, words
        assert "Traceback" not in result.output
    described = run("schema").stdout.splitlines()
    assert {"personas", "batch_overview"} <= {json.loads(line)["name"] for line in described}
