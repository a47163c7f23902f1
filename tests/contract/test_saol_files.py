"""Importing and exporting over both transports: nothing is lost, doubled, altered or reported wrongly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from brightrun import saol
from brightrun.saol.failures import Rejected, Unreachable
from tests.shelf import code, fill

ROWS: list[dict[str, Any]] = [
    {"id": 1, "name": "=1+1", "weight": 1.5, "tags": ["a,b", 'c"d'], "facts": {"a": [1, None, "x\ny"]}},
    {"id": 2, "name": "", "weight": None, "tags": [], "facts": {}},
    {"id": 3, "name": None, "weight": 3, "tags": ["🙂"], "facts": {"ключ": "line\r\nend"}},
]
COLUMNS = ["id", "name", "weight", "tags", "facts"]


@pytest.mark.parametrize("ending", ["json", "jsonl", "csv"])
def test_what_is_exported_is_imported_again_as_it_was(db: saol.Database, tmp_path: Path, ending: str) -> None:
    """Each format keeps every value apart: an empty text from none, a list from text, a line end from another."""
    saol.agent_insert(db, "shelf", ROWS).require()
    path = tmp_path / f"out.{ending}"
    first = saol.agent_export(db, "shelf", path, select=COLUMNS).require()
    assert (first.count, first.data["matching"], first.data["bytes"]) == (3, 3, path.stat().st_size)
    assert [action.action for action in first.next_actions] == ["VALIDATE_EXPORT"]
    saol.agent_delete(db, "shelf", where=[("id", "gt", 0)], confirm=True).require()
    again = saol.agent_import(db, "shelf", path).require()
    assert again.data["totals"]["written"] == 3
    assert saol.agent_query(db, "shelf", select=COLUMNS, order_by=[saol.Order("id")]).rows() == ROWS
    second = saol.agent_export(db, "shelf", tmp_path / f"again.{ending}", select=COLUMNS).require()
    assert second.data["sha256"] == first.data["sha256"]


def test_an_export_holds_what_was_asked_in_the_order_asked(db: saol.Database, tmp_path: Path) -> None:
    """Filter, order and columns are honoured over more rows than one page; a failed one leaves the old file."""
    fill(db, 2100)
    path = tmp_path / "rows.jsonl"
    saol.agent_export(
        db,
        "shelf",
        path,
        select=["name", "id"],
        where=[("id", "gt", 50)],
        order_by=[saol.Order("id", descending=True)],
    ).require()
    lines = path.read_text().splitlines()
    assert lines[0] == '{"name":"shelf 02100","id":2100}'
    assert [json.loads(line)["id"] for line in lines] == list(range(2100, 50, -1))
    by_key = saol.agent_export(db, "shelf", path, select=["name"]).require()
    assert by_key.count == 2100
    kept = path.read_bytes()
    assert code(saol.agent_export(db, "shelf", path, select="colour")) == "ERR_DB_COLUMN_NOT_FOUND"
    assert code(saol.agent_export(db, "shelf", tmp_path / "no" / "way.csv")) == "ERR_FILE"
    assert code(saol.agent_export(db, "shelf", tmp_path / "rows.xlsx")) == "ERR_FILE"
    assert path.read_bytes() == kept
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_bad_rows_are_reported_one_by_one_and_the_good_ones_go_in(db: saol.Database, tmp_path: Path) -> None:
    """One bad row never takes its batch along; the report names each with number, code and remedy."""
    rows: list[dict[str, Any]] = [{"id": n, "name": f"row {n}", "weight": 1} for n in range(1, 41)]
    rows[6] = {**rows[6], "weight": -1}
    rows[19] = {**rows[19], "name": "a\0b"}
    rows[30] = {**rows[30], "id": 1}
    rows[35] = {**rows[35], "weight": "heavy"}
    report = tmp_path / "report.json"
    result = saol.agent_import(db, "shelf", rows, batch_rows=16, report_to=report)
    assert code(result) == "ERR_IMPORT_ROWS"
    assert result.count == 36
    assert {(error["row"], error["code"]) for error in result.data["errors"]} == {
        (7, "ERR_DB_CHECK_VIOLATION"),
        (20, "ERR_CHAR_INVALID_UTF8"),
        (31, "ERR_DB_UNIQUE_VIOLATION"),
        (36, "ERR_CAST_INVALID_INPUT"),
    }
    assert all(error["remediation"] for error in result.data["errors"])
    assert json.loads(report.read_text()) == result.data
    assert {action.action for action in result.next_actions} >= {"RETRY_WITH_UPSERT", "ENABLE_SANITIZATION"}
    assert saol.agent_count(db, "shelf").total() == 36


def test_upserts_change_and_defaults_stay(db: saol.Database) -> None:
    """An upsert changes what is there; a column that a row leaves out keeps its value or takes its default."""
    saol.agent_insert(db, "shelf", {"id": 1, "name": "one", "weight": 1, "tags": ["t"]}).require()
    rows = [{"id": 1, "name": "uno"}, {"id": 2, "name": "due", "weight": 2}, {"id": 1, "weight": 7}]
    saol.agent_import(db, "shelf", rows, mode="upsert").require()
    found = saol.agent_query(db, "shelf", select=COLUMNS, order_by=[saol.Order("id")]).rows()
    assert found == [
        {"id": 1, "name": "uno", "weight": 7, "tags": ["t"], "facts": {}},
        {"id": 2, "name": "due", "weight": 2, "tags": [], "facts": {}},
    ]
    by_name = saol.agent_import(
        db, "shelf", [{"id": 2, "name": "due", "weight": 5}], mode="upsert", on_conflict=["name"]
    )
    assert by_name.success
    no_key = saol.agent_import(db, "shelf", [{"id": 3}], mode="upsert", on_conflict=["weight"])
    assert code(no_key) == "ERR_VALIDATION_SCHEMA"
    assert code(saol.agent_import(db, "shelf", [{"id": 3}], mode="replace")) == "ERR_VALIDATION_SCHEMA"


def test_text_is_changed_only_when_that_is_asked_for(db: saol.Database) -> None:
    """By itself an import alters no character; sanitizing and normalizing do what their names say."""
    rows = [{"id": 1, "name": "e\u0301 \x07bell"}]
    saol.agent_import(db, "shelf", rows, dry_run=True).require()
    assert saol.agent_count(db, "shelf").total() == 0
    saol.agent_import(db, "shelf", rows).require()
    assert saol.agent_query(db, "shelf", select="name").rows() == [{"name": "e\u0301 \x07bell"}]
    hostile = [{"id": 2, "name": "a\0b\ud83d e\u0301", "tags": ["\0x"], "facts": {"k": "\0y"}}]
    saol.agent_import(db, "shelf", hostile, sanitize=True, normalize="NFC").require()
    (cleaned,) = saol.agent_query(db, "shelf", select=COLUMNS, where=[("id", "eq", 2)]).rows()
    assert cleaned["name"] == "ab \u00e9"
    assert (cleaned["tags"], cleaned["facts"]) == (["x"], {"k": "y"})


def test_a_file_that_cannot_be_read_is_named_with_its_line(db: saol.Database, tmp_path: Path) -> None:
    """A broken file is refused with the place of its fault."""
    for name, text, expected in (
        ("rows.json", "[1]", "entry 1"),
        ("rows.json", "{", "no JSON"),
        ("rows.json", '{"rows": []}', "no list"),
        ("rows.jsonl", '{"id": 1}\nnot json\n', "line 2"),
        ("rows.csv", '"id","tags"\r\n1,nonsense\r\n', "row 2"),
        ("rows.csv", '"id","name"\r\n1\r\n', "no CSV"),
        ("rows.txt", "", "no format"),
        ("absent.csv", None, "cannot be read"),
    ):
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        result = saol.agent_import(db, "shelf", path)
        assert code(result) == "ERR_FILE", text
        assert expected in result.summary


class Breaking:
    """A transport whose inserts meet faults of the line, before or after the rows have arrived."""

    def __init__(self, inner: Any, faults: list[tuple[bool, Exception]]) -> None:
        self.inner, self.faults = inner, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def insert(self, table: Any, columns: Any, rows: Any) -> Any:
        arrives, fault = self.faults.pop(0) if self.faults else (True, None)
        done = self.inner.insert(table, columns, rows) if arrives else []
        if fault:
            raise fault
        return done


@pytest.mark.parametrize("arrives", [True, False])
def test_a_connection_that_breaks_neither_loses_nor_doubles_a_batch(db: saol.Database, arrives: bool) -> None:
    """An insert whose answer never came is looked for before it is sent again."""
    db.transport = Breaking(
        db.transport, [(arrives, Unreachable("gone")), (False, Rejected("40P01", "dead"))]
    )  # type: ignore[assignment]
    rows = [{"id": n, "name": f"row {n}"} for n in range(1, 31)]
    result = saol.agent_import(db, "shelf", rows, batch_rows=10, pause_seconds=0.01).require()
    totals = result.data["totals"]
    assert (totals["written"], totals["failed"]) == (30, 0)
    assert totals["found_after_break"] == (10 if arrives else 0)
    assert saol.agent_count(db, "shelf").total() == 30


def test_an_import_that_cannot_go_on_says_how_far_it_came(db: saol.Database) -> None:
    """When the database stays away, the rest is counted as not tried, and what went in stays in."""
    gone = [(True, None), *[(False, Unreachable("gone"))] * 9]
    db.transport = Breaking(db.transport, gone)  # type: ignore[assignment, arg-type]
    rows = [{"id": n} for n in range(1, 31)]
    result = saol.agent_import(db, "shelf", rows, batch_rows=10, pause_seconds=0.01)
    assert code(result) == "ERR_IMPORT_ROWS"
    totals = result.data["totals"]
    assert (totals["written"], totals["failed"], totals["not_tried"]) == (10, 10, 10)
    assert result.data["by_code"] == {"ERR_DB_UNREACHABLE": 10}
    assert saol.agent_count(db, "shelf").total() == 10
