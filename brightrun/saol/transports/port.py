"""What a transport must do; names are checked before they reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from brightrun.saol.changes import Change
from brightrun.saol.schema import Function, Table
from brightrun.saol.script import Ran, Script
from brightrun.saol.where import Order, Where

Row = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]


class Transport(Protocol):
    """Speaks to one database. Raises Rejected and Unreachable; values are JSON values both ways."""

    @property
    def name(self) -> str: ...

    def describe(self) -> Mapping[str, Any]:
        """Return what `describe_schema` reports."""
        ...

    def names(self) -> Mapping[str, Any]:
        """Return what `describe_names` reports."""
        ...

    def select(
        self,
        table: Table,
        columns: Sequence[str],
        where: Sequence[Where],
        order: Sequence[Order],
        limit: int | None,
        offset: int,
    ) -> list[Row]: ...

    def count(self, table: Table, where: Sequence[Where]) -> int: ...

    def insert(self, table: Table, columns: Sequence[str], rows: Rows) -> list[Row]: ...

    def upsert(
        self, table: Table, columns: Sequence[str], rows: Rows, key: Sequence[str], *, ignore: bool
    ) -> list[Row]: ...

    def update(self, table: Table, values: Mapping[str, Any], where: Sequence[Where]) -> list[Row]: ...

    def delete(self, table: Table, where: Sequence[Where]) -> list[Row]: ...

    def call(self, function: Function, params: Mapping[str, Any]) -> Any: ...

    def compose(self, change: Change) -> list[str]:
        """Return the SQL that makes a change, every name quoted; raises Refused where there is no road for it."""
        ...

    def run(self, script: Script) -> list[Ran]:
        """Run statements; raises Refused where there is no road for them."""
        ...

    def acting_as(self, claims: Mapping[str, str]) -> Transport:
        """Return a transport for one person over the same connections, as far as it can tell people apart."""
        ...

    def close(self) -> None: ...
