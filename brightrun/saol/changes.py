"""Changes of the schema and its upkeep, as data: a transport makes SQL of them, with every name quoted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from brightrun.saol.failures import Refused

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
TYPES = (
    *("text", "integer", "bigint", "smallint", "numeric", "double precision", "real", "boolean"),
    *("date", "time", "timestamptz", "interval", "uuid", "jsonb", "bytea"),
)
"""What a new column may hold; each may also be a list, as in `text[]`."""


class Method(StrEnum):
    """How an index is built."""

    BTREE = "btree"
    HASH = "hash"
    GIN = "gin"
    GIST = "gist"
    BRIN = "brin"


class Upkeep(StrEnum):
    VACUUM = "vacuum"
    ANALYZE = "analyze"
    REINDEX = "reindex"


@dataclass(frozen=True, slots=True)
class Column:
    """A column to be: its type is one of TYPES, its default a plain value."""

    name: str
    type: str
    nullable: bool = True
    default: Any = None

    def check(self) -> None:
        """Refuse a name or type that is none."""
        new_name(self.name)
        if self.type.removesuffix("[]") not in TYPES:
            raise Refused(
                "ERR_VALIDATION_SCHEMA", f"{self.type!r} is no type for a column; use {', '.join(TYPES)}."
            )


@dataclass(frozen=True, slots=True)
class CreateTable:
    table: str
    columns: Sequence[Column]
    primary_key: Sequence[str]


@dataclass(frozen=True, slots=True)
class DropTable:
    table: str


@dataclass(frozen=True, slots=True)
class AddColumn:
    table: str
    column: Column


@dataclass(frozen=True, slots=True)
class DropColumn:
    table: str
    column: str


@dataclass(frozen=True, slots=True)
class RenameColumn:
    table: str
    column: str
    to: str


@dataclass(frozen=True, slots=True)
class CreateIndex:
    table: str
    name: str
    columns: Sequence[str]
    method: Method
    unique: bool
    concurrent: bool


@dataclass(frozen=True, slots=True)
class DropIndex:
    name: str
    concurrent: bool


@dataclass(frozen=True, slots=True)
class Maintain:
    """Upkeep of one table; `full` rewrites it whole, `concurrent` lets others write meanwhile."""

    upkeep: Upkeep
    table: str
    full: bool = False
    analyze: bool = False
    concurrent: bool = False
    columns: Sequence[str] = ()


Change = CreateTable | DropTable | AddColumn | DropColumn | RenameColumn | CreateIndex | DropIndex | Maintain


def new_name(name: str) -> str:
    """Return a name for something that is not there yet; raises Refused where it would need quotes for ever."""
    if not NAME.fullmatch(name):
        raise Refused(
            "ERR_VALIDATION_SCHEMA",
            f"{name!r} is no name: use a to z, digits and _, no digit first, at most 63 characters.",
        )
    return name
