"""From a PostgREST address to SQL: filters, orders and ranges of the kind our transport sends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from psycopg import sql

OPERATORS = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "LIKE",
    "ilike": "ILIKE",
    "match": "~",
    "imatch": "~*",
    "cs": "@>",
}
RESERVED = {"select", "order", "limit", "offset", "on_conflict", "columns"}


class Malformed(Exception):
    """The address cannot be read."""


def filters(params: Sequence[tuple[str, str]]) -> tuple[sql.Composable, list[Any]]:
    """Return a WHERE clause with its values; every parameter that is no keyword is a filter."""
    parts: list[sql.Composable] = []
    values: list[Any] = []
    for name, text in params:
        if name in RESERVED:
            continue
        operator, _, value = text.partition(".")
        part, bound = _filter(sql.Identifier(_name(name)), operator, value)
        parts.append(part)
        values += bound
    if not parts:
        return sql.SQL(""), []
    return sql.SQL(" where ") + sql.SQL(" and ").join(parts), values


def orders(text: str) -> sql.Composable:
    """Return an ORDER BY clause of `column.asc.nullslast,...`."""
    parts: list[sql.Composable] = []
    for entry in filter(None, text.split(",")):
        column, *words = entry.split(".")
        part = sql.SQL("{} {}").format(
            sql.Identifier(_name(column)), sql.SQL("desc" if "desc" in words else "asc")
        )
        for word, order in (("nullsfirst", "first"), ("nullslast", "last")):
            if word in words:
                part += sql.SQL(f" nulls {order}")
        parts.append(part)
    return sql.SQL(" order by ") + sql.SQL(", ").join(parts) if parts else sql.SQL("")


def columns(text: str) -> sql.Composable:
    if text in ("", "*"):
        return sql.SQL("*")
    return sql.SQL(", ").join(sql.Identifier(_name(part)) for part in text.split(","))


def names(text: str) -> list[str]:
    return [_name(part) for part in text.split(",") if part]


def _filter(name: sql.Identifier, operator: str, value: str) -> tuple[sql.Composable, list[Any]]:
    if operator == "is":
        if value not in ("null", "true", "false"):
            raise Malformed(f"is.{value}")
        return sql.SQL("{} is ").format(name) + sql.SQL(value), []
    if operator == "in":
        return sql.SQL("{} = any(%s)").format(name), [_array(_listed(value))]
    if operator not in OPERATORS:
        raise Malformed(f"unknown operator {operator}")
    if operator in ("like", "ilike"):
        return sql.SQL("{}::text {} %s").format(name, sql.SQL(OPERATORS[operator])), [value.replace("*", "%")]
    if operator in ("match", "imatch"):
        return sql.SQL("{}::text {} %s").format(name, sql.SQL(OPERATORS[operator])), [value]
    # Text without a type: the server reads it as the column's own, as PostgREST has it.
    return sql.SQL("{} {} %s").format(name, sql.SQL(OPERATORS[operator])), [value]


def _listed(text: str) -> list[str]:
    if not (text.startswith("(") and text.endswith(")")):
        raise Malformed("a list needs parentheses")
    found = re.findall(r'"((?:[^"\\]|\\.)*)"|([^,]+)', text[1:-1], re.DOTALL)
    return [bare or re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) for quoted, bare in found]


def _array(values: list[str]) -> str:
    """Return a list as PostgreSQL writes one, for the server to read as the column's type."""
    quoted = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def _name(text: str) -> str:
    return text.strip().strip('"')
