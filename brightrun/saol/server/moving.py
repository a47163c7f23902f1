"""A whole database into another one: in pieces that survive a kill, proven row by row.

Rows travel by COPY with the target's triggers and references asleep, so that they arrive as they are: nothing is
counted, logged or stamped a second time. What has arrived is noted in the target, in the transaction that brings it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from brightrun.domain.errors import NotAllowed, SetupFault
from brightrun.domain.migration import Proof
from brightrun.saol.server.migrations import apply, reason

PIECE_ROWS = 1000
SETTINGS = "set local timezone = 'UTC'; set local datestyle = 'ISO'; set local statement_timeout = 0"
NOTES = """
create schema if not exists brightrun_move;
create table if not exists brightrun_move.progress (
  table_name text primary key, last_key text[], is_done boolean not null default false);
create table if not exists brightrun_move.source (system_identifier text primary key);
"""
SHAPES = """
select c.relname, array_agg(a.attname order by a.attnum) filter (where a.attgenerated = ''),
  (select array_agg(k.attname order by o.place)
   from pg_index i cross join lateral unnest(i.indkey::smallint[]) with ordinality as o(number, place)
   join pg_attribute k on k.attrelid = c.oid and k.attnum = o.number where i.indrelid = c.oid and i.indisprimary),
  (select array_agg(format_type(k.atttypid, k.atttypmod) order by o.place)
   from pg_index i cross join lateral unnest(i.indkey::smallint[]) with ordinality as o(number, place)
   join pg_attribute k on k.attrelid = c.oid and k.attnum = o.number where i.indrelid = c.oid and i.indisprimary)
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' group by c.oid, c.relname order by c.relname
"""
SEQUENCES = """
select c.relname, a.attname, pg_sequence_last_value(pg_get_serial_sequence(format('public.%I', c.relname), a.attname))
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
  and pg_get_serial_sequence(format('public.%I', c.relname), a.attname) is not null
"""

Connection = psycopg.Connection[Any]
Tell = Callable[[str], None]


COUNTS = ("conversation_kinds", "decision_kinds", "plan_kinds")
"""What is there is counted elsewhere too: of what was deleted they keep rows that say none."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a table travels, and the key it is cut into pieces by."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    key_types: tuple[str, ...]


def names_password(dsn: str) -> bool:
    """Whether a connection string holds a password itself; what is none holds none."""
    try:
        return "password" in conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return False


def move(
    source_dsn: str, target_dsn: str, folder: Path, scaffolding: Sequence[str], tell: Tell
) -> list[Proof]:
    """Bring every row of `public` over, or the rest of them, and return the proof of each table.

    `folder` holds the migrations, which are applied to the target first. Only tables of `scaffolding` may hold rows
    there before: they are the seed, and give way. Raises SetupFault and NotAllowed; may be started again at any time.
    """
    _prepare(target_dsn, folder)
    with _connected(source_dsn, "the installation") as source, _connected(target_dsn, "the target") as target:
        shapes = _shapes(source)
        _begin(source, target, shapes, scaffolding)
        with source.transaction():
            source.execute("set transaction isolation level repeatable read, read only")
            source.execute(SETTINGS)
            for shape in shapes:
                _bring(source, target, shape, tell)
            _bring_sequences(source, target)
        return _proofs(source, target, shapes)


def prove(source_dsn: str, target_dsn: str) -> list[Proof]:
    """Compare every table of both databases."""
    with _connected(source_dsn, "the installation") as source, _connected(target_dsn, "the target") as target:
        return _proofs(source, target, _shapes(source))


def forget(target_dsn: str) -> None:
    """Remove the notes of a move that is proven."""
    with _connected(target_dsn, "the target") as target:
        target.execute("drop schema if exists brightrun_move cascade")


