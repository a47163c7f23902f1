"""SQL, definitions and upkeep: guarded and rehearsed over PostgreSQL, refused with the way over Supabase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from brightrun import saol
from tests.shelf import code, fill

ELSEWHERE: dict[str, Callable[[saol.Database], saol.Result]] = {
    "agent_execute_sql": lambda db: saol.agent_execute_sql(db, "select 1"),
    "agent_execute_ddl": lambda db: saol.agent_execute_ddl(db, "create table public.shelf_x (a int)"),
    "agent_manage_index": lambda db: saol.agent_manage_index(db, "shelf", "create", columns=["weight"]),
    "agent_manage_schema": lambda db: saol.agent_manage_schema(
        db, "add_column", "shelf", columns=[saol.Column("x", "text")]
    ),
    "agent_vacuum": lambda db: saol.agent_vacuum(db, "shelf"),
    "agent_analyze": lambda db: saol.agent_analyze(db, "shelf"),
    "agent_reindex": lambda db: saol.agent_reindex(db, "shelf"),
    "agent_analyze_index_usage": lambda db: saol.agent_analyze_index_usage(db, "shelf"),
    "agent_analyze_table_bloat": saol.agent_analyze_table_bloat,
}


@pytest.fixture
def direct(shelf: str) -> Iterator[saol.Database]:
    opened = saol.connect_postgres(shelf)
    yield opened
    opened.close()


def test_what_one_transport_cannot_do_names_the_other(db: saol.Database) -> None:
    """Every function that needs statements works directly, and over Supabase says what to set instead."""
    for name, call in ELSEWHERE.items():
        result = call(db)
        if db.transport.name == "postgres":
            assert result.success, (name, result.summary)
        else:
            assert code(result) == "ERR_TRANSPORT_UNSUPPORTED", name
            assert "DATABASE_URL" in str(result.error)
            assert [action.action for action in result.next_actions] == ["CHANGE_TRANSPORT"]


def test_indexes_are_listed_and_tables_looked_at_on_both(db: saol.Database) -> None:
    """What needs no statement is answered over either transport."""
    listed = saol.agent_manage_index(db, "shelf").require()
    assert listed.count == 2
    ready = saol.agent_preflight(db, "shelf", columns=["id", "name"], on_conflict=["name"]).require()
    assert (ready.data["ok"], ready.count) == (True, 0)
    bad = saol.agent_preflight(db, "shelf", columns=["colour"], on_conflict=["weight"]).require()
    assert [issue["code"] for issue in bad.data["issues"]] == ["42703", "ERR_VALIDATION_SCHEMA"]
    view = saol.agent_preflight(db, "batch_overview", columns=["name"]).require()
    assert not view.data["ok"]
    as_expected = saol.agent_verify_table(
        db, "shelf", columns={"id": "integer"}, indexes=["shelf_pkey"], constraints=["shelf_parent_fkey"]
    ).require()
    assert (as_expected.data["category"], as_expected.data["can_proceed"]) == (1, True)
    other = saol.agent_verify_table(db, "shelf", columns={"id": "uuid", "x": "text"}, indexes=["i"]).require()
    assert (other.data["category"], other.count, other.data["can_proceed"]) == (3, 3, False)
    assert saol.agent_verify_table(db, "shelves").require().data["category"] == 4


def test_reading_is_held_to_reading_by_the_database(direct: saol.Database) -> None:
    """Without write=True nothing is changed, however the statement hides it; values are bound."""
    fill(direct, 3)
    found = saol.agent_execute_sql(
        direct, "select id, name, made_at, weight, tags from shelf where name = $1", ["shelf 00002"]
    ).require()
    assert [(row["id"], row["weight"], row["tags"]) for row in found.data] == [(2, 2.5, [])]
    assert "T" in found.data[0]["made_at"]
    hostile = saol.agent_execute_sql(direct, "select $1::text as t", ["'; drop table shelf; --"]).require()
    assert hostile.data == [{"t": "'; drop table shelf; --"}]
    for text in (
        "with gone as (delete from shelf where id = 1 returning *) select * from gone",
        "update shelf set name = 'x' where id = 1",
        "explain analyze delete from shelf",
        "select set_config('transaction_read_only', 'off', true); delete from shelf where id = 1",
    ):
        assert code(saol.agent_execute_sql(direct, text)) == "ERR_READ_ONLY", text
    assert saol.agent_count(direct, "shelf").total() == 3


def test_statements_on_rows_stand_or_fall_together(direct: saol.Database) -> None:
    """A dry run takes everything back, a fault in the last statement undoes the first, all rows need a word."""
    fill(direct, 3)
    change = "update shelf set weight = 9 where id < 3"
    dry = saol.agent_execute_sql(direct, change, write=True, dry_run=True).require()
    assert (dry.count, [a.action for a in dry.next_actions]) == (2, ["RUN_FOR_GOOD"])
    assert saol.agent_count(direct, "shelf", where=[("weight", "eq", 9)]).total() == 0
    broken = saol.agent_execute_sql(direct, f"{change}; insert into shelf (id) values (1)", write=True)
    assert code(broken) == "ERR_DB_UNIQUE_VIOLATION"
    assert saol.agent_count(direct, "shelf", where=[("weight", "eq", 9)]).total() == 0
    assert saol.agent_execute_sql(direct, change, write=True).require().count == 2
    assert (
        code(saol.agent_execute_sql(direct, "delete from shelf", write=True)) == "ERR_CONFIRMATION_REQUIRED"
    )
    assert saol.agent_execute_sql(direct, "delete from shelf", write=True, confirm=True).require().count == 3


def test_what_does_not_run_as_text_says_why(direct: saol.Database) -> None:
    """Each refusal has its code and remedy; the connection is fit for the next statement."""
    for text, expected in (
        ("", "ERR_VALIDATION_REQUIRED"),
        ("-- nothing", "ERR_VALIDATION_REQUIRED"),
        ("selec 1", "ERR_DDL_SYNTAX"),
        ("select 'open", "ERR_DDL_SYNTAX"),
        ("select from where", "ERR_DDL_SYNTAX"),
        ("commit", "ERR_STATEMENT_ELSEWHERE"),
        ("set role postgres", "ERR_STATEMENT_ELSEWHERE"),
        ("copy shelf to program 'cat'", "ERR_STATEMENT_ELSEWHERE"),
        ("create table public.shelf_x (a int)", "ERR_STATEMENT_ELSEWHERE"),
        ("do $$ begin delete from shelf; end $$", "ERR_READ_ONLY"),
        ("select pg_sleep(9)", "ERR_RPC_TIMEOUT"),
        ("select 1; select $1", "ERR_VALIDATION_SCHEMA"),
    ):
        values = ["x"] if "$1" in text else []
        assert code(saol.agent_execute_sql(direct, text, values, timeout_seconds=0.5)) == expected, text
        (kept,) = saol.agent_execute_sql(direct, "show statement_timeout").require().data
        assert kept == {"statement_timeout": "30s"}


def test_what_takes_something_away_needs_a_confirmation(direct: saol.Database) -> None:
    """A statement that drops, empties or hides its effect is refused until it is confirmed; rehearsals are free."""
    drop = "drop table shelf cascade"
    for text in (
        drop,
        "truncate shelf",
        f"create table public.shelf_x (a int); {drop}",
        "alter table shelf drop column name",
        "alter table shelf disable row level security",
        f"do $$ begin {drop}; end $$",
        f"/* a /* nested */ comment */ {drop}",
    ):
        refused = saol.agent_execute_ddl(direct, text)
        assert code(refused) == "ERR_CONFIRMATION_REQUIRED", text
        assert [action.action for action in refused.next_actions] == ["RUN_DRY_RUN_FIRST"]
        saol.agent_execute_ddl(direct, text, dry_run=True).require()
        found = saol.agent_introspect_schema(direct, "shelf").value()["tables"][0]
        assert found["rls_enabled"]
        assert "name" in {column["name"] for column in found["columns"]}
    assert code(saol.agent_execute_ddl(direct, "drop table shelf", confirm=True)) == "ERR_DB_DEPENDENT"
    saol.agent_execute_ddl(direct, drop, confirm=True).require()
    assert code(saol.agent_query(direct, "shelf")) == "ERR_DB_TABLE_NOT_FOUND"


def test_definitions_stand_or_fall_together(direct: saol.Database) -> None:
    """A fault in one statement leaves none of the others behind, and a new name is known at once."""
    broken = "create table public.shelf_x (a int); create table public.shelf (a int)"
    assert code(saol.agent_execute_ddl(direct, broken)) == "ERR_INDEX_EXISTS"
    assert code(saol.agent_query(direct, "shelf_x")) == "ERR_DB_TABLE_NOT_FOUND"
    made = saol.agent_execute_ddl(
        direct, "create table public.shelf_x (a int); comment on table public.shelf_x is 'a;b'"
    )
    assert [entry["command"] for entry in made.value()] == ["CREATE TABLE", "COMMENT"]
    assert saol.agent_query(direct, "shelf_x").rows() == []


def test_tables_and_columns_are_managed_by_name(direct: saol.Database) -> None:
    """A table is made closed, changed and dropped without a line of SQL, and no name can be a statement."""
    columns = [
        saol.Column("id", "uuid", nullable=False),
        saol.Column("note", "text", default="it's; drop table shelf"),
        saol.Column("facts", "jsonb", default={"a": "'"}),
    ]
    dry = saol.agent_manage_schema(
        direct, "create_table", "shelf_drawer", columns=columns, primary_key=["id"], dry_run=True
    )
    assert dry.require().data[0].startswith('create table public."shelf_drawer"')
    saol.agent_manage_schema(
        direct, "create_table", "shelf_drawer", columns=columns, primary_key=["id"]
    ).require()
    key = "00000000-0000-0000-0000-000000000001"
    row = saol.agent_insert(direct, "shelf_drawer", {"id": key}).rows()[0]
    assert (row["note"], row["facts"]) == ("it's; drop table shelf", {"a": "'"})
    (entry,) = saol.agent_introspect_schema(direct, "shelf_drawer").value()["tables"]
    assert (entry["rls_enabled"], entry["rls_forced"], entry["primary_key"]) == (True, True, ["id"])

    def manage(action: str, **given: Any) -> saol.Result:
        return saol.agent_manage_schema(direct, action, "shelf_drawer", **given)

    manage("rename_column", column="note", to="remark").require()
    manage("add_column", columns=[saol.Column("tags", "text[]")]).require()
    assert code(manage("drop_column", column="tags")) == "ERR_CONFIRMATION_REQUIRED"
    manage("drop_column", column="tags", confirm=True).require()
    for bad in (
        manage("add_column", columns=[saol.Column("a b", "text")]),
        manage("add_column", columns=[saol.Column("x", "text; drop table shelf")]),
        manage("rename_column", column="remark", to='x"; drop table shelf; --'),
        manage("create", columns=[]),
    ):
        assert code(bad) == "ERR_VALIDATION_SCHEMA"
    manage("drop_table", confirm=True).require()
    assert code(manage("drop_table", confirm=True)) == "ERR_DB_TABLE_NOT_FOUND"


def test_indexes_come_and_go(direct: saol.Database) -> None:
    """An index is rehearsed, built while others write, found by name, and dropped only on confirmation."""
    make = {"columns": ["weight", "id"], "unique": True}
    dry = saol.agent_manage_index(direct, "shelf", "create", dry_run=True, **make)  # type: ignore[arg-type]
    assert dry.require().data[0].startswith('create unique index "shelf_weight_id_idx"')
    assert saol.agent_manage_index(direct, "shelf").count == 2
    saol.agent_manage_index(direct, "shelf", "create", concurrent=True, **make).require()  # type: ignore[arg-type]
    assert saol.agent_manage_index(direct, "shelf").count == 3
    assert code(saol.agent_manage_index(direct, "shelf", "create", **make)) == "ERR_INDEX_EXISTS"  # type: ignore[arg-type]
    name = "shelf_weight_id_idx"
    assert code(saol.agent_manage_index(direct, "shelf", "drop", name=name)) == "ERR_CONFIRMATION_REQUIRED"
    assert (
        code(saol.agent_manage_index(direct, "shelf", "drop", name="x", confirm=True))
        == "ERR_INDEX_NOT_FOUND"
    )
    saol.agent_manage_index(direct, "shelf", "drop", name=name, concurrent=True, confirm=True).require()
    assert saol.agent_manage_index(direct, "shelf").count == 2
    gin = saol.agent_manage_index(direct, "shelf", "create", columns=["facts"], method="gin").require()
    assert "using gin" in gin.data[0]
    assert (
        code(saol.agent_manage_index(direct, "shelf", "create", columns=["x"])) == "ERR_DB_COLUMN_NOT_FOUND"
    )


def test_upkeep_tells_what_it_did(direct: saol.Database) -> None:
    """Vacuum, statistics and rebuilding touch what they name, or would; a view is no table."""
    fill(direct, 50)
    dry = saol.agent_vacuum(direct, "shelf", full=True, analyze=True, dry_run=True).require()
    assert dry.data == ['vacuum (full, analyze) public."shelf"']
    saol.agent_vacuum(direct, "shelf", full=True, analyze=True).require()
    saol.agent_analyze(direct, "shelf", columns=["name"]).require()
    assert saol.agent_reindex(direct, "shelf").require().data == ['reindex table concurrently public."shelf"']
    assert code(saol.agent_analyze(direct, "shelf", columns=["x"])) == "ERR_DB_COLUMN_NOT_FOUND"
    assert code(saol.agent_vacuum(direct, "batch_overview")) == "ERR_VALIDATION_SCHEMA"
    usage = saol.agent_analyze_index_usage(direct, "shelf").require()
    assert {row["name"] for row in usage.data} == {"shelf_pkey", "shelf_name_key"}
    bloat = saol.agent_analyze_table_bloat(direct, "shelf").require()
    assert (bloat.count, bloat.data[0]["name"]) == (1, "shelf")


def test_every_way_to_the_database_has_time_outs(
    direct: saol.Database, server_dsn: str, base_database: str
) -> None:
    """A statement, a lock and a forgotten transaction end by themselves, over Postgres and for the roles behind HTTP."""
    for name, expected in (
        ("statement_timeout", "30s"),
        ("lock_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "30s"),
    ):
        (shown,) = saol.agent_execute_sql(direct, f"show {name}").require().data
        assert shown == {name: expected}
    with psycopg.connect(server_dsn) as connection:
        rows = connection.execute(
            "select r.rolname, s.setconfig from pg_db_role_setting s join pg_roles r on r.oid = s.setrole "
            "join pg_database d on d.oid = s.setdatabase where d.datname = %s",
            [base_database],
        ).fetchall()
    bounds = {"statement_timeout=30s", "lock_timeout=5s", "idle_in_transaction_session_timeout=30s"}
    assert {role: set(config) for role, config in rows} == dict.fromkeys(
        ("service_role", "authenticated", "anon"), bounds
    )
