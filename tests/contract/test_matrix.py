"""Role by table by operation: every cell as the database itself answers it, whatever Python believes.

A new table or function fails here until it is opened on purpose. In the migration that makes it:

    select private.open_table('name', 'viewer', 'author', 'author', null);  -- select, insert, update, delete
    grant execute on function public.name(...) to authenticated;            -- or name it in SERVER_ONLY here

and a line in EXPECTED, which is written by hand so that no policy is its own proof.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import sql

from brightrun.domain.person import MADE_BY, Role

DENIED = "42501"
NOTHING = "02000"
"""No row was seen or touched: what Row Level Security does where it is not asked to say so."""
OPERATIONS = ("select", "insert", "update", "delete")
LADDER = ("viewer", "reviewer", "author", "admin")
ROLES = ("anon", *LADDER, "service")


class Row(NamedTuple):
    """The lowest role for each operation; None where people never may. `person` names who acts."""

    select: str | None
    insert: str | None = None
    update: str | None = None
    delete: str | None = None
    person: str | None = None


EXPECTED = {
    "app_roles": Row("admin", "admin", None, "admin", "granted_by"),
    "app_users": Row("admin", "admin", "admin"),
    "attempts": Row("viewer", "author", "author"),
    "batch_counts": Row("viewer", "author", "author"),
    "batch_errors": Row("viewer", "author", "author"),
    "batch_items": Row("viewer", "author", "author"),
    "batch_jobs": Row("viewer", "author", "author"),
    "batch_parts": Row("viewer"),
    "batch_progress": Row("viewer", "author", "author"),
    "conversation_kinds": Row("viewer"),
    "conversation_texts": Row("viewer", "author", "author"),
    "conversation_texts_due": Row("viewer", "reviewer", "reviewer", "author"),
    "conversation_versions": Row("viewer", "reviewer"),
    "conversations": Row("viewer", "author", "reviewer"),
    "corrections": Row("viewer", "reviewer", person="corrector"),
    "dataset_rows": Row("viewer", "author"),
    "datasets": Row("viewer", "author", "author", "author"),
    "decision_kinds": Row("viewer"),
    "emotional_arcs": Row("viewer", "author", "author", "author"),
    "import_lines": Row("viewer", "author", "author"),
    "imports": Row("viewer", "author", "author"),
    "job_estimates": Row("viewer", "author"),
    "job_log": Row("viewer", "author"),
    "list_columns": Row("viewer", "viewer", "viewer", person="person"),
    "personas": Row("viewer", "author", "author", "author"),
    "plan_kinds": Row("viewer"),
    "price_changes": Row("viewer", "admin"),
    "prices": Row("viewer", "admin", "admin", "admin"),
    "rate_limits": Row(None),
    "reject_reasons": Row("viewer", "admin", "admin", "admin"),
    "reviews": Row("viewer", "reviewer", person="reviewer"),
    "role_changes": Row("admin", "admin", person="changed_by"),
    "saved_views": Row("viewer", "reviewer", "reviewer", "reviewer", "saved_by"),
    "split_anchors": Row("viewer", "author"),
    "template_versions": Row("viewer", "author", person="created_by"),
    "templates": Row("viewer", "author", "author"),
    "training_topics": Row("viewer", "author", "author", "author"),
    "verdicts": Row("viewer"),
    "workers": Row("viewer"),
}
SERVER_ONLY = {
    "add_money",
    "beat_worker",
    "claim_item",
    "claim_items",
    "close_attempts",
    "close_part",
    "open_part",
    "part_claims",
    "part_view",
    "prepare_part",
    "put_part_off",
    "send_part",
    "take_part",
    "complete_item",
    "complete_items",
    "describe_project",
    "end_leases",
    "insert_conversations",
    "pause_after_failures",
    "pause_at_budget",
    "reclaim_items",
    "record_attempt",
    "record_verdict",
    "settle_item",
    "take_turn",
}
"""Functions of the step and of the server's own upkeep; no person calls them."""


SAMPLES = {
    "uuid": "gen_random_uuid()",
    "jsonb": "'{}'",
    "text[]": "'{}'",
    "boolean": "true",
    "date": "current_date",
    "timestamp with time zone": "now()",
    "text": "'x'",
    "tsvector": "''",
}
"""A value of each type of column; any other type is a number."""


def address(role: str) -> str:
    return f"{role}@example.org"


