"""Conditions and orders: checked names, a closed list of operators, bound values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from brightrun.saol.failures import Refused

OPERATORS = frozenset({"eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "in", "is", "contains"})
IS_VALUES = (None, True, False)


@dataclass(frozen=True, slots=True)
class Where:
    """One condition; all conditions of a call must hold."""

    column: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key; nulls come last unless said otherwise."""

    column: str
    descending: bool = False
    nulls_first: bool = False


Condition = Where | tuple[str, str, Any]


def conditions(given: Iterable[Condition], columns: Iterable[str]) -> list[Where]:
    """Return checked conditions; an unknown column or operator is refused, never skipped."""
    known = set(columns)
    checked = [_as_where(entry) for entry in given]
    for where in checked:
        if where.column not in known:
            raise Refused("42703", f"There is no column {where.column!r} to filter by.")
        if where.operator not in OPERATORS:
            listed = ", ".join(sorted(OPERATORS))
            raise Refused("ERR_VALIDATION_SCHEMA", f"There is no operator {where.operator!r}; use {listed}.")
        _check_value(where)
    return [_without_nothing(where) for where in checked]


def orders(given: Iterable[Order], columns: Iterable[str], key: Iterable[str]) -> list[Order]:
    """Return checked sort keys with the primary key as the last one, so that pages are stable."""
    known = set(columns)
    checked = list(given)
    for order in checked:
        if order.column not in known:
            raise Refused("42703", f"There is no column {order.column!r} to sort by.")
    named = {order.column for order in checked}
    return checked + [Order(column) for column in key if column not in named]


def _as_where(entry: Condition) -> Where:
    if isinstance(entry, Where):
        return entry
    if isinstance(entry, tuple) and len(entry) == 3:
        return Where(*entry)
    raise Refused("ERR_VALIDATION_SCHEMA", f"{entry!r} is no condition; give (column, operator, value).")


def _without_nothing(where: Where) -> Where:
    """Take None out of a list: in SQL nothing is equal to it, on the way to PostgREST it would be the word."""
    if where.operator != "in" or None not in (values := list(where.value)):
        return where
    return Where(where.column, "in", [value for value in values if value is not None])


def _check_value(where: Where) -> None:
    if where.operator == "in" and (isinstance(where.value, str) or not hasattr(where.value, "__iter__")):
        raise Refused("ERR_VALIDATION_SCHEMA", f"`in` on {where.column!r} needs a list of values.")
    if where.operator == "is" and not any(where.value is allowed for allowed in IS_VALUES):
        raise Refused("ERR_VALIDATION_SCHEMA", f"`is` on {where.column!r} needs None, True or False.")
    if where.operator not in ("is", "in") and where.value is None:
        raise Refused(
            "ERR_VALIDATION_SCHEMA", f"{where.column!r} is compared with None; use the operator `is`."
        )
    if where.operator in ("like", "ilike") and not isinstance(where.value, str):
        raise Refused("ERR_VALIDATION_SCHEMA", f"`{where.operator}` on {where.column!r} needs text.")
