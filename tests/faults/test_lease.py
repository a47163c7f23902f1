"""A worker that is frozen for longer than its lease, and then goes on as if nothing had happened.

Real processes, stopped and continued: what a laptop's lid, a debugger or a starved machine does to them.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import ItemStatus, Job, JobStatus
from tests.faults.ledger import Witness, check, create, run, until
from tests.faults.workers import Worker
from tests.messages_api import KEY, MessagesApi
from tests.shell import Shell

LEASE = {"call_timeout": 1.0, "lease_margin": 1.0}
LEASE_SECONDS = 2.0
CALL_SECONDS = 0.3
Start = Callable[[Job], Worker]
SLOW_TO_LOAD = """
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "brightrun.writers.claude":
            time.sleep(2)
sys.meta_path.insert(0, Slow())
"""
"""What a busy machine does to a process that has just begun."""


@pytest.fixture
def settings(home: Path, dsn: str, api: MessagesApi) -> Settings:
    api.seconds = CALL_SECONDS
    return Settings(
        home=home,
        database_url=dsn,
        anthropic_api_key=KEY,
        anthropic_base_url=api.url,
        actor="ana",
        retry_base=0.05,
        **LEASE,
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[App]:
    opened = open_app(settings)
    yield opened
    opened.close()


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Start a worker that ends with the test."""
    started: list[Worker] = []

    def starting(job: Job) -> Worker:
        started.append(Worker(settings, job.id, tmp_path / "workers.txt"))
        return started[-1]

    yield starting
    for worker in started:
        worker.kill()


@contextmanager
def frozen(worker: Worker) -> Iterator[None]:
    """Hold a process still until its lease is over, and then some."""
    os.kill(worker.pid, signal.SIGSTOP)
    time.sleep(LEASE_SECONDS + 0.5)
    yield
    os.kill(worker.pid, signal.SIGCONT)


def freeze_while_claiming(worker: Worker, dsn: str) -> None:
    """Hold a process still while the database leases an item to it: the lease runs, and it does not know."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        until(
            lambda: (
                connection.execute(
                    "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
                ).fetchone()
                is not None
            ),
            "nothing was claimed",
        )
        os.kill(worker.pid, signal.SIGSTOP)
        connection.execute("drop trigger slow on attempts")  # waits until the claim is committed


@pytest.fixture
def slow_claims(dsn: str) -> None:
    """Let a claim take a moment, so that a process can be stopped in the middle of it."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "create function slowly() returns trigger language plpgsql as"
            " $$ begin perform pg_sleep(0.5); return new; end $$;"
            "create trigger slow before insert on attempts for each row execute function slowly()"
        )


