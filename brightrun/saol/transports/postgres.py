"""PostgreSQL directly: psycopg 3 with a small pool, the same JSON values as PostgREST gives."""

from __future__ import annotations

import copy
import select
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import orjson
import psycopg
from psycopg import sql
from psycopg.adapt import PyFormat, Transformer
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads
from psycopg_pool import ConnectionPool, PoolTimeout

from brightrun.domain.errors import SetupFault
from brightrun.saol import full
from brightrun.saol.changes import Change
from brightrun.saol.failures import Refused, Rejected, Unreachable
from brightrun.saol.schema import Function, Table
from brightrun.saol.script import Ran, Script
from brightrun.saol.transports.definitions import compose
from brightrun.saol.transports.port import Row, Rows
from brightrun.saol.transports.scripts import run
from brightrun.saol.where import Order, Where

POOL_SIZE = 8
CHECKOUT_SECONDS = 10.0
RECONNECT_SECONDS = 8.0
"""How long one attempt to connect keeps trying a server that is down: a restart is over by then."""
RECONNECT_PAUSE = 0.1
LIMITS = (
    "set statement_timeout = '30s'; set lock_timeout = '5s'; "
    "set idle_in_transaction_session_timeout = '30s'; set timezone = 'UTC'"
)

UNSENDABLE = "22021"
"""What the server says of text it cannot hold; the driver refuses some of it before, without a state."""

WHOLE = ("smallint", "integer", "bigint")

