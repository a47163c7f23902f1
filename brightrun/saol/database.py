"""A handle on one database: its transport, and the schema that names are checked against."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from brightrun.saol.failures import Refused
from brightrun.saol.schema import Function, Schema, Table, read
from brightrun.saol.transports.port import Transport


class Database:
    """Shared by threads; reads the schema once, and again when a name is not in it."""

    def __init__(self, transport: Transport, claims: Mapping[str, str] | None = None) -> None:
        self.transport = transport
        self.claims = claims
        """Who acts, as the database hears it; None for the server itself."""
        self._schema: Schema | None = None
        self._lock = threading.Lock()

    def acting_as(self, claims: Mapping[str, str]) -> Database:
        """Return the same database for one person, whose claims every statement carries; never close it."""
        acting = Database(self.transport.acting_as(claims), claims)
        acting._schema = self._schema
        return acting

    def table(self, name: str) -> Table:
        """Return a table or view, or refuse the name."""
        found = self.schema().tables.get(name) or self.refresh().tables.get(name)
        if found is None:
            raise Refused("42P01", f"There is no table {name!r}.")
        return found

    def function(self, name: str) -> Function:
        """Return a function, or refuse the name."""
        schema = self.schema()
        if name not in schema.functions:
            schema = self.refresh()
        if name not in schema.functions:
            raise Refused("42883", f"There is no function {name!r}.")
        if name in schema.overloaded:
            raise Refused(
                "42883", f"There is more than one function {name!r}; SAOL cannot tell which is meant."
            )
        return schema.functions[name]

    def schema(self) -> Schema:
        """Return the schema as it was read last."""
        return self._schema or self.refresh()

    def indexes(self, table: str) -> dict[str, str]:
        """Return the indexes of a table or view as they are now: names with their definitions."""
        return self.refresh().indexes(table)

    def forget(self) -> None:
        """Read the schema anew at the next call: something may have changed it."""
        self._schema = None

    def refresh(self) -> Schema:
        """Read the schema again."""
        with self._lock:
            self._schema = read(self.transport.describe())
            return self._schema

    def close(self) -> None:
        """Give the connections back."""
        self.transport.close()