@pytest.fixture
def database(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A database with one person of each role on its list."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for role in Role:
            connection.execute("select set_person(%s, %s, %s, 'setup')", (address(role), role.title(), role))
        plant_rows(connection)
        yield connection


def plant_rows(connection: psycopg.Connection[Any]) -> None:
    """Put a row into every table: a policy is only asked where there is one. What it holds means nothing."""
    for table, name in connection.execute(
        "select conrelid::regclass::text, conname from pg_constraint"
        " where connamespace = 'public'::regnamespace and contype = 'c'"
    ).fetchall():
        connection.execute(f'alter table {table} drop constraint "{name}"')
    connection.execute("set session_replication_role = replica")  # no triggers, no foreign keys
    for table in tables(connection):
        needed = connection.execute(
            "select attname, format_type(atttypid, null) from pg_attribute where attrelid = %s::regclass"
            " and attnum > 0 and not attisdropped and attnotnull and not atthasdef and attidentity = ''",
            (f"public.{table}",),
        ).fetchall()
        if needed:
            columns = ", ".join(f'"{name}"' for name, _ in needed)
            values = ", ".join(SAMPLES.get(kind, "1") for _, kind in needed)
            connection.execute(f"insert into public.{table} ({columns}) values ({values})")
        else:
            connection.execute(f"insert into public.{table} default values")
    connection.execute("reset session_replication_role")


def act_as(connection: psycopg.Connection[Any], role: str, claims: Mapping[str, Any] | None = None) -> None:
    """Be somebody until the transaction ends, as the app's transport does it."""
    if role in ("anon", "service"):
        connection.execute("set local role anon" if role == "anon" else "set local role service_role")
        return
    given = claims or {"made_by": MADE_BY, "email": address(role), "role": "authenticated"}
    connection.execute("set local role authenticated")
    connection.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps(dict(given)),))


def statement(table: str, operation: str, column: str, person: str | None, who: str) -> sql.Composed:
    names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
    if operation == "insert" and person:
        return sql.SQL("insert into public.{} ({}) values ({})").format(
            names["table"], sql.Identifier(person), sql.Literal(who)
        )
    if operation == "update" and person:
        return sql.SQL("update public.{} set {} = {}").format(
            names["table"], sql.Identifier(person), sql.Literal(who)
        )
    text = {
        "select": "select 1 from public.{table} limit 1",
        "insert": "insert into public.{table} default values",
        "update": "update public.{table} set {column} = {column}",
        "delete": "delete from public.{table}",
    }[operation]
    return sql.SQL(text).format(**names)


def state_of(
    connection: psycopg.Connection[Any],
    role: str,
    query: sql.Composed,
    claims: Mapping[str, Any] | None = None,
) -> str:
    """Return the SQLSTATE a statement ends in, 00000 for none; nothing of it is kept."""
    try:
        with connection.transaction(force_rollback=True):
            act_as(connection, role, claims)
            touched = connection.execute(query).rowcount
    except psycopg.Error as fault:
        return fault.sqlstate or "?"
    return "00000" if touched else NOTHING


