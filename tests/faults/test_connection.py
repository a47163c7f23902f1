"""The connection to the database goes at the worst moment, or is not to be had at all."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, JobStatus, Step, StepOutcome, WriterName
from brightrun.domain.errors import DatabaseFault
from brightrun.domain.writing import Order, RawAnswer
from brightrun.saol.failures import Unreachable
from brightrun.saol.schema import Function
from brightrun.saol.server.launcher import EmbeddedServer
from brightrun.saol.transports import postgres
from brightrun.saol.transports.port import Transport
from tests.fakes import ScriptedWriter, options, paid, scenarios
from tests.faults.ledger import run, until

SLOW_SECONDS = 0.6


@pytest.fixture
def writer() -> ScriptedWriter:
    return ScriptedWriter()


@pytest.fixture
def app(tmp_path: Path, dsn: str, writer: ScriptedWriter) -> Iterator[App]:
    settings = Settings(home=tmp_path, database_url=dsn, actor="ana", retry_base=0.05)
    opened = open_app(settings, writers={WriterName.CLAUDE: writer})
    yield opened
    opened.close()


@pytest.fixture
def job(app: App) -> Job:
    plan = app.planner.plan(scenarios(2), options(WriterName.CLAUDE))
    return app.batches.create(plan, name="Under fire", actor="ana")


def slow_down(dsn: str, table: str, when: str) -> None:
    """Let every row that a table is given take a moment, in its transaction or while that commits."""
    kind = "constraint trigger slow after" if when == "at its commit" else "trigger slow before"
    wait = "deferrable initially deferred" if when == "at its commit" else ""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            sql.SQL(
                "create function slowly() returns trigger language plpgsql as"
                " $$ begin perform pg_sleep({seconds}); return new; end $$;"
                "create {kind} insert on {table} {wait} for each row execute function slowly()"
            ).format(
                seconds=sql.Literal(SLOW_SECONDS),
                kind=sql.SQL(kind),
                table=sql.Identifier(table),
                wait=sql.SQL(wait),
            )
        )


@contextmanager
def cut_while_asleep(dsn: str, table: str, *, after: float = 0.0) -> Iterator[list[int]]:
    """Once, end the backend that sleeps in a slow statement; yields whom."""
    ended: list[int] = []

    def cut() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            ends = time.monotonic() + 30
            while not ended and time.monotonic() < ends:
                found = connection.execute(
                    "select pid from pg_stat_activity where wait_event = 'PgSleep'"
                    " and datname = current_database()"
                ).fetchone()
                if found:
                    time.sleep(after)
                    connection.execute("select pg_terminate_backend(%s)", found)
                    connection.execute(
                        sql.SQL("drop trigger if exists slow on {}").format(sql.Identifier(table))
                    )
                    ended.append(found[0])
                time.sleep(0.005)

    thread = threading.Thread(target=cut)
    thread.start()
    try:
        yield ended
    finally:
        thread.join()


@pytest.mark.parametrize("when", ["in the middle", "at its commit"])
def test_a_connection_cut_inside_the_completing_step_loses_and_doubles_nothing(
    when: str, app: App, job: Job, writer: ScriptedWriter, dsn: str
) -> None:
    """The step is told again over another connection, and the item ends once, from the same answer."""
    slow_down(dsn, "conversations", when)
    with cut_while_asleep(dsn, "conversations") as ended:
        ended_job = run(app, job)
    assert ended
    assert (ended_job.status, writer.calls) == (JobStatus.COMPLETED, 2)
    assert facts(dsn) == [(1, ["stored"]), (1, ["stored"])]


def test_a_completed_item_whose_confirmation_was_lost_is_not_told_as_late(
    app: App, job: Job, writer: ScriptedWriter, dsn: str
) -> None:
    """The commit went through, its answer did not: the step says completed, and the log says it once."""
    transport = lossy(app, "complete_item")
    first = app.batches.process_next(job.id)
    assert transport.lost
    assert (first.outcome, first.conversation_id is not None) == (StepOutcome.COMPLETED, True)
    assert run(app, job).status is JobStatus.COMPLETED
    assert writer.calls == 2
    assert "late" not in app.batches.log_text(job.id)
    assert facts(dsn) == [(1, ["stored"]), (1, ["stored"])]
    costs = {round(item.cost, 6) for item in app.batches.items(job.id)}
    assert costs == {0.007}


def test_a_settled_item_whose_confirmation_was_lost_is_settled_once(
    app: App, job: Job, writer: ScriptedWriter, dsn: str
) -> None:
    """Telling an item's failure twice changes nothing the second time."""
    transport = lossy(app, "settle_item")
    writer.will(TimeoutError("scripted"))
    app.batches.process_next(job.id)
    assert transport.lost
    ended = run(app, job)
    assert (ended.counts.completed, ended.counts.failed) == (1, 1)
    assert [outcomes for _, outcomes in facts(dsn)] == [["unknown"], ["stored"]]


class Lossy:
    """The real transport, over which the first reply of one function is lost after all was done."""

    def __init__(self, inner: Transport, function: str) -> None:
        self._inner = inner
        self._function = function
        self.lost: list[Any] = []

    def call(self, function: Function, params: Mapping[str, Any]) -> Any:
        value = self._inner.call(function, params)
        if function.name == self._function and not self.lost:
            self.lost.append(value)
            raise Unreachable("the reply was lost")
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def lossy(app: App, function: str) -> Lossy:
    app.batches._db.transport = transport = Lossy(app.batches._db.transport, function)
    return transport


