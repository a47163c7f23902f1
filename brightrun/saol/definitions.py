"""Tables, columns and indexes by name: listed on both transports, changed over PostgreSQL only."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from brightrun.saol import advice
from brightrun.saol.changes import (
    AddColumn,
    Change,
    Column,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropIndex,
    DropTable,
    Method,
    RenameColumn,
    new_name,
)
from brightrun.saol.database import Database
from brightrun.saol.failures import Refused
from brightrun.saol.outcome import Outcome, outcome
from brightrun.saol.result import Result
from brightrun.saol.script import Power, Script, Statement
from brightrun.saol.statements import DDL_SECONDS


class IndexAction(StrEnum):
    LIST = "list"
    CREATE = "create"
    DROP = "drop"


class SchemaAction(StrEnum):
    CREATE_TABLE = "create_table"
    DROP_TABLE = "drop_table"
    ADD_COLUMN = "add_column"
    DROP_COLUMN = "drop_column"
    RENAME_COLUMN = "rename_column"


E = TypeVar("E", bound=StrEnum)

DROPPING = (SchemaAction.DROP_TABLE, SchemaAction.DROP_COLUMN)


def agent_manage_index(
    db: Database,
    table: str,
    action: IndexAction | str = IndexAction.LIST,
    *,
    name: str = "",
    columns: Sequence[str] = (),
    method: Method | str = Method.BTREE,
    unique: bool = False,
    concurrent: bool = False,
    confirm: bool = False,
    dry_run: bool = False,
    timeout_seconds: float = DDL_SECONDS,
) -> Result:
    """List, create or drop an index of a table; data are definitions, or the statements that ran.

    `concurrent` lets others write meanwhile; it cannot be rehearsed. Dropping needs `confirm`.
    """

    def run() -> Outcome:
        found = db.table(table)
        wanted = _member(IndexAction, action)
        present = db.indexes(table)
        if wanted is IndexAction.LIST:
            return list(present.values()), len(present), f"{len(present)} indexes of {table}"
        change: Change
        if wanted is IndexAction.CREATE:
            found.check(list(columns))
            if not columns:
                raise Refused("ERR_VALIDATION_REQUIRED", "An index needs columns.")
            label = new_name(name or "_".join([table, *columns, "idx"])[:63])
            change = CreateIndex(table, label, tuple(columns), _member(Method, method), unique, concurrent)
        else:
            if name not in present:
                raise Refused("42704", f"{table} has no index {name!r}.")
            _confirmed(confirm=confirm or dry_run, what=f"Dropping the index {name}")
            change = DropIndex(name, concurrent)
        return _make(db, change, transaction=not concurrent, dry_run=dry_run, seconds=timeout_seconds)

    return outcome("index", run, lambda _: advice.after_rehearsal(dry_run=dry_run))


def agent_manage_schema(
    db: Database,
    action: SchemaAction | str,
    table: str,
    *,
    columns: Sequence[Column] = (),
    primary_key: Sequence[str] = (),
    column: str = "",
    to: str = "",
    confirm: bool = False,
    dry_run: bool = False,
    timeout_seconds: float = DDL_SECONDS,
) -> Result:
    """Create or drop a table, or add, drop or rename a column; data are the statements that ran.

    A new table is closed by Row Level Security and granted to the server's role. Dropping needs `confirm`.
    """

    def run() -> Outcome:
        wanted = _member(SchemaAction, action)
        if wanted in DROPPING:
            _confirmed(confirm=confirm or dry_run, what=f"{wanted.value} {table}")
        change = _change(db, wanted, table, columns, primary_key, column, to)
        return _make(db, change, transaction=True, dry_run=dry_run, seconds=timeout_seconds)

    return outcome("schema", run, lambda _: advice.after_rehearsal(dry_run=dry_run))


def _change(
    db: Database,
    action: SchemaAction,
    table: str,
    columns: Sequence[Column],
    primary_key: Sequence[str],
    column: str,
    to: str,
) -> Change:
    for entry in columns:
        entry.check()
    if action is SchemaAction.CREATE_TABLE:
        unknown = set(primary_key) - {entry.name for entry in columns}
        if not columns or unknown:
            raise Refused("ERR_VALIDATION_REQUIRED", f"{table} needs columns, those of its key among them.")
        return CreateTable(new_name(table), tuple(columns), tuple(primary_key))
    found = db.table(table)
    if action is SchemaAction.DROP_TABLE:
        return DropTable(found.name)
    if action is SchemaAction.ADD_COLUMN:
        if len(columns) != 1:
            raise Refused("ERR_VALIDATION_REQUIRED", "Give the one column to add.")
        return AddColumn(found.name, columns[0])
    found.check([column])
    if action is SchemaAction.DROP_COLUMN:
        return DropColumn(found.name, column)
    return RenameColumn(found.name, column, new_name(to))


def _make(db: Database, change: Change, *, transaction: bool, dry_run: bool, seconds: float) -> Outcome:
    if dry_run and not transaction:
        raise Refused("ERR_VALIDATION_SCHEMA", "What runs concurrently cannot be rehearsed.")
    texts = db.transport.compose(change)
    statements = [Statement(text, Power.DEFINE) for text in texts]
    db.transport.run(Script(statements, transaction=transaction, keep=not dry_run, timeout_seconds=seconds))
    db.forget()
    done = "runs, and was taken back" if dry_run else "done"
    return texts, len(texts), f"{texts[0]}: {done}"


def _confirmed(*, confirm: bool, what: str) -> None:
    if not confirm:
        raise Refused("ERR_CONFIRMATION_REQUIRED", f"{what} needs confirm=True, or dry_run=True to look.")


def _member(kind: type[E], value: E | str) -> E:
    try:
        return kind(value)
    except ValueError as fault:
        raise Refused(
            "ERR_VALIDATION_SCHEMA", f"{value!r} is none of {', '.join(member.value for member in kind)}."
        ) from fault
