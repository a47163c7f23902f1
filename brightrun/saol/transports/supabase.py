"""A Supabase project by its URL and secret key: supabase-py over PostgREST."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from postgrest import APIError
from postgrest.types import CountMethod, ReturnMethod
from supabase import Client, ClientOptions, create_client
from supabase import SupabaseException as VendorError

from brightrun.domain.address import checked_server, is_encrypted
from brightrun.domain.errors import SetupFault
from brightrun.saol.changes import Change
from brightrun.saol.failures import Refused, Rejected, Unreachable
from brightrun.saol.schema import Function, Table
from brightrun.saol.script import Ran, Script
from brightrun.saol.transports.port import Row, Rows
from brightrun.saol.where import Order, Where

CALL_SECONDS = 30.0
PAGE = 1000
"""What a project gives at most in one answer, as it is set when it is made."""
LIST = 100
"""Values of an `in` that one address holds; more are asked for in parts."""
UNAUTHORIZED = "PGRST301"
REDIRECTED = "3xx"

Q = TypeVar("Q")


class SupabaseTransport:
    """Safe to share between threads: one HTTP/1.1 client, no sign-in, no session."""

    name = "supabase"

    def __init__(self, url: str, key: str) -> None:
        url = _address(url)
        self._key = key
        self._http = httpx.Client(
            http2=False, verify=is_encrypted(url), timeout=CALL_SECONDS, follow_redirects=False
        )
        options = ClientOptions(
            auto_refresh_token=False,
            persist_session=False,
            postgrest_client_retry=True,
            httpx_client=self._http,
        )
        try:
            self._client: Client = create_client(url, key, options)
        except VendorError as fault:
            self._http.close()
            raise SetupFault(
                f"The Supabase project cannot be opened: {fault}",
                remedy="Set SUPABASE_URL to https://<project>.supabase.co and SUPABASE_SECRET_KEY.",
            ) from fault

    def describe(self) -> Mapping[str, Any]:
        return self._told("describe_schema")

    def names(self) -> Mapping[str, Any]:
        return self._told("describe_names")

    def select(
        self,
        table: Table,
        columns: Sequence[str],
        where: Sequence[Where],
        order: Sequence[Order],
        limit: int | None,
        offset: int,
    ) -> list[Row]:
        parts = _parts(where)
        if len(parts) > 1 and (order or limit is not None or offset):
            raise Refused(
                "ERR_VALIDATION_SCHEMA",
                f"A list of more than {LIST} values cannot be ordered or paged over Supabase; ask in parts.",
            )
        keys = order or [Order(name) for name in table.primary_key]
        return [row for part in parts for row in self._pages(table, columns, part, keys, limit, offset)]

    def count(self, table: Table, where: Sequence[Where]) -> int:
        total = 0
        for part in _parts(where):
            query = self._client.table(table.name).select("*", count=CountMethod.exact, head=True)
            with _faults(self._key):
                total += _filtered(query, table, part).execute().count or 0
        return total

    def insert(self, table: Table, columns: Sequence[str], rows: Rows) -> list[Row]:
        given = [dict(row) for row in rows]
        return self._rows(self._client.table(table.name).insert(given, returning=ReturnMethod.representation))

    def upsert(
        self, table: Table, columns: Sequence[str], rows: Rows, key: Sequence[str], *, ignore: bool
    ) -> list[Row]:
        has_values = any(column not in key for column in columns)
        query = self._client.table(table.name).upsert(
            [dict(row) for row in rows],
            on_conflict=",".join(key),
            ignore_duplicates=ignore or not has_values,
            returning=ReturnMethod.representation,
        )
        return self._rows(query)

    def update(self, table: Table, values: Mapping[str, Any], where: Sequence[Where]) -> list[Row]:
        query = self._client.table(table.name).update(dict(values), returning=ReturnMethod.representation)
        return self._rows(_filtered(query, table, _whole(where)))

    def delete(self, table: Table, where: Sequence[Where]) -> list[Row]:
        query = self._client.table(table.name).delete(returning=ReturnMethod.representation)
        return self._rows(_filtered(query, table, _whole(where)))

    def call(self, function: Function, params: Mapping[str, Any]) -> Any:
        count = CountMethod.exact if function.returns_set else None
        with _faults(self._key):
            answer = self._client.rpc(function.name, dict(params), count=count).execute()
        data: Any = answer.data
        if answer.count is not None and answer.count > len(data):
            raise Rejected(
                "54000",
                f"{function.name} returned {answer.count} rows, of which the project gives {len(data)}.",
                "Raise max_rows in the project's API settings.",
            )
        return data

    def compose(self, change: Change) -> list[str]:
        raise _no_statements()

    def run(self, script: Script) -> list[Ran]:
        raise _no_statements()

    def acting_as(self, claims: Mapping[str, str]) -> Self:
        """Return itself: the secret key passes Row Level Security, so here the services alone tell people apart."""
        return self

    def close(self) -> None:
        self._http.close()

    def _told(self, function: str) -> Mapping[str, Any]:
        with _faults(self._key):
            data: Mapping[str, Any] = self._client.rpc(function, {}).execute().data  # type: ignore[assignment]
        return data

    def _pages(
        self,
        table: Table,
        columns: Sequence[str],
        where: Sequence[Where],
        order: Sequence[Order],
        limit: int | None,
        offset: int,
    ) -> list[Row]:
        """Read range after range: a project cuts every answer at its row limit and does not say so."""
        found: list[Row] = []
        total: int | None = None
        while limit is None or len(found) < limit:
            size = PAGE if limit is None else min(PAGE, limit - len(found))
            query = self._client.table(table.name).select(
                ",".join(columns), count=CountMethod.exact if total is None else None
            )
            query = _filtered(query, table, where)
            for entry in order:
                query = query.order(entry.column, desc=entry.descending, nullsfirst=entry.nulls_first)
            start = offset + len(found)
            with _faults(self._key):
                answer = query.range(start, start + size - 1).execute()
            total = answer.count if total is None else total
            found += answer.data  # type: ignore[arg-type]
            if not answer.data or (total is not None and offset + len(found) >= total):
                break
        return found

    def _rows(self, query: Any) -> list[Row]:
        with _faults(self._key):
            rows: list[Row] = query.execute().data
        return rows


def _address(url: str) -> str:
    """Return a project's address; raises SetupFault for one that a key may not be sent to, or a page about it."""
    url = checked_server(url, "SUPABASE_URL", secret="SUPABASE_SECRET_KEY")
    found = urlsplit(url)
    if found.path.strip("/") or found.query or (found.hostname or "").removeprefix("www.") == "supabase.com":
        raise SetupFault(
            "SUPABASE_URL is not the address of a project.",
            remedy="It is https://<project>.supabase.co, without anything behind; see the project's API settings.",
        )
    return url


