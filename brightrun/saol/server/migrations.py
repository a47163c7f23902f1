"""Migrations: in order, once, under one lock, recorded as the Supabase CLI records them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from brightrun.domain.errors import SetupFault
from brightrun.saol import full

LOCK = 0x6272_6967_6874
"""Any process of any machine that migrates this database holds this advisory lock."""
FILE_NAME = re.compile(r"^(\d{14})_(\w+)\.sql$")

RECORDS = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
create table if not exists supabase_migrations.seed_files (path text not null primary key, hash text not null);
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `supabase/migrations/`."""

    version: str
    name: str
    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")


def migrations(folder: Path) -> list[Migration]:
    """Return a folder's migrations in their order; raises SetupFault for a file whose name says no version."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        parts = FILE_NAME.match(path.name)
        if not parts:
            raise SetupFault(
                f"{path.name} is no migration's name.", remedy="Name it <14 digits>_<verb>_<noun>.sql."
            )
        found.append(Migration(parts.group(1), parts.group(2), path))
    return found


def bring_up(dsn: str, folder: Path, place: Path) -> None:
    """Apply what an embedded database in its `place` lacks of the project's `folder`; raises as `apply` does."""
    apply(
        dsn, folder / "migrations", bootstrap=folder / "bootstrap.sql", seed=folder / "seed.sql", place=place
    )


def apply(
    dsn: str,
    folder: Path,
    *,
    bootstrap: Path | None = None,
    seed: Path | None = None,
    place: Path | None = None,
) -> list[str]:
    """Apply what is missing, all in one transaction, and return the versions applied.

    `bootstrap` is run first, for what Supabase has and a bare server lacks; `seed` last, when it changed. `place` is
    where the files of an embedded server are.
    Raises SetupFault naming the file; nothing of it is left half-applied.
    """
    try:
        with psycopg.connect(dsn) as connection:
            if not bootstrap and not seed and not _pending(connection, folder):
                return []
            connection.execute("select pg_advisory_xact_lock(%s)", [LOCK])
            if bootstrap:
                _run(connection, bootstrap)
            connection.execute(RECORDS)
            applied = [_apply(connection, migration) for migration in _pending(connection, folder)]
            if seed:
                _seed(connection, seed)
            return applied
    except psycopg.OperationalError as fault:
        if full.says_full(fault, place):
            raise full.full(reason(fault), place) from fault
        raise SetupFault(
            f"The database does not answer: {fault}.", remedy="Check that it runs and can be reached."
        ) from fault


def pending(dsn: str, folder: Path) -> list[Migration]:
    """Return the migrations a database lacks."""
    with psycopg.connect(dsn) as connection:
        return _pending(connection, folder)


def require_current(dsn: str, folder: Path) -> str:
    """Say that a database has every migration, or raise SetupFault naming what it lacks and the remedy."""
    try:
        missing = pending(dsn, folder)
    except psycopg.Error as fault:
        if full.says_full(fault):
            raise full.full(reason(fault), None) from fault
        raise SetupFault(
            f"The database cannot be used: {reason(fault)}.",
            remedy="Check DATABASE_URL and the role's rights.",
        ) from fault
    return told(folder, missing)


def told(folder: Path, missing: list[Migration]) -> str:
    """Say that nothing is missing, or raise SetupFault naming it and the remedy."""
    if missing:
        listed = ", ".join(migration.path.name for migration in missing)
        raise SetupFault(
            f"The database lacks {len(missing)} migrations: {listed}.",
            remedy="Apply them with `supabase db push --remote`, or point DATABASE_URL at another database.",
        )
    return f"All {len(migrations(folder))} are applied."


def reason(fault: psycopg.Error) -> str:
    """Return what is wrong on one line, without any part of a connection string: it may hold the password."""
    text = " ".join(str(fault).split()).rstrip(".")
    if fault.sqlstate is None and (isinstance(fault, psycopg.ProgrammingError) or "@" in text):
        return (
            "its address cannot be read; it is postgresql://USER:PASSWORD@HOST:PORT/NAME, and signs like @ : / # %"
            " in a password are written %40 %3A %2F %23 %25"
        )
    return text


def _pending(connection: psycopg.Connection, folder: Path) -> list[Migration]:
    exists = connection.execute("select to_regclass('supabase_migrations.schema_migrations')").fetchone()
    done: set[str] = set()
    if exists and exists[0]:
        rows = connection.execute("select version from supabase_migrations.schema_migrations").fetchall()
        done = {row[0] for row in rows}
    return [migration for migration in migrations(folder) if migration.version not in done]


def _apply(connection: psycopg.Connection, migration: Migration) -> str:
    _run(connection, migration.path)
    connection.execute(
        "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)",
        [migration.version, migration.name, [migration.text]],
    )
    return migration.version


def _seed(connection: psycopg.Connection, seed: Path) -> None:
    """Load the seed when it is new or changed; what exists is left alone by its own statements."""
    digest = hashlib.sha256(seed.read_bytes()).hexdigest()
    path = f"supabase/{seed.name}"
    row = connection.execute(
        "select hash from supabase_migrations.seed_files where path = %s", [path]
    ).fetchone()
    if row and row[0] == digest:
        return
    _run(connection, seed)
    connection.execute(
        "insert into supabase_migrations.seed_files (path, hash) values (%s, %s)"
        " on conflict (path) do update set hash = excluded.hash",
        [path, digest],
    )


def _run(connection: psycopg.Connection, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    try:
        connection.execute(sql.SQL(text))  # our own file, not a caller's text
    except psycopg.Error as fault:
        if isinstance(fault, psycopg.OperationalError) and full.says_full(fault):  # no fault of this file's
            raise
        place = fault.diag.statement_position
        line = f", line {text.count(chr(10), 0, int(place)) + 1}" if place else ""
        raise SetupFault(
            f"{path.name}{line}: {fault.diag.message_primary or fault}.",
            remedy="Nothing of it was applied. Correct the file or the database, then start again.",
        ) from fault
