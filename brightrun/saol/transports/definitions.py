"""From a change to SQL: names quoted by the driver, words from closed lists, values as literals."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql
from psycopg.types.json import Jsonb

from brightrun.saol.changes import (
    AddColumn,
    Change,
    Column,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropIndex,
    DropTable,
    Maintain,
    RenameColumn,
    Upkeep,
)

Part = sql.SQL | sql.Composed


def compose(change: Change) -> list[str]:
    """Return the statements of a change, in order."""
    return [part.as_string(None) for part in _statements(change)]


def _statements(change: Change) -> list[Part]:
    match change:
        case CreateTable():
            return _create_table(change)
        case DropTable():
            return [sql.SQL("drop table {}").format(_public(change.table))]
        case AddColumn():
            return [
                sql.SQL("alter table {} add column {}").format(_public(change.table), _column(change.column))
            ]
        case DropColumn():
            return [
                sql.SQL("alter table {} drop column {}").format(
                    _public(change.table), sql.Identifier(change.column)
                )
            ]
        case RenameColumn():
            return [
                sql.SQL("alter table {} rename column {} to {}").format(
                    _public(change.table), sql.Identifier(change.column), sql.Identifier(change.to)
                )
            ]
        case CreateIndex():
            return [_create_index(change)]
        case DropIndex():
            how = sql.SQL("concurrently ") if change.concurrent else sql.SQL("")
            return [sql.SQL("drop index {}{}").format(how, _public(change.name))]
        case Maintain():
            return [_maintain(change)]


def _create_table(change: CreateTable) -> list[Part]:
    """A new table is closed to everybody but the server's own role, as every table of the migrations."""
    table = _public(change.table)
    body = [_column(column) for column in change.columns]
    if change.primary_key:
        body.append(sql.SQL("primary key ({})").format(_names(change.primary_key)))
    return [
        sql.SQL("create table {} ({})").format(table, sql.SQL(", ").join(body)),
        sql.SQL("alter table {} enable row level security").format(table),
        sql.SQL("alter table {} force row level security").format(table),
        sql.SQL("revoke all on {} from public, anon, authenticated").format(table),
        sql.SQL("grant select, insert, update, delete on {} to service_role").format(table),
    ]


def _column(column: Column) -> Part:
    part = sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type))  # from a closed list
    if not column.nullable:
        part += sql.SQL(" not null")
    if column.default is not None:
        is_json = column.type == "jsonb"
        part += sql.SQL(" default {}").format(
            sql.Literal(Jsonb(column.default) if is_json else column.default)
        )
    return part


def _create_index(change: CreateIndex) -> Part:
    return sql.SQL("create {}index {}{} on {} using {} ({})").format(
        sql.SQL("unique " if change.unique else ""),
        sql.SQL("concurrently " if change.concurrent else ""),
        sql.Identifier(change.name),
        _public(change.table),
        sql.SQL(change.method.value),
        _names(change.columns),
    )


def _maintain(change: Maintain) -> Part:
    table = _public(change.table)
    if change.upkeep is Upkeep.REINDEX:
        how = sql.SQL("concurrently " if change.concurrent else "")
        return sql.SQL("reindex table {}{}").format(how, table)
    if change.upkeep is Upkeep.ANALYZE:
        columns = sql.SQL(" ({})").format(_names(change.columns)) if change.columns else sql.SQL("")
        return sql.SQL("analyze {}{}").format(table, columns)
    words = [word for word, wanted in (("full", change.full), ("analyze", change.analyze)) if wanted]
    options = sql.SQL(f"({', '.join(words)}) ") if words else sql.SQL("")
    return sql.SQL("vacuum {}{}").format(options, table)


def _public(name: str) -> Part:
    return sql.SQL("public.{}").format(sql.Identifier(name))


def _names(names: Iterable[str]) -> Part:
    return sql.SQL(", ").join(map(sql.Identifier, names))