def _no_statements() -> Refused:
    """PostgREST takes no statements; a function that ran any text would be a door for whoever has the key."""
    return Refused(
        "ERR_TRANSPORT_UNSUPPORTED",
        "A Supabase project takes tables and functions over HTTP, no SQL statements.",
    )


@contextmanager
def _faults(secret: str) -> Iterator[None]:
    """Turn what a project refuses into ours; a gateway that says the key back is not repeated."""
    try:
        yield
    except APIError as fault:
        raise _rejected(fault, secret) from fault
    except UnicodeEncodeError as fault:
        raise Rejected(
            "22021", f"A text holds half a character and cannot be sent: {fault.reason}."
        ) from fault
    except httpx.TransportError as fault:
        raise Unreachable(f"The Supabase project does not answer: {fault}") from fault


def _rejected(fault: APIError, secret: str) -> Exception:
    """A code of three digits is an HTTP status: the answer came from a gateway before PostgREST."""
    state = str(fault.code or "XX000")
    message = str(fault.message or fault).replace(secret, "***")
    details = str(fault.details or fault.hint or "").replace(secret, "***") or None
    if state in ("401", "403"):
        return Rejected(UNAUTHORIZED, message, details)
    if re.fullmatch(r"3\d\d", state):
        return Rejected(REDIRECTED, f"The address in SUPABASE_URL answered {state}, a redirect.")
    if re.fullmatch(r"5\d\d", state):
        return Unreachable(f"The Supabase project answered {state}: {message}")
    return Rejected(state, message, details)


def _parts(where: Sequence[Where]) -> list[list[Where]]:
    """Cut the longest `in` so that no address grows past what gateways take."""
    long = [entry for entry in where if entry.operator == "in" and len(entry.value) > LIST]
    if not long:
        return [list(where)]
    if len(long) > 1:
        raise Refused(
            "ERR_VALIDATION_SCHEMA", f"Only one list of more than {LIST} values can be asked for at once."
        )
    values = list(dict.fromkeys(long[0].value))
    rest = [entry for entry in where if entry is not long[0]]
    chunks = [values[at : at + LIST] for at in range(0, len(values), LIST)]
    return [[*rest, Where(long[0].column, "in", chunk)] for chunk in chunks]


def _whole(where: Sequence[Where]) -> Sequence[Where]:
    """Refuse a change that would have to be cut into parts: it could happen by half."""
    if len(_parts(where)) > 1:
        raise Refused(
            "ERR_VALIDATION_SCHEMA",
            f"A change by a list of more than {LIST} values is not atomic over Supabase; change in parts.",
        )
    return where


def _filtered(query: Q, table: Table, where: Sequence[Where]) -> Q:
    for entry in where:
        operator, value = _condition(entry, table.columns[entry.column])
        query = query.filter(entry.column, operator, value)  # type: ignore[attr-defined]
    return query


def _condition(entry: Where, kind: str) -> tuple[str, str]:
    """Return PostgREST's operator and its value, quoted where PostgREST reads quotes."""
    value = entry.value
    if entry.operator == "is":
        return "is", {None: "null", True: "true", False: "false"}[value]
    if entry.operator == "in":
        return "in", f"({','.join(_quoted(_text(one)) for one in value)})"
    if entry.operator == "contains":
        return "cs", _literal(value, kind)
    if entry.operator in ("like", "ilike") and "*" in value:
        # PostgREST reads * as %, so a pattern with a star of its own goes as a regular expression.
        return ("match" if entry.operator == "like" else "imatch"), _regex(value)
    return entry.operator, _literal(value, kind)


def _literal(value: Any, kind: str) -> str:
    """Return a value as PostgreSQL reads one of its column's type."""
    if kind in ("json", "jsonb"):
        return json.dumps(value)
    if kind.endswith("[]") and isinstance(value, list | tuple):
        return f"{{{','.join(_quoted(_text(one)) for one in value)}}}"
    return _text(value)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _regex(pattern: str) -> str:
    """Return a LIKE pattern as a POSIX regular expression; a backslash takes the next character as it is."""
    parts = []
    for taken in re.findall(r"\\.|.", pattern, re.DOTALL):
        if taken == "%":
            parts.append(".*")
        elif taken == "_":
            parts.append(".")
        else:
            parts.append(re.sub(r"([^\w\s])", r"\\\1", taken[-1]))
    return f"^{''.join(parts)}$"