@contextmanager
def _connected(dsn: str, name: str) -> Iterator[Connection]:
    try:
        with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
            yield connection
    except psycopg.errors.InsufficientPrivilege as fault:
        raise SetupFault(
            f"The role of {name} may not do this: {fault.diag.message_primary}.",
            remedy="Use the role `postgres` of a Supabase project, or a superuser of another server.",
        ) from fault
    except psycopg.Error as fault:
        raise SetupFault(
            f"The database of {name} cannot be used: {reason(fault)}.",
            remedy="Check its address; what has arrived is kept: run the command again.",
        ) from fault


def _prepare(dsn: str, folder: Path) -> None:
    """Apply the migrations; a bare server first gets what a Supabase project has."""
    with _connected(dsn, "the target") as target:
        found = target.execute("select to_regclass('storage.buckets') is null").fetchone()
    is_bare = bool(found and found[0])
    apply(dsn, folder / "migrations", bootstrap=folder / "bootstrap.sql" if is_bare else None)


def _shapes(source: Connection) -> list[Shape]:
    rows = source.execute(SHAPES).fetchall()
    return [
        Shape(name, tuple(columns), tuple(key or ()), tuple(types or ()))
        for name, columns, key, types in rows
    ]


def _begin(
    source: Connection, target: Connection, shapes: Sequence[Shape], scaffolding: Sequence[str]
) -> None:
    """Open the notes, or make sure that they are about this installation; the seed gives way once."""
    row = source.execute("select system_identifier::text from pg_control_system()").fetchone()
    assert row is not None
    with _quiet(target):
        known = target.execute("select to_regclass('brightrun_move.source')").fetchone()
        if known and known[0]:
            owner = target.execute("select system_identifier from brightrun_move.source").fetchone()
            if owner != row:
                raise NotAllowed(
                    "Another installation is on its way into that database.",
                    remedy="Finish that one first, or take an empty database.",
                )
            return
        for shape in shapes:
            if shape.name not in (*scaffolding, *COUNTS) and _has_rows(target, shape):
                raise NotAllowed(
                    f"The target is in use: its table {shape.name} holds rows.",
                    remedy="Take a new project or an empty database; nothing was changed.",
                )
        target.execute(NOTES)
        target.execute("insert into brightrun_move.source values (%s)", row)
        tables = sql.SQL(", ").join(_public(shape.name) for shape in shapes)
        target.execute(sql.SQL("truncate {}").format(tables))


def _has_rows(connection: Connection, shape: Shape) -> bool:
    found = connection.execute(
        sql.SQL("select exists (select 1 from {})").format(_public(shape.name))
    ).fetchone()
    return bool(found and found[0])


def _bring(source: Connection, target: Connection, shape: Shape, tell: Tell) -> None:
    """Copy a table from where it stands; one that was done and differs now is copied again."""
    note = _note(target, shape)
    if note is not None and note[1]:
        if _sum(source, shape) == _sum(target, shape):
            return
        tell(f"{shape.name}: changed since, copied again")
        with _quiet(target):
            target.execute(sql.SQL("delete from {}").format(_public(shape.name)))
            target.execute("delete from brightrun_move.progress where table_name = %s", [shape.name])
        note = None
    last: list[str] | None = note[0] if note else None
    if last:
        tell(f"{shape.name}: going on where it stood")
    while True:
        end = _end_of_piece(source, shape, last)
        rows = _copy(source, target, shape, last, end)
        if rows:
            tell(f"{shape.name}: {rows} rows")
        if end is None:
            return
        last = end


def _note(target: Connection, shape: Shape) -> tuple[list[str] | None, bool] | None:
    query = "select last_key, is_done from brightrun_move.progress where table_name = %s"
    return target.execute(query, [shape.name]).fetchone()


def _end_of_piece(source: Connection, shape: Shape, last: list[str] | None) -> list[str] | None:
    """Return the key a piece ends with; None when it is the last one, or the table has no key."""
    if not shape.key:
        return None
    query = sql.SQL("select {texts} from {table}{after} order by {key} offset {skipped} limit 1").format(
        texts=sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in shape.key),
        table=_public(shape.name),
        after=_range(shape, last, None),
        key=_names(shape.key),
        skipped=sql.Literal(PIECE_ROWS - 1),
    )
    found = source.execute(query).fetchone()
    return list(found) if found else None