KEEPALIVE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""A network that hangs is given up after a minute, whether it was asked something or not: a call that waits in libpq
cannot be broken off."""

COMPARISONS = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "LIKE",
    "ilike": "ILIKE",
}

Part = sql.SQL | sql.Composed
Query = bytes | sql.SQL | sql.Composed


class PostgresTransport:
    """Safe to share between threads; every statement is its own transaction."""

    name = "postgres"

    def __init__(
        self, dsn: str, *, revive: Callable[[], object] | None = None, place: Path | None = None
    ) -> None:
        """`revive` is called when the server is gone: the embedded one, whose files are in `place`, is ours."""
        self._revive = revive
        self._place = place
        self._closing = threading.Event()
        self._down: str | None = None
        self._pool = ConnectionPool(
            dsn,
            connection_class=_patient(self._wait_for_server),
            min_size=1,
            max_size=POOL_SIZE,
            timeout=CHECKOUT_SECONDS,
            reconnect_timeout=1,  # the pool's own pauses double; ours do not
            kwargs={**_kept_alive(dsn), "autocommit": True, "prepare_threshold": None},
            configure=self._configure,
            open=False,
            name="brightrun",
        )
        self._calls: dict[tuple[str, tuple[str, ...]], bytes] = {}
        self._claims: sql.Composed | None = None
        try:
            self._pool.open(wait=True, timeout=CHECKOUT_SECONDS)
        except PoolTimeout as fault:
            self.close()
            raise self._unreachable() from fault

    def describe(self) -> Mapping[str, Any]:
        data: Mapping[str, Any] = self._one(b"select public.describe_schema()")
        return data

    def names(self) -> Mapping[str, Any]:
        data: Mapping[str, Any] = self._one(b"select public.describe_names()")
        return data

    def select(
        self,
        table: Table,
        columns: Sequence[str],
        where: Sequence[Where],
        order: Sequence[Order],
        limit: int | None,
        offset: int,
    ) -> list[Row]:
        condition, values = _where(table, where)
        query = sql.SQL("select to_jsonb(r) from (select {} from public.{}{}{}{}) r").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.Identifier(table.name),
            condition,
            _order(order),
            _page(limit, offset),
        )
        return self._many(query, values)

    def count(self, table: Table, where: Sequence[Where]) -> int:
        condition, values = _where(table, where)
        query = sql.SQL("select count(*) from public.{}{}").format(sql.Identifier(table.name), condition)
        return int(self._one(query, values))

    def insert(self, table: Table, columns: Sequence[str], rows: Rows) -> list[Row]:
        return self._many(_insert(table, columns, sql.SQL("")), [Jsonb(list(rows))])

    def upsert(
        self, table: Table, columns: Sequence[str], rows: Rows, key: Sequence[str], *, ignore: bool
    ) -> list[Row]:
        changed = [column for column in columns if column not in key]
        action: Part = sql.SQL("nothing")
        if changed and not ignore:
            action = sql.SQL("update set {}").format(
                sql.SQL(", ").join(
                    sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in changed
                )
            )
        conflict = sql.SQL(" on conflict ({}) do {}").format(
            sql.SQL(", ").join(map(sql.Identifier, key)), action
        )
        return self._many(_insert(table, columns, conflict), [Jsonb(list(rows))])

    def update(self, table: Table, values: Mapping[str, Any], where: Sequence[Where]) -> list[Row]:
        condition, bound = _where(table, where, alias="t")
        query = sql.SQL(
            "update public.{table} as t set {sets} from jsonb_populate_record(null::public.{table}, %s) v"
            "{condition} returning to_jsonb(t)"
        ).format(
            table=sql.Identifier(table.name),
            sets=sql.SQL(", ").join(sql.SQL("{0} = v.{0}").format(sql.Identifier(name)) for name in values),
            condition=condition,
        )
        return self._many(query, [Jsonb(dict(values)), *bound])

    def delete(self, table: Table, where: Sequence[Where]) -> list[Row]:
        condition, values = _where(table, where, alias="t")
        query = sql.SQL("delete from public.{} as t{} returning to_jsonb(t)").format(
            sql.Identifier(table.name), condition
        )
        return self._many(query, values)

    def call(self, function: Function, params: Mapping[str, Any]) -> Any:
        shape = (function.name, tuple(params))
        query = self._calls.get(shape)
        if query is None:
            query = _call(function, shape[1])
            self._calls[shape] = query
        with self._connection() as connection:
            values = [_sent(value, function.arguments[name], connection) for name, value in params.items()]
            return _answer(connection, query, values)

    def compose(self, change: Change) -> list[str]:
        return compose(change)

    def run(self, script: Script) -> list[Ran]:
        if self._claims is not None:
            raise Refused(
                "42501", "A script runs with the server's own rights; a person's claims cannot hold it."
            )
        with self._connection() as connection:
            return run(connection, script)

    def acting_as(self, claims: Mapping[str, str]) -> Self:
        """Return this transport for one person: each statement drops to `authenticated` and ends there."""
        acting = copy.copy(self)
        acting._claims = sql.SQL(
            "set local role authenticated; select set_config('request.jwt.claims', {}, true)"
        ).format(sql.Literal(orjson.dumps(dict(claims)).decode()))
        return acting

    def close(self) -> None:
        self._closing.set()
        self._pool.close()

    def _one(self, query: Query, values: Sequence[Any] = ()) -> Any:
        with self._connection() as connection:
            row = connection.execute(query, values).fetchone()
        return row[0] if row else None

    def _many(self, query: Query, values: Sequence[Any]) -> list[Row]:
        with self._connection() as connection:
            return [row[0] for row in connection.execute(query, values).fetchall()]

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            connection = self._checked_out()
            try:
                if self._claims is None:  # every statement is its own
                    yield connection
                else:
                    with connection.transaction():
                        connection.execute(self._claims)
                        yield connection
            finally:
                self._pool.putconn(connection)
        except PoolTimeout as fault:
            raise self._unreachable() from fault
        except psycopg.InterfaceError as fault:
            raise self._away(f"The database does not answer: {fault}.") from fault
        except psycopg.OperationalError as fault:
            raise self._broken(fault) from fault
        except psycopg.Error as fault:
            raise _rejected(fault) from fault
        except (UnicodeEncodeError, orjson.JSONEncodeError) as fault:
            raise Rejected(UNSENDABLE, f"A value cannot be sent: {fault}.") from fault

    def _checked_out(self) -> psycopg.Connection[Any]:
        """Take a connection; those that ended while they were idle are sorted out first, all at once."""
        until = time.monotonic() + CHECKOUT_SECONDS
        connection = self._pool.getconn(CHECKOUT_SECONDS)
        while _has_ended(connection):
            self._pool.putconn(connection)
            connection = self._pool.getconn(max(until - time.monotonic(), RECONNECT_PAUSE))
        return connection

    def _configure(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(LIMITS)
        set_json_loads(orjson.loads, connection)
        set_json_dumps(orjson.dumps, connection)
        self._down = None

    def _wait_for_server(self, fault: psycopg.OperationalError, until: float) -> None:
        """Return when connecting is worth another try, having started the server if that is ours to do."""
        said = " ".join(str(fault).split())
        self._down = self._down or said  # who gives up meanwhile is told the reason known so far
        if self._revive and not self._closing.is_set():
            try:
                self._revive()
            except SetupFault as reason:
                said = str(reason)
        self._down = said
        if self._closing.wait(RECONNECT_PAUSE) or time.monotonic() > until:
            raise fault

    def _broken(self, fault: psycopg.OperationalError) -> Rejected | Unreachable:
        if fault.sqlstate and fault.sqlstate != full.DISK_FULL:
            return _rejected(fault)
        if full.says_full(fault):  # a server that cannot write its log ends, and these are its last words
            return self._full(fault.diag.message_primary or str(fault).partition("\n")[0])
        return self._away(f"The connection to the database broke: {fault}")

    def _full(self, said: str) -> Rejected:
        return Rejected(full.DISK_FULL, full.told(said, self._place))

    def _unreachable(self) -> Rejected | Unreachable:
        """Say why no connection was to be had: the server is down, or all are lent."""
        busy = f"all {POOL_SIZE} connections of this process are in use."
        return self._away(f"The database does not answer: {self._down or busy}")

    def _away(self, said: str) -> Rejected | Unreachable:
        """Say that the server is away, and why where that is plain: one without room comes back and goes again."""
        if full.says_full(said, self._place):
            return self._full(said)
        return Unreachable(said)


def _kept_alive(dsn: str) -> dict[str, Any]:
    """Return how soon a silent connection is given up, where the connection string does not say so itself."""
    try:
        said = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return {}  # connecting says what is wrong with it
    return {name: value for name, value in KEEPALIVE.items() if name not in said}


def _patient(
    wait: Callable[[psycopg.OperationalError, float], None],
) -> type[psycopg.Connection[Any]]:
    """Return a kind of connection that is opened again and again, until `wait` gives up."""

    class Patient(psycopg.Connection[Any]):
        @classmethod
        def connect(cls, conninfo: str = "", **options: Any) -> psycopg.Connection[Any]:  # type: ignore[override]
            until = time.monotonic() + RECONNECT_SECONDS
            while True:
                try:
                    return super().connect(conninfo, **options)
                except psycopg.OperationalError as fault:
                    wait(fault, until)

    return Patient


def _has_ended(connection: psycopg.Connection[Any]) -> bool:
    """Ask the server only when the idle socket has something to say: an end of file, as a rule."""
    readable, _, _ = select.select([connection.fileno()], [], [], 0)
    if not readable:
        return False
    try:
        connection.execute("select 1")
    except psycopg.OperationalError:
        return True
    return False


def _rejected(fault: psycopg.Error) -> Rejected:
    diagnosis = fault.diag
    message = diagnosis.message_primary or str(fault)
    unknown = UNSENDABLE if isinstance(fault, psycopg.DataError) else "XX000"
    return Rejected(fault.sqlstate or unknown, message, diagnosis.message_detail or diagnosis.message_hint)


def _where(table: Table, where: Sequence[Where], alias: str | None = None) -> tuple[Part, list[Any]]:
    if not where:
        return sql.SQL(""), []
    parts: list[Part] = []
    values: list[Any] = []
    for entry in where:
        name = sql.Identifier(alias, entry.column) if alias else sql.Identifier(entry.column)
        kind = table.columns[entry.column]
        part, bound = _condition(name, kind, entry)
        parts.append(part)
        values += bound
    return sql.SQL(" where ") + sql.SQL(" and ").join(parts), values


def _condition(name: sql.Identifier, kind: str, entry: Where) -> tuple[Part, list[Any]]:
    typed = sql.SQL(kind)  # from the catalogue, never from a caller
    if entry.operator == "is":
        literal = {None: "null", True: "true", False: "false"}[entry.value]
        return sql.SQL("{} is ").format(name) + sql.SQL(literal), []
    if entry.operator == "in":
        return sql.SQL("{} = any(%s::{}[])").format(name, typed), [[_text(v) for v in entry.value]]
    if entry.operator == "contains":
        return sql.SQL("{} @> %s::{}").format(name, typed), [_bound(entry.value, kind)]
    if entry.operator in ("like", "ilike"):
        operator = sql.SQL(COMPARISONS[entry.operator])
        return sql.SQL("{}::text {} %s").format(name, operator), [entry.value]
    operator = sql.SQL(COMPARISONS[entry.operator])
    return sql.SQL("{} {} %s::{}").format(name, operator, typed), [_bound(entry.value, kind)]


def _order(order: Sequence[Order]) -> Part:
    if not order:
        return sql.SQL("")
    parts = [
        sql.SQL("{} {} nulls {}").format(
            sql.Identifier(entry.column),
            sql.SQL("desc" if entry.descending else "asc"),
            sql.SQL("first" if entry.nulls_first else "last"),
        )
        for entry in order
    ]
    return sql.SQL(" order by ") + sql.SQL(", ").join(parts)


def _page(limit: int | None, offset: int) -> Part:
    text = sql.SQL("") if limit is None else sql.SQL(" limit {}").format(sql.Literal(limit))
    return text + (sql.SQL(" offset {}").format(sql.Literal(offset)) if offset else sql.SQL(""))


def _insert(table: Table, columns: Sequence[str], conflict: Part) -> Part:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL(
        "insert into public.{table} as t ({names}) select {names}"
        " from jsonb_populate_recordset(null::public.{table}, %s){conflict} returning to_jsonb(t)"
    ).format(table=sql.Identifier(table.name), names=names, conflict=conflict)


def _call(function: Function, names: Sequence[str]) -> bytes:
    arguments = sql.SQL(", ").join(
        sql.SQL("{} => {}::{}").format(
            sql.Identifier(name), sql.SQL(f"${number}"), sql.SQL(function.arguments[name])
        )
        for number, name in enumerate(names, 1)
    )
    call = sql.SQL("public.{}({})").format(sql.Identifier(function.name), arguments)
    if function.returns_set:
        query: Part = sql.SQL("select coalesce(jsonb_agg(to_jsonb(r)), '[]') from {} r").format(call)
    elif function.returns == "jsonb":
        query = sql.SQL("select {}").format(call)
    else:
        query = sql.SQL("select to_jsonb({})").format(call)
    return query.as_bytes()


def _answer(connection: psycopg.Connection[Any], query: bytes, values: Sequence[bytes | None]) -> Any:
    """Return a function's one value, by libpq itself: a cursor costs a step as much as the server does."""
    server = connection.pgconn
    try:
        result = server.exec_params(query, values)
    except MemoryError as fault:  # how libpq says that it could not send
        raise psycopg.OperationalError(server.get_error_message()) from fault
    if result.status != ExecStatus.TUPLES_OK:
        if not result.error_field(DiagnosticField.SQLSTATE):  # it is libpq that says so: the connection broke
            raise psycopg.OperationalError(server.get_error_message())
        raise psycopg.errors.error_from_result(result)
    found = result.get_value(0, 0) if result.ntuples else None
    return None if found is None else orjson.loads(found)


def _sent(value: Any, kind: str, connection: psycopg.Connection[Any]) -> bytes | None:
    """Return a value as text, the way the server reads its type."""
    if value is None:
        return None
    if kind in ("jsonb", "json"):
        return orjson.dumps(value)
    if kind.endswith("[]"):
        dumper = Transformer.from_context(connection).get_dumper([""], PyFormat.TEXT)
        return bytes(dumper.dump([_text(entry) for entry in value]) or b"")
    if isinstance(value, float) and value.is_integer() and kind in WHOLE:
        value = int(value)  # JSON tells a whole number from another only by how it is written
    data = str(_text(value)).encode()
    if b"\0" in data:
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return data


def _bound(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind in ("jsonb", "json"):
        return Jsonb(value)
    if kind.endswith("[]"):
        return [_text(entry) for entry in value]
    return value if isinstance(value, bool | int | float) else str(value)


def _text(value: Any) -> Any:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)
