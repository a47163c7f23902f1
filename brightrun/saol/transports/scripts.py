"""Running a script over a connection: one transaction, one statement a message, a time-out, a way back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

import psycopg

from brightrun.saol.script import Ran, Script, Statement

TIMEOUT = "select set_config('statement_timeout', $1, $2)"


def run(connection: psycopg.Connection[Any], script: Script) -> list[Ran]:
    """Run a script; outside of a transaction every statement stands for itself."""
    with psycopg.RawCursor(connection) as cursor, _limited(cursor, script):
        if script.transaction:
            return _together(connection, cursor, script)
        return [_run(cursor, statement) for statement in script.statements]


def _together(
    connection: psycopg.Connection[Any], cursor: psycopg.RawCursor[Any], script: Script
) -> list[Ran]:
    done = []
    with connection.transaction(force_rollback=not script.keep):
        if script.read_only:
            cursor.execute("set transaction read only")
        for statement in script.statements:
            # A pipeline speaks the protocol that takes one statement a message, whatever the text holds.
            with connection.pipeline():
                cursor.execute(statement.text.encode(), list(statement.values))
            done.append(_answer(cursor))
    return done


@contextmanager
def _limited(cursor: psycopg.RawCursor[Any], script: Script) -> Iterator[None]:
    """Set the time-out for this script and put the connection's own back, which others will use."""
    before = cursor.execute("show statement_timeout").fetchone()
    cursor.execute(TIMEOUT, [f"{max(round(script.timeout_seconds * 1000), 1)}ms", False])
    try:
        yield
    finally:
        if before and not connection_is_lost(cursor):
            cursor.execute(TIMEOUT, [before[0], False])


def connection_is_lost(cursor: psycopg.RawCursor[Any]) -> bool:
    return cursor.connection.closed or cursor.connection.broken


def _run(cursor: psycopg.RawCursor[Any], statement: Statement) -> Ran:
    cursor.execute(statement.text.encode(), list(statement.values) or None)
    return _answer(cursor)


def _answer(cursor: psycopg.RawCursor[Any]) -> Ran:
    command = (cursor.statusmessage or "").rstrip("0123456789 ")
    count = cursor.rowcount if cursor.rowcount >= 0 else None
    if cursor.description is None:
        return Ran(command, [], count)
    names = [column.name for column in cursor.description]
    rows = [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]
    return Ran(command, rows, count)


def _plain(value: Any) -> Any:
    """Return a JSON value: what PostgreSQL's own to_jsonb would make of it, as far as types go."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.is_finite() else float(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | timedelta | IPv4Address | IPv6Address):
        return str(value)
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
