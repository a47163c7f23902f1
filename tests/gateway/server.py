"""The gateway's server: one request is one transaction in the role its key has."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool

from tests.gateway.query import Malformed, columns, filters, names, orders
from tests.storage_api import PUBLISHABLE_KEY, SECRET_KEY

MAX_ROWS = 1000
ROLES = {SECRET_KEY: "service_role", PUBLISHABLE_KEY: "anon"}
STATUS = {"23505": 409, "23503": 409, "42501": 403, "42P01": 404, "42883": 404, "PGRST202": 404}


@dataclass
class Answer:
    """What goes back: a status, rows or a value, and how many there are in all."""

    status: int
    body: Any = None
    first: int = 0
    total: int | None = None


class Refusal(Exception):
    """An error in PostgREST's own words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Gateway:
    """A running gateway; use it as a context manager."""

    def __init__(self, dsn: str, *, storage_url: str | None = None) -> None:
        self.storage_url = storage_url
        self.requests: list[str] = []
        self.broken = threading.Event()
        self.pool = ConnectionPool(dsn, min_size=1, max_size=8, open=False)
        gateway = self

        class Handler(_Handler):
            owner = gateway

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Gateway:
        self.pool.open(wait=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.pool.close()


class _Handler(BaseHTTPRequestHandler):
    owner: Gateway
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # every method goes the same way in
            return self._serve
        raise AttributeError(name)

    def log_message(self, format: str, *arguments: object) -> None:
        self.owner.requests.append(f"{self.command} {self.path}")

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        address = urlsplit(self.path)
        if address.path.startswith("/storage/v1/"):
            self._forward(body)
            return
        try:
            answer = self._answer(address.path, parse_qsl(address.query, keep_blank_values=True), body)
        except Refusal as fault:
            answer = Answer(fault.status, {"code": fault.code, "message": fault.message})
        except Malformed as fault:
            answer = Answer(400, {"code": "PGRST100", "message": str(fault)})
        except psycopg.Error as fault:
            state = fault.sqlstate or ("22021" if isinstance(fault, psycopg.DataError) else "XX000")
            diagnosis = {"details": fault.diag.message_detail, "hint": fault.diag.message_hint}
            message = fault.diag.message_primary or str(fault)
            answer = Answer(STATUS.get(state, 400), {"code": state, "message": message, **diagnosis})
        self._send(answer)

    def _answer(self, path: str, params: list[tuple[str, str]], body: bytes) -> Answer:
        if self.owner.broken.is_set():
            raise Refusal(503, "503", "Service Unavailable")
        role = ROLES.get(self.headers.get("apikey") or "")
        if role is None:
            raise Refusal(401, "401", "Invalid API key")
        given = _json(body) if self.command in ("POST", "PATCH") else None
        with self.owner.pool.connection() as connection, connection.transaction():
            connection.execute("set local timezone = 'UTC'")
            connection.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
                [role, json.dumps({"role": role})],
            )
            _, _, rest = path.partition("/rest/v1/")
            if rest.startswith("rpc/"):
                return self._call(connection, rest.removeprefix("rpc/"), given)
            return self._table(connection, rest, params, given)

    def _call(self, connection: psycopg.Connection[Any], name: str, given: dict[str, Any]) -> Answer:
        found = connection.execute(
            "select p.proretset, p.proargnames, p.proargtypes::regtype[]::text[] from pg_proc p"
            " where p.pronamespace = 'public'::regnamespace and p.proname = %s",
            [name],
        ).fetchone()
        if found is None or not set(given) <= set(found[1] or ()):
            raise Refusal(404, "PGRST202", f"Could not find the function public.{name} in the schema cache")
        kinds = dict(zip(found[1] or (), found[2], strict=False))
        arguments = sql.SQL(", ").join(
            sql.SQL("{} => %s::{}").format(sql.Identifier(key), sql.SQL(kinds[key])) for key in given
        )
        values = [_value(value, kinds[key]) for key, value in given.items()]
        call = sql.SQL("public.{}({})").format(sql.Identifier(name), arguments)
        if not found[0]:
            row = connection.execute(sql.SQL("select to_jsonb({})").format(call), values).fetchone()
            return Answer(200, row[0] if row else None)
        rows = connection.execute(sql.SQL("select to_jsonb(r) from {} r").format(call), values).fetchall()
        return Answer(200, [row[0] for row in rows[:MAX_ROWS]], total=len(rows))

    def _table(
        self, connection: psycopg.Connection[Any], name: str, params: list[tuple[str, str]], given: Any
    ) -> Answer:
        known = connection.execute("select to_regclass(%s)", [f'public."{name}"']).fetchone()
        if known is None or known[0] is None:
            raise Refusal(404, "PGRST205", f"Could not find the table 'public.{name}' in the schema cache")
        table = sql.SQL("public.{}").format(sql.Identifier(name))
        clause, values = filters(params)
        keywords = dict(params)
        if self.command in ("GET", "HEAD"):
            return self._read(connection, table, clause, values, keywords)
        if self.command == "POST":
            statement, values = self._insert(table, given, keywords)
        elif self.command == "PATCH":
            sets = sql.SQL(", ").join(sql.SQL("{0} = v.{0}").format(sql.Identifier(key)) for key in given)
            statement = sql.SQL(
                "update {0} t set {1} from jsonb_populate_record(null::{0}, %s) v"
                " where t.ctid in (select ctid from {0}{2}) returning to_jsonb(t)"
            ).format(table, sets, clause)
            values = [Jsonb(given), *values]
        else:
            statement = sql.SQL("delete from {} t{} returning to_jsonb(t)").format(table, clause)
        rows = [row[0] for row in connection.execute(statement, values).fetchall()]
        return Answer(201 if self.command == "POST" else 200, rows)

    def _read(
        self,
        connection: psycopg.Connection[Any],
        table: sql.Composable,
        clause: sql.Composable,
        values: list[Any],
        keywords: dict[str, str],
    ) -> Answer:
        total = None
        if "count=exact" in (self.headers.get("prefer") or ""):
            row = connection.execute(
                sql.SQL("select count(*) from {}{}").format(table, clause), values
            ).fetchone()
            total = row[0] if row else 0
        limit = min(int(keywords.get("limit", MAX_ROWS)), MAX_ROWS)
        first = int(keywords.get("offset", 0))
        statement = sql.SQL("select to_jsonb(r) from (select {} from {}{}{} limit {} offset {}) r").format(
            columns(keywords.get("select", "*")),
            table,
            clause,
            orders(keywords.get("order", "")),
            sql.Literal(limit),
            sql.Literal(first),
        )
        rows = [row[0] for row in connection.execute(statement, values).fetchall()]
        return Answer(200, rows, first, total)

    def _insert(
        self, table: sql.Composable, given: Any, keywords: dict[str, str]
    ) -> tuple[sql.Composable, list[Any]]:
        rows = given if isinstance(given, list) else [given]
        keys = names(keywords.get("columns", "")) or list(rows[0])
        listed = sql.SQL(", ").join(map(sql.Identifier, keys))
        conflict: sql.Composable = sql.SQL("")
        prefer = self.headers.get("prefer") or ""
        if "resolution=" in prefer:
            on = sql.SQL(", ").join(map(sql.Identifier, names(keywords["on_conflict"])))
            sets = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(k)) for k in keys)
            action = (
                sql.SQL("nothing") if "ignore-duplicates" in prefer else sql.SQL("update set {}").format(sets)
            )
            conflict = sql.SQL(" on conflict ({}) do {}").format(on, action)
        statement = sql.SQL(
            "insert into {0} as t ({1}) select {1} from jsonb_populate_recordset(null::{0}, %s){2}"
            " returning to_jsonb(t)"
        ).format(table, listed, conflict)
        return statement, [Jsonb(rows)]

    def _send(self, answer: Answer) -> None:
        body = b"" if self.command == "HEAD" else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("content-type", "application/json")
        if answer.status < 300 and isinstance(answer.body, list):
            last = answer.first + len(answer.body) - 1
            span = f"{answer.first}-{last}" if answer.body else "*"
            self.send_header("content-range", f"{span}/{'*' if answer.total is None else answer.total}")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _forward(self, body: bytes) -> None:
        request = urllib.request.Request(
            f"{self.owner.storage_url}{self.path}", data=body or None, method=self.command
        )
        for name, value in self.headers.items():
            if name.lower() not in ("host", "content-length", "connection"):
                request.add_header(name, value)
        try:
            with urllib.request.urlopen(request) as answer:
                status, headers, data = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as fault:
            with fault:
                status, headers, data = fault.code, fault.headers, fault.read()
        self.send_response(status)
        self.send_header("content-type", headers.get("content-type") or "application/octet-stream")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except ValueError as fault:
        raise Refusal(400, "PGRST102", f"Error in the JSON: {fault}") from fault


def _value(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind in ("json", "jsonb"):
        return Jsonb(value)
    return value