def _copy(
    source: Connection, target: Connection, shape: Shape, last: list[str] | None, end: list[str] | None
) -> int:
    """Bring one piece, and note it in the same transaction."""
    columns = _names(shape.columns)
    out = sql.SQL("copy (select {} from {}{}) to stdout").format(
        columns, _public(shape.name), _range(shape, last, end)
    )
    into = sql.SQL("copy {} ({}) from stdin").format(_public(shape.name), columns)
    with _quiet(target), target.cursor() as writer, source.cursor() as reader:
        _take_turn(target, shape, last)
        with reader.copy(out) as taken, writer.copy(into) as given:
            for data in taken:
                given.write(data)
        rows = writer.rowcount
        target.execute(
            "update brightrun_move.progress set last_key = %s, is_done = %s where table_name = %s",
            [end, end is None, shape.name],
        )
    return rows


def _take_turn(target: Connection, shape: Shape, last: list[str] | None) -> None:
    """Hold the table's note; whoever finds it further on than expected is not alone."""
    target.execute(
        "insert into brightrun_move.progress (table_name) values (%s) on conflict do nothing", [shape.name]
    )
    query = "select last_key, is_done from brightrun_move.progress where table_name = %s for update"
    if target.execute(query, [shape.name]).fetchone() != (last, False):
        raise NotAllowed(
            "This installation is being moved by another process.", remedy="Let that one finish."
        )


def _bring_sequences(source: Connection, target: Connection) -> None:
    """Let numbers go on where they stood, so that no new row takes an old one's."""
    for table, column, last in source.execute(SEQUENCES).fetchall():
        if last is not None:
            target.execute(
                "select setval(pg_get_serial_sequence(format('public.%%I', %s::text), %s), %s)",
                [table, column, last],
            )


def _proofs(source: Connection, target: Connection, shapes: Sequence[Shape]) -> list[Proof]:
    found = []
    for shape in shapes:
        (rows, total), (arrived, arrived_total) = _sum(source, shape), _sum(target, shape)
        found.append(Proof(shape.name, rows, arrived, total, arrived_total))
    return found


def _sum(connection: Connection, shape: Shape) -> tuple[int, str]:
    """Return a table's rows and the sum over the first 128 bits of each row's SHA-256, whatever their order."""
    query = sql.SQL(
        "select count(*), coalesce(sum(('x' || substr(h, 1, 16))::bit(64)::bigint::numeric), 0)::text || '/' ||"
        " coalesce(sum(('x' || substr(h, 17, 16))::bit(64)::bigint::numeric), 0)::text"
        " from (select encode(sha256(convert_to(row({})::text, 'UTF8')), 'hex') as h from {}) r"
    ).format(_names(shape.columns), _public(shape.name))
    with connection.transaction():
        connection.execute(SETTINGS)
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0]), str(row[1])


@contextmanager
def _quiet(target: Connection) -> Iterator[None]:
    """One transaction in which triggers and references sleep."""
    with target.transaction():
        target.execute(SETTINGS)
        target.execute("set local session_replication_role = replica")
        yield


def _range(shape: Shape, last: list[str] | None, end: list[str] | None) -> sql.Composed | sql.SQL:
    parts = [
        sql.SQL("({}) {} ({})").format(_names(shape.key), sql.SQL(operator), _values(shape, bound))
        for operator, bound in ((">", last), ("<=", end))
        if bound is not None
    ]
    return sql.SQL(" where ") + sql.SQL(" and ").join(parts) if parts else sql.SQL("")


def _values(shape: Shape, bound: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{}::{}").format(sql.Literal(value), sql.SQL(kind))  # the type is the catalogue's
        for value, kind in zip(bound, shape.key_types, strict=True)
    )


def _public(name: str) -> sql.Composed:
    return sql.SQL("public.{}").format(sql.Identifier(name))


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