def facts(dsn: str) -> list[tuple[int, list[str]]]:
    """Return for each item how many conversations it has, and the outcomes of its attempts."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select (select count(*) from conversations c where c.item_id = i.id),"
            " (select array_agg(outcome order by number) from attempts a where a.item_id = i.id)"
            " from batch_items i order by position"
        ).fetchall()
    return [(number, outcomes) for number, outcomes in rows]


def test_an_item_whose_prompt_cannot_be_read_waits_and_is_not_failed(
    app: App, job: Job, writer: ScriptedWriter, dsn: str
) -> None:
    """A table that is locked for long after the claim puts the item back, unpaid, and the job goes on."""
    other = open_app(app.settings, writers={WriterName.CLAUDE: writer})  # it has read no template yet
    assert other.batches.get(job.id).is_open
    with psycopg.connect(dsn) as connection:
        connection.execute("lock table template_versions in access exclusive mode")
        step = other.batches.process_next(job.id)
    assert (step.outcome, writer.calls) == (StepOutcome.RETRY, 0)
    assert run(other, job).status is JobStatus.COMPLETED
    assert writer.calls == 2
    other.close()


def test_an_answer_is_priced_by_what_was_read_before_its_call(
    app: App, job: Job, writer: ScriptedWriter, dsn: str
) -> None:
    """The price table cannot be read once a call is out: nothing is bought again, nothing is free."""
    with psycopg.connect(dsn) as connection:

        def lock(order: Order) -> RawAnswer:
            connection.execute("lock table prices in access exclusive mode")
            return paid(order)

        writer.will(lock)
        step = app.batches.process_next(job.id)
    assert step.outcome is StepOutcome.COMPLETED
    assert round(step.job.money.spent, 6) == 0.007
    ended = run(app, job)
    assert (ended.status, writer.calls) == (JobStatus.COMPLETED, 2)
    assert (round(ended.money.spent, 6), ended.money.possible) == (0.014, 0)
    assert [round(item.cost, 6) for item in app.batches.items(job.id)] == [0.007, 0.007]


def test_more_threads_than_connections_wait_for_their_turn(
    app: App, job: Job, writer: ScriptedWriter
) -> None:
    """Forty threads share eight connections; none fails, and each item is called for once."""
    with ThreadPoolExecutor(40) as threads:
        steps = list(threads.map(lambda _: app.batches.process_next(job.id), range(40)))
    assert all(isinstance(step, Step) for step in steps)
    assert run(app, job).status is JobStatus.COMPLETED
    assert writer.calls == 2


def test_a_full_pool_says_so(app: App, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every connection is held for too long, the message names that and not a dead server."""
    monkeypatch.setattr(postgres, "CHECKOUT_SECONDS", 0.5)
    transport = app.batches._db.transport
    assert isinstance(transport, postgres.PostgresTransport)
    held = [transport._pool.getconn() for _ in range(postgres.POOL_SIZE)]
    with pytest.raises(DatabaseFault, match="all 8 connections of this process are in use") as fault:
        app.batches.get(job.id)
    assert fault.value.is_transient
    for connection in held:
        transport._pool.putconn(connection)
    assert app.batches.get(job.id).id == job.id


def test_a_server_with_no_connection_left_is_waited_for(dsn: str, server_dsn: str) -> None:
    """Others have used every connection the database gives to this role: the app goes on when one is free."""
    with psycopg.connect(server_dsn, autocommit=True) as admin:
        admin.execute(sql.SQL("create role crowded login password 'x' bypassrls in role service_role"))
        try:
            admin.execute("alter role crowded connection limit 2")
            crowded = psycopg.conninfo.make_conninfo(dsn, user="crowded", password="x")
            others = [psycopg.connect(crowded) for _ in range(2)]
            with ThreadPoolExecutor(1) as thread:
                opening = thread.submit(postgres.PostgresTransport, crowded)
                time.sleep(1)
                assert not opening.done()
                others.pop().close()
                transport = opening.result(timeout=30)
            transport.close()
            others.pop().close()
        finally:
            admin.execute(
                sql.SQL("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'crowded'")
            )
            admin.execute("drop role crowded")


def test_an_embedded_server_that_stays_away_is_started_when_it_is_asked_for_again(home: Path) -> None:
    """The server dies while nobody uses it, and could not be started for a while: the next step starts it."""
    app = open_app(Settings(home=home, actor="ana"))
    plan = app.planner.plan(scenarios(1), options())
    job = app.batches.create(plan, name="Under fire", actor="ana")
    server = EmbeddedServer(home)
    version = server.cluster / "PG_VERSION"
    kept = version.read_text()
    version.write_text("14")  # its data look as if they were another version's: it cannot be started
    server.stop()
    with pytest.raises(DatabaseFault, match="PostgreSQL 14") as fault:
        app.batches.get(job.id)
    assert fault.value.is_transient
    version.write_text(kept)
    until(lambda: found(app, job), "the server was not started again")
    assert run(app, job).status is JobStatus.COMPLETED
    app.close()
    assert not server.is_running()


def found(app: App, job: Job) -> bool:
    try:
        return app.batches.get(job.id).id == job.id
    except DatabaseFault:
        return False
