"""The operations of SAOL: each a function that returns one Result and never raises for the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from brightrun.saol import advice
from brightrun.saol.database import Database
from brightrun.saol.failures import Refused
from brightrun.saol.outcome import Outcome, outcome
from brightrun.saol.result import Result
from brightrun.saol.schema import Table
from brightrun.saol.transports.port import Rows
from brightrun.saol.where import Condition, Order, Where, conditions, orders

PREVIEW = 10


def agent_query(
    db: Database,
    table: str,
    *,
    select: str | list[str] = "*",
    where: Iterable[Condition] = (),
    order_by: Iterable[Order] = (),
    limit: int | None = None,
    offset: int = 0,
    count: bool = False,
) -> Result:
    """Return rows as JSON values; without a limit all of them, whatever cap the server has."""

    def run() -> Outcome:
        for number in (limit, offset):
            if number is not None and (not isinstance(number, int) or number < 0):
                raise Refused("ERR_VALIDATION_SCHEMA", "limit and offset are whole numbers from 0 on.")
        found = db.table(table)
        columns = found.chosen(select)
        checked = conditions(where, found.columns)
        wanted = list(order_by)
        key = found.primary_key if wanted or limit is not None or offset else ()
        rows = db.transport.select(found, columns, checked, orders(wanted, found.columns, key), limit, offset)
        total = db.transport.count(found, checked) if count else None
        return rows, total, f"{len(rows)} rows of {table}"

    return outcome("query", run, lambda rows: advice.after_query(rows, limit))


def agent_count(db: Database, table: str, *, where: Iterable[Condition] = ()) -> Result:
    """Count the rows that match."""

    def run() -> Outcome:
        found = db.table(table)
        total = db.transport.count(found, conditions(where, found.columns))
        return None, total, f"{total} rows of {table}"

    return outcome("count", run)


def agent_insert(
    db: Database, table: str, rows: Rows | Mapping[str, Any], *, returning: bool = True
) -> Result:
    """Insert rows, all or none; a column that one row lacks is null for it."""

    def run() -> Outcome:
        found, given, columns = _given(db, table, rows)
        done = db.transport.insert(found, columns, given)
        return (done if returning else None), len(done), f"{len(done)} rows inserted into {table}"

    return outcome("insert", run)


def agent_upsert(
    db: Database,
    table: str,
    rows: Rows | Mapping[str, Any],
    *,
    on_conflict: Sequence[str],
    ignore_duplicates: bool = False,
    returning: bool = True,
) -> Result:
    """Insert rows or update those whose key exists; with `ignore_duplicates` leave those alone."""

    def run() -> Outcome:
        found, given, columns = _given(db, table, rows)
        if not on_conflict:
            raise Refused("ERR_VALIDATION_REQUIRED", "An upsert needs the columns of a key.")
        found.check(list(on_conflict))
        done = db.transport.upsert(found, columns, given, on_conflict, ignore=ignore_duplicates)
        return (done if returning else None), len(done), f"{len(done)} rows upserted into {table}"

    return outcome("upsert", run)


def agent_update(
    db: Database,
    table: str,
    values: Mapping[str, Any],
    *,
    where: Iterable[Condition],
    returning: bool = True,
) -> Result:
    """Update the rows that match; refuses without a where."""

    def run() -> Outcome:
        found, checked = _narrowed(db, table, where, "An update")
        if not values:
            raise Refused("ERR_VALIDATION_REQUIRED", "An update needs values.")
        found.check(list(values))
        done = db.transport.update(found, values, checked)
        return (done if returning else None), len(done), f"{len(done)} rows of {table} updated"

    return outcome("update", run)


def agent_delete(
    db: Database,
    table: str,
    *,
    where: Iterable[Condition],
    confirm: bool = False,
    dry_run: bool = False,
) -> Result:
    """Delete the rows that match; refuses without a where, and without `confirm` unless it is a dry run."""

    def run() -> Outcome:
        found, checked = _narrowed(db, table, where, "A delete")
        if dry_run:
            total = db.transport.count(found, checked)
            order = orders((), found.columns, found.primary_key)
            preview = db.transport.select(found, list(found.columns), checked, order, PREVIEW, 0)
            return preview, total, f"{total} rows of {table} would be deleted"
        if confirm is not True:
            raise Refused(
                "ERR_CONFIRMATION_REQUIRED", "A delete needs confirm=True, or dry_run=True to look first."
            )
        done = db.transport.delete(found, checked)
        return done, len(done), f"{len(done)} rows of {table} deleted"

    return outcome("delete", run, lambda rows: advice.after_delete(rows, dry_run=dry_run))


def agent_execute_rpc(db: Database, function: str, params: Mapping[str, Any] | None = None) -> Result:
    """Call a function by named arguments; a set-returning one gives a list."""

    def run() -> Outcome:
        found = db.function(function)
        given = params or {}
        found.check(given)
        value = db.transport.call(found, given)
        return value, len(value) if found.returns_set else None, f"{function} answered"

    return outcome("rpc", run)


def agent_introspect_schema(db: Database, table: str | None = None) -> Result:
    """Describe tables, views and functions as they are now: columns, keys, indexes, constraints, policies."""

    def run() -> Outcome:
        found = db.describe()
        if table is None:
            number = len(found.raw["tables"])
            return found.raw, number, f"{number} tables and views"
        return {"tables": [found.entry(table)], "functions": []}, 1, f"{table} described"

    return outcome("introspect", run)


def _narrowed(db: Database, table: str, where: Iterable[Condition], verb: str) -> tuple[Table, list[Where]]:
    found = db.table(table)
    checked = conditions(where, found.columns)
    if not checked:
        raise Refused("ERR_VALIDATION_REQUIRED", f"{verb} without a where would touch every row of {table}.")
    return found, checked


def _given(
    db: Database, table: str, rows: Rows | Mapping[str, Any]
) -> tuple[Table, list[Mapping[str, Any]], list[str]]:
    found = db.table(table)
    given = [rows] if isinstance(rows, Mapping) else list(rows)
    if not given:
        raise Refused("ERR_VALIDATION_REQUIRED", f"There are no rows for {table}.")
    columns = list(dict.fromkeys(name for row in given for name in row))
    found.check(columns)
    return found, given, columns
