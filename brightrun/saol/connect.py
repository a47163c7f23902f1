"""Open a database over one of the two transports; raises DatabaseFault when it does not answer.

Each vendor is imported when its road is taken: a shell command should not wait for the other one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from brightrun.domain.errors import DatabaseFault
from brightrun.saol.database import Database
from brightrun.saol.failures import Rejected, Unreachable, explain


def connect_postgres(
    dsn: str, *, revive: Callable[[], object] | None = None, place: Path | None = None
) -> Database:
    """Open PostgreSQL by a connection string; `revive` starts an embedded server that died in its `place`."""
    from brightrun.saol.transports.postgres import PostgresTransport

    try:
        return Database(PostgresTransport(dsn, revive=revive, place=place))
    except (Rejected, Unreachable) as fault:
        failure = explain(fault)
        raise DatabaseFault(
            failure.message, remedy=failure.remediation, code=failure.code, is_transient=True
        ) from fault


def connect_supabase(url: str, key: str) -> Database:
    """Open a Supabase project by its URL and secret key."""
    from brightrun.saol.transports.supabase import SupabaseTransport

    return Database(SupabaseTransport(url, key))
