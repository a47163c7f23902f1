"""Hostile text, random conditions and injections in number; `make saol` runs them at full size."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from brightrun import saol
from brightrun.saol.result import Result
from tests.hostile import ATTACKS, conditions, holds, hostile, hostile_rows, plain_rows
from tests.shelf import code

ROWS = int(os.environ.get("BR_SAOL_ROWS", "120"))
TABLES = int(os.environ.get("BR_SAOL_TABLES", "120"))
INJECTIONS = int(os.environ.get("BR_SAOL_INJECTIONS", "60"))
SEED = int(os.environ.get("BR_SAOL_SEED", "20261125"))

COLUMNS = ["id", "name", "weight", "tags", "facts", "is_open", "parent", "made_at"]


@pytest.fixture
def random_numbers() -> random.Random:
    print(f"seed {SEED}")
    return random.Random(SEED)


def test_hostile_rows_come_back_to_the_byte(
    db: saol.Database, tmp_path: Path, random_numbers: random.Random
) -> None:
    """Whatever text goes in by a file is found by itself and leaves as the very same bytes, in every format."""
    rows = hostile_rows(random_numbers, ROWS)
    given = tmp_path / "given.jsonl"
    given.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    done = saol.agent_import(db, "shelf", given, batch_rows=500).require()
    assert done.data["totals"]["written"] == ROWS
    order = [saol.Order("id")]
    assert saol.agent_query(db, "shelf", select=COLUMNS, order_by=order).rows() == rows
    for row in rows:
        if row["name"] is not None:
            found = saol.agent_query(db, "shelf", select="id", where=[("name", "eq", row["name"])]).rows()
            assert found == [{"id": row["id"]}]
    for ending in ("jsonl", "json", "csv"):
        path = tmp_path / f"taken.{ending}"
        first = saol.agent_export(db, "shelf", path, select=COLUMNS).require()
        assert first.count == ROWS
        if ending == "jsonl":
            assert path.read_bytes() == given.read_bytes()
        for start in range(0, ROWS, 1000):  # each row is looked for among the references, which have no index
            here = [("id", "gt", start), ("id", "lte", start + 1000)]
            saol.agent_delete(db, "shelf", where=here, confirm=True).require()
        saol.agent_import(db, "shelf", path, batch_rows=500).require()
        second = saol.agent_export(db, "shelf", path, select=COLUMNS).require()
        assert second.data["sha256"] == first.data["sha256"]
        print(f"{db.transport.name}: {ROWS} rows as {ending}, sha256 {first.data['sha256'][:16]}")


@pytest.fixture
def both(shelf: str, request: pytest.FixtureRequest) -> Iterator[list[saol.Database]]:
    from tests.contract.conftest import REAL_KEY, REAL_URL, SECRET_KEY

    url, key = (REAL_URL, REAL_KEY) if REAL_URL else (request.getfixturevalue("gateway").url, SECRET_KEY)
    opened = [saol.connect_postgres(shelf), saol.connect_supabase(url, key)]
    yield opened
    for db in opened:
        db.close()


def test_conditions_mean_what_they_mean_in_python(
    both: list[saol.Database], random_numbers: random.Random
) -> None:
    """Any table of conditions picks the same rows over either transport as the same filter in Python does."""
    rows = plain_rows(random_numbers, 60)
    saol.agent_import(both[0], "shelf", rows).require()
    matched = 0
    for number in range(TABLES):
        asked = conditions(random_numbers, rows)
        expected = [row["id"] for row in rows if all(holds(row, *one) for one in asked)]
        matched += bool(expected)
        for db in both:
            result = saol.agent_query(db, "shelf", select="id", where=asked, order_by=[saol.Order("id")])
            found = [row["id"] for row in result.rows()]
            assert found == expected, (number, db.transport.name, asked)
    print(f"{TABLES} tables of conditions, {matched} of them with rows")
    assert matched > TABLES / 4


def test_what_is_meant_as_code_is_a_value_or_an_error(
    both: list[saol.Database], random_numbers: random.Random
) -> None:
    """No text in any place of a call reads, changes or removes a row that it does not name."""
    rows = [{"id": n, "name": f"row {n}", "weight": n, "tags": [f"t{n}"]} for n in range(1, 6)]
    saol.agent_import(both[0], "shelf", rows).require()
    before = saol.agent_query(both[0], "shelf", order_by=[saol.Order("id")]).rows()
    tables = {entry["name"] for entry in saol.agent_introspect_schema(both[0]).value()["tables"]}
    values = errors = 0
    for number in range(INJECTIONS):
        text = random_numbers.choice(ATTACKS) + random_numbers.choice(["", "", hostile(random_numbers, 3)])
        place = random_numbers.choice(list(PLACES))
        for db in both:
            result = PLACES[place](db, text)
            if result.success:
                values += 1
                assert result.data in (
                    [],
                    None,
                    text,
                    [{"t": text}],
                    {"text": text, "facts": {}, "list": []},
                ) or (set(result.data) <= {"issues", "ok", "transport"}), (number, place, text, result.data)
                assert not result.count or place in ("rpc value", "bound value", "preflight")
            else:
                errors += 1
                assert code(result) != "ERR_FATAL", (number, place, text, result.summary)
    assert saol.agent_query(both[0], "shelf", order_by=[saol.Order("id")]).rows() == before
    assert {entry["name"] for entry in saol.agent_introspect_schema(both[0]).value()["tables"]} == tables
    print(f"{INJECTIONS} injections on both transports: {values} taken as values, {errors} as errors")


PLACES: dict[str, Callable[[saol.Database, str], Result]] = {
    "text": lambda db, text: saol.agent_query(db, "shelf", where=[("name", "eq", text)]),
    "number": lambda db, text: saol.agent_query(db, "shelf", where=[("id", "eq", f"9{text}")]),
    "list": lambda db, text: saol.agent_query(db, "shelf", where=[("name", "in", [text, f"{text},"])]),
    "array": lambda db, text: saol.agent_query(db, "shelf", where=[("tags", "contains", [text])]),
    "array as text": lambda db, text: saol.agent_query(db, "shelf", where=[("tags", "eq", f"{{{text}")]),
    "json": lambda db, text: saol.agent_query(db, "shelf", where=[("facts", "contains", {text: text})]),
    "pattern": lambda db, text: saol.agent_query(db, "shelf", where=[("name", "like", f"no {text}")]),
    "is": lambda db, text: saol.agent_query(db, "shelf", where=[("name", "is", text)]),
    "column": lambda db, text: saol.agent_query(db, "shelf", where=[(text, "eq", "1")]),
    "operator": lambda db, text: saol.agent_query(db, "shelf", where=[("name", text, "1")]),
    "order": lambda db, text: saol.agent_query(db, "shelf", order_by=[saol.Order(text)]),
    "selection": lambda db, text: saol.agent_query(db, "shelf", select=[text]),
    "limit": lambda db, text: saol.agent_query(db, "shelf", limit=text),  # type: ignore[arg-type]
    "table": lambda db, text: saol.agent_query(db, text),
    "function": lambda db, text: saol.agent_execute_rpc(db, text),
    "argument": lambda db, text: saol.agent_execute_rpc(db, "shelf_above", {text: 1}),
    "rpc value": lambda db, text: saol.agent_execute_rpc(db, "shelf_echo", {"p_text": text}),
    "rpc number": lambda db, text: saol.agent_execute_rpc(db, "shelf_above", {"p_weight": f"9{text}"}),
    "key": lambda db, text: saol.agent_upsert(db, "shelf", {"id": 1}, on_conflict=[text]),
    "field": lambda db, text: saol.agent_insert(db, "shelf", {"id": 1, text: 1}),
    "update": lambda db, text: saol.agent_update(db, "shelf", {"weight": 9}, where=[("name", "eq", text)]),
    "updated column": lambda db, text: saol.agent_update(db, "shelf", {text: 9}, where=[("id", "eq", 1)]),
    "delete": lambda db, text: saol.agent_delete(db, "shelf", where=[("name", "eq", text)], confirm=True),
    "delete like": lambda db, text: saol.agent_delete(
        db, "shelf", where=[("name", "like", f"no {text}")], confirm=True
    ),
    "bound value": lambda db, text: saol.agent_execute_sql(db, "select $1::text as t", [text]),
    "preflight": lambda db, text: saol.agent_preflight(db, "shelf", columns=[text], on_conflict=[text]),
    "new table": lambda db, text: saol.agent_manage_schema(
        db,
        "create_table",
        f"x{text}" if not text.isalnum() else f"{text} x",
        columns=[saol.Column("a", "text")],
    ),
    "new type": lambda db, text: saol.agent_manage_schema(
        db, "add_column", "shelf", columns=[saol.Column("b", f"text {text}")]
    ),
    "new index": lambda db, text: saol.agent_manage_index(
        db, "shelf", "create", columns=["weight"], name=f"i {text}"
    ),
}