def tables(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Return every table of the schema with one column that can be set."""
    return dict(
        connection.execute(
            "select c.relname, (select attname from pg_attribute where attrelid = c.oid and attnum > 0"
            " and not attisdropped and attidentity = '' and attgenerated = '' order by attnum limit 1)"
            " from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')"
        ).fetchall()
    )


def allowed(role: str, lowest: str | None) -> bool:
    if role == "service":
        return True
    return role in LADDER and lowest is not None and LADDER.index(role) >= LADDER.index(lowest)


def wrong_cells(connection: psycopg.Connection[Any]) -> list[str]:
    """Return each cell in which the database answers otherwise than the table above."""
    wrong = []
    for table, column in sorted(tables(connection).items()):
        row = EXPECTED.get(table)
        if row is None:
            wrong.append(f"{table}: nobody has said who may do what with it")
            continue
        for role in ROLES:
            for operation in OPERATIONS:
                state = state_of(
                    connection, role, statement(table, operation, column, row.person, address(role))
                )
                if role == "service" and state == DENIED:
                    continue  # append-only tables keep even the server from some operations
                expected = allowed(role, getattr(row, operation))
                if (state == DENIED) is expected or state == NOTHING:
                    wrong.append(f"{role} {operation} {table}: {state}")
    return wrong


def loose_tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Return the tables without Row Level Security on and forced, or with a right for everybody."""
    return [
        name
        for (name,) in connection.execute(
            "select relname from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
            " and (not (relrowsecurity and relforcerowsecurity)"
            " or not has_table_privilege('service_role', c.oid, 'select')"
            " or has_any_column_privilege('anon', c.oid, 'select, insert, update, references')"
            " or has_table_privilege('anon', c.oid, 'delete, truncate, trigger')"
            " or has_table_privilege('authenticated', c.oid, 'truncate, trigger, references'))"
        )
    ]


def test_every_role_may_do_with_every_table_what_the_table_above_says(
    database: psycopg.Connection[Any],
) -> None:
    """Whoever gets past a missing check in the app is stopped by the database, cell by cell."""
    assert wrong_cells(database) == []
    assert sorted(EXPECTED) == sorted(tables(database))
    assert loose_tables(database) == []


def test_a_table_that_is_left_open_is_noticed(database: psycopg.Connection[Any]) -> None:
    """Who adds a table, or loosens one, hears it from the tests by its name."""
    for planted, said in (
        ("create table public.planted (id int)", "nobody has said"),
        ("alter table public.reviews disable row level security", "viewer insert reviews"),
        ("alter table public.prices no force row level security", "prices"),
        ("grant select on public.app_users to anon", "app_users"),
        ("drop policy people_update on public.conversations", "viewer update conversations"),
        ("grant delete on public.reviews to authenticated", "reviewer delete reviews"),
        (
            "create policy loose on public.prices for update to authenticated using (true)",
            "author update prices",
        ),
    ):
        with database.transaction(force_rollback=True):
            database.execute(planted)
            found = [*wrong_cells(database), *loose_tables(database)]
        assert any(said in line for line in found), (planted, found)
    assert wrong_cells(database) == []


def test_nobody_acts_under_another_name(database: psycopg.Connection[Any]) -> None:
    """A decision, correction, view or role is written down under the name of who made it, or not at all."""
    for table, row in EXPECTED.items():
        if row.person:
            query = statement(table, "insert", "", row.person, "somebody.else@example.org")
            assert state_of(database, "admin", query) == DENIED, table


def test_claims_that_are_not_ours_open_nothing(database: psycopg.Connection[Any]) -> None:
    """Who signs up to a hosted project under an admin's address, or names a role, reads and writes nothing."""
    known = tables(database)
    for claims in (
        {"email": address("admin"), "role": "authenticated"},
        {"email": address("admin"), "user_metadata": {"made_by": MADE_BY}},
        {"made_by": MADE_BY, "email": "stranger@example.org", "person_role": "admin"},
        {"made_by": MADE_BY},
        {"made_by": "somebody", "email": address("admin")},
    ):
        for table, column in known.items():
            for operation in OPERATIONS:
                query = statement(table, operation, column, EXPECTED[table].person, "stranger@example.org")
                assert state_of(database, "claimed", query, claims) == DENIED, (
                    f"{operation} {table} by {claims}"
                )


def test_a_role_counts_until_it_is_changed(database: psycopg.Connection[Any]) -> None:
    """Who is taken off the list is out at the next statement; a new role counts at once."""
    query = statement("prices", "delete", "", None, "")
    reading = statement("reviews", "select", "", None, "")
    assert state_of(database, "author", query) == DENIED
    database.execute("select set_person(%s, '', 'admin', 'setup')", (address("author"),))
    assert state_of(database, "author", query) != DENIED
    database.execute("select set_person(%s, '', null, 'setup')", (address("author"),))
    assert state_of(database, "author", query) == DENIED
    assert state_of(database, "author", reading) == DENIED


def test_every_view_is_read_by_people_with_their_own_rights(database: psycopg.Connection[Any]) -> None:
    """No view shows what the tables under it would refuse."""
    views = database.execute(
        "select relname, reloptions::text like '%security_invoker=true%' from pg_class"
        " where relnamespace = 'public'::regnamespace and relkind = 'v'"
    ).fetchall()
    assert [name for name, is_invoker in views if not is_invoker] == []
    for name, _ in views:
        reading = sql.SQL("select * from public.{} limit 1").format(sql.Identifier(name))
        assert state_of(database, "anon", reading) == DENIED, name
        assert (state_of(database, "viewer", reading) == DENIED) is (name == "people"), name
        assert state_of(database, "service", reading) != DENIED, name


def test_every_function_is_open_to_people_or_kept_for_the_server(database: psycopg.Connection[Any]) -> None:
    """A function runs with the rights of who calls it; those of the step are the server's alone."""
    rows = database.execute(
        "select proname, prosecdef, has_function_privilege('anon', oid, 'execute'),"
        " has_function_privilege('authenticated', oid, 'execute'),"
        " has_function_privilege('service_role', oid, 'execute') from pg_proc"
        " where pronamespace = 'public'::regnamespace and prokind = 'f' and prorettype <> 'trigger'::regtype"
    ).fetchall()
    passing = {name for name, definer, *_ in rows if definer}
    assert passing <= SERVER_ONLY, "these would pass Row Level Security"
    assert [name for name, _, anon, *_ in rows if anon] == []
    assert [name for name, *_, service in rows if not service] == []
    assert {name for name, _, _, people, _ in rows if not people} == SERVER_ONLY
