"""What the database holds, as SAOL knows it: names come from here and from nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from brightrun.saol.failures import Refused


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view: its columns with their types, and its primary key."""

    name: str
    columns: Mapping[str, str]
    primary_key: tuple[str, ...]

    def chosen(self, select: str | list[str] | tuple[str, ...]) -> list[str]:
        """Return the checked columns of a selection; `*` is all."""
        if select == "*":
            return list(self.columns)
        if isinstance(select, str):
            select = [part.strip() for part in select.split(",")]
        self.check(select)
        return list(select)

    def check(self, columns: list[str] | tuple[str, ...]) -> None:
        """Refuse a column the table does not have."""
        for column in columns:
            if column not in self.columns:
                raise Refused("42703", f"{self.name} has no column {column!r}.")


@dataclass(frozen=True, slots=True)
class Function:
    """A callable function: its arguments with their types, and whether it returns rows."""

    name: str
    arguments: Mapping[str, str]
    required: frozenset[str]
    returns_set: bool
    returns: str

    def check(self, params: Mapping[str, Any]) -> None:
        """Refuse unknown and missing arguments."""
        unknown = [name for name in params if name not in self.arguments]
        missing = [name for name in self.required if name not in params]
        if unknown or missing:
            detail = "; ".join(
                f"{label} {', '.join(names)}"
                for label, names in (("unknown:", unknown), ("missing:", missing))
                if names
            )
            raise Refused("42883", f"{self.name} was called with other arguments than it has ({detail}).")


@dataclass(frozen=True, slots=True)
class Schema:
    """The names of the public schema at one moment."""

    tables: Mapping[str, Table]
    functions: Mapping[str, Function]
    overloaded: frozenset[str]


@dataclass(frozen=True, slots=True)
class Description:
    """All that is known of the public schema at one moment, as `describe_schema` reported it."""

    raw: Mapping[str, Any]

    def entry(self, table: str) -> Mapping[str, Any]:
        """Return everything that is known of a table; raises Refused."""
        for entry in self.raw["tables"]:
            if entry["name"] == table:
                found: Mapping[str, Any] = entry
                return found
        raise Refused("42P01", f"There is no table {table!r}.")

    def indexes(self, table: str) -> dict[str, str]:
        """Return the indexes of a table: names with their definitions."""
        return {_index_name(text): text for text in self.entry(table)["indexes"]}


def read(data: Mapping[str, Any]) -> Schema:
    """Return the schema that `describe_names` reported."""
    tables = {
        entry["name"]: Table(
            entry["name"],
            {column["name"]: column["type"] for column in entry["columns"]},
            tuple(entry["primary_key"]),
        )
        for entry in data["tables"]
    }
    functions: dict[str, Function] = {}
    overloaded = set()
    for entry in data["functions"]:
        if entry["name"] in functions:
            overloaded.add(entry["name"])
        functions[entry["name"]] = Function(
            entry["name"],
            {argument["name"]: argument["type"] for argument in entry["arguments"]},
            frozenset(a["name"] for a in entry["arguments"] if not a["has_default"]),
            entry["returns_set"],
            entry["returns"],
        )
    return Schema(tables, functions, frozenset(overloaded))


def _index_name(definition: str) -> str:
    """Return the name in `CREATE [UNIQUE] INDEX name ON ...`, without its quotes."""
    name = definition.partition(" INDEX ")[2].partition(" ON ")[0]
    return name.strip('"').replace('""', '"')
