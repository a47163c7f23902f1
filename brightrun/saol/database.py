"""A handle on one database: its transport, and the schema that names are checked against."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from brightrun.saol.failures import Refused
from brightrun.saol.schema import Description, Function, Schema, Table, read
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
        found = self.schema().tables.get(name) or self._reread().tables.get(name)
        if found is None:
            raise Refused("42P01", f"There is no table {name!r}.")
        return found

    def function(self, name: str) -> Function:
        """Return a function, or refuse the name."""
        schema = self.schema()
        if name not in schema.functions:
            schema = self._reread()
        if name not in schema.functions:
            raise Refused("42883", f"There is no function {name!r}.")
        if name in schema.overloaded:
            raise Refused(
                "42883", f"There is more than one function {name!r}; SAOL cannot tell which is meant."
            )
        return schema.functions[name]

    def schema(self) -> Schema:
        """Return the schema as it was read last."""
        return self._schema or self._reread()

    def describe(self) -> Description:
        """Return all that is known of the schema as it is now; its names count from here on."""
        found = self.transport.describe()
        self._schema = read(found)
        return Description(found)

    def indexes(self, table: str) -> dict[str, str]:
        """Return the indexes of a table or view as they are now: names with their definitions."""
        return self.describe().indexes(table)

    def forget(self) -> None:
        """Read the schema anew at the next call: something may have changed it."""
        self._schema = None

    def close(self) -> None:
        """Give the connections back."""
        self.transport.close()

    def _reread(self) -> Schema:
        with self._lock:
            self._schema = read(self.transport.names())
            return self._schema
