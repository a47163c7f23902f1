"""Rows in pages, so that a long table needs little memory on either side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from brightrun.saol.database import Database
from brightrun.saol.failures import Refused
from brightrun.saol.schema import Table
from brightrun.saol.transports.port import Row
from brightrun.saol.where import Order, Where, orders

PAGE = 1000


def pages(
    db: Database, table: Table, columns: Sequence[str], where: Sequence[Where], order: Sequence[Order]
) -> Iterator[list[Row]]:
    """Yield rows page after page: from key to key, or by offset where an order or a longer key is given.

    Each page is read by itself: rows that others write meanwhile may or may not be among them.
    """
    if not order and not table.primary_key:
        raise Refused("ERR_VALIDATION_REQUIRED", f"{table.name} has no key: give order_by to page by.")
    if order or len(table.primary_key) > 1:
        yield from _by_offset(db, table, columns, where, orders(order, table.columns, table.primary_key))
    else:
        yield from _by_key(db, table, columns, where, table.primary_key[0])


def _by_key(
    db: Database, table: Table, columns: Sequence[str], where: Sequence[Where], key: str
) -> Iterator[list[Row]]:
    read = list(columns) if key in columns else [*columns, key]
    after: list[Where] = []
    while True:
        rows = db.transport.select(table, read, [*where, *after], [Order(key)], PAGE, 0)
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        after = [Where(key, "gt", rows[-1][key])]


def _by_offset(
    db: Database, table: Table, columns: Sequence[str], where: Sequence[Where], order: Sequence[Order]
) -> Iterator[list[Row]]:
    offset = 0
    while True:
        rows = db.transport.select(table, columns, where, order, PAGE, offset)
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        offset += len(rows)