def outcomes(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("select outcome from attempts order by item_id, number").fetchall()
    return [outcome for (outcome,) in rows]


@pytest.mark.usefixtures("slow_claims")
def test_a_worker_frozen_before_its_call_does_not_buy_what_another_has_written(
    app: App, start: Start, witness: Witness, dsn: str
) -> None:
    """Whoever wakes up after its lease asks again before it pays."""
    job = create(app, witness, 1)
    worker = start(job)
    freeze_while_claiming(worker, dsn)
    time.sleep(LEASE_SECONDS)
    assert run(app, job).status is JobStatus.COMPLETED
    os.kill(worker.pid, signal.SIGCONT)
    assert worker.join(30) == 0
    seen = check(dsn, app, witness, job)
    assert (seen["calls"], outcomes(dsn)[0], outcomes(dsn)[-1]) == (1, "failed", "stored")
    assert app.batches.get(job.id).money.possible == 0


@pytest.mark.usefixtures("slow_claims")
def test_a_worker_frozen_before_its_call_goes_on_where_nobody_took_over(
    app: App, start: Start, witness: Witness, dsn: str
) -> None:
    """An item whose worker overslept is simply claimed again; nothing is listed as paid that was not."""
    job = create(app, witness, 1)
    worker = start(job)
    freeze_while_claiming(worker, dsn)
    time.sleep(LEASE_SECONDS)
    os.kill(worker.pid, signal.SIGCONT)
    assert worker.join(30) == 0
    seen = check(dsn, app, witness, job)
    assert (seen["calls"], outcomes(dsn)[0], outcomes(dsn)[-1]) == (1, "failed", "stored")


def test_both_answers_of_a_call_that_outlived_its_lease_are_kept_and_listed(
    app: App, api: MessagesApi, start: Start, witness: Witness, dsn: str
) -> None:
    """The item is written once; the answer that came too late is paid for, so it is kept and on record."""
    job = create(app, witness, 1)
    worker = start(job)
    until(lambda: api.journal.at_once > 0, "nothing was called")
    with frozen(worker):
        assert run(app, job).status is JobStatus.COMPLETED
    assert worker.join(30) == 0
    seen = check(dsn, app, witness, job, answers=2)
    assert (seen["calls"], seen["stored"], seen.get("unknown", 0)) == (2, 2, 0)


def test_a_late_answer_is_gone_on_from_by_whoever_claims_next(
    app: App, api: MessagesApi, start: Start, witness: Witness, dsn: str
) -> None:
    """An answer that arrives after its item was taken back, but before it was bought again, is used."""
    job = create(app, witness, 1)
    worker = start(job)
    until(lambda: api.journal.at_once > 0, "nothing was called")
    with frozen(worker):
        assert app.batches.get(job.id).counts.queued == 1  # looking takes it back
        app.batches.pause(job.id, actor="ana")
    assert worker.join(30) == 1  # its answer is fenced, and then the job is paused
    app.batches.resume(job.id, actor="ana")
    assert run(app, job).status is JobStatus.COMPLETED
    seen = check(dsn, app, witness, job)
    assert (seen["calls"], outcomes(dsn)) == (1, ["stored", "skipped"])


def test_a_retry_while_the_old_worker_still_lives_ends_in_one_conversation(
    app: App, api: MessagesApi, start: Start, witness: Witness, dsn: str, settings: Settings
) -> None:
    """Given up and retried by hand while its first call is still out: both calls are on record, one is used."""
    once = open_app(settings.model_copy(update={"max_attempts": 1}))
    job = create(once, witness, 1)
    once.close()
    worker = start(job)
    until(lambda: api.journal.at_once > 0, "nothing was called")
    with frozen(worker):
        assert run(app, job).counts.failed == 1
        app.batches.retry_failed(job.id, actor="ana")
        assert run(app, job).status is JobStatus.COMPLETED
    assert worker.join(30) == 0
    seen = check(dsn, app, witness, job, answers=2)
    assert (seen["calls"], seen["stored"]) == (2, 2)


def test_a_cancel_between_call_and_answer_keeps_what_was_paid_for(
    app: App, api: MessagesApi, start: Start, witness: Witness, dsn: str
) -> None:
    """The answer in flight becomes a conversation of the cancelled job; nothing else is called."""
    job = create(app, witness, 3)
    worker = start(job)
    until(lambda: api.journal.at_once > 0, "nothing was called")
    app.batches.cancel(job.id, actor="ana")
    worker.join(30)
    ended = app.batches.get(job.id)
    assert (ended.status, ended.counts.completed, ended.counts.cancelled) == (JobStatus.CANCELLED, 1, 2)
    assert (api.journal.arrived, outcomes(dsn)) == (1, ["stored"])
    assert ended.money.reserved == 0


def test_a_call_whose_worker_vanished_from_a_cancelled_job_is_on_record(
    app: App, api: MessagesApi, start: Start, witness: Witness, dsn: str
) -> None:
    """Cancelled and killed: the item does not stay in flight, and the call is listed as possibly paid."""
    job = create(app, witness, 2)
    worker = start(job)
    until(lambda: api.journal.at_once > 0, "nothing was called")
    worker.kill()
    app.batches.cancel(job.id, actor="ana")
    time.sleep(LEASE_SECONDS)
    ended = run(app, job)
    assert (ended.counts.cancelled, ended.counts.processing) == (2, 0)
    assert "unknown" in outcomes(dsn)
    assert "started" not in outcomes(dsn)
    assert ended.money.reserved == 0
    assert ended.money.possible > 0


def test_looking_at_a_cancelled_job_ends_what_its_vanished_worker_held(
    app: App, api: MessagesApi, start: Start, witness: Witness, dsn: str
) -> None:
    """Nobody processes a cancelled job any more, so looking at it must be enough."""
    job = create(app, witness, 1)
    worker = start(job)
    until(lambda: api.journal.at_once > 0, "nothing was called")
    worker.kill()
    app.batches.cancel(job.id, actor="ana")
    time.sleep(LEASE_SECONDS)
    (item,) = app.batches.items(job.id)
    assert item.status is ItemStatus.PROCESSING
    ended = app.batches.get(job.id)
    assert (ended.counts.cancelled, ended.counts.processing) == (1, 0)
    assert outcomes(dsn) == ["unknown", "skipped"]


@pytest.mark.parametrize("command", ["process", "work"])
def test_no_lease_runs_while_a_process_loads_its_writer(
    app: App, settings: Settings, witness: Witness, dsn: str, tmp_path: Path, command: str
) -> None:
    """On a machine that takes longer to load Claude's client than a lease leaves, the first item is written at once."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SLOW_TO_LOAD)
    shell = Shell(
        settings.home,
        DATABASE_URL=dsn,
        ANTHROPIC_API_KEY=KEY,
        ANTHROPIC_BASE_URL=str(settings.anthropic_base_url),
        BRIGHTRUN_LEASE_MARGIN="1",
        PYTHONPATH=str(site),
    )
    shell.run(command, create(app, witness, 1).id)
    assert outcomes(dsn) == ["stored"]
