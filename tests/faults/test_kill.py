"""Real processes killed in the middle of an item: nothing lost, doubled or stuck, nothing paid for twice.

BRIGHTRUN_FAULTS says how often (4 in `make test`, 50 in `make faults`), BRIGHTRUN_FAULT_SEED when exactly.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from brightrun import saol
from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, JobStatus
from brightrun.saol.server.launcher import EmbeddedServer
from tests.faults.conftest import CALL_SECONDS, MANY, SHORT
from tests.faults.ledger import Witness, check, create, once_back, summary, until
from tests.messages_api import KEY, MessagesApi
from tests.shell import Shell, Started

TIMES = int(os.environ.get("BRIGHTRUN_FAULTS", "4"))
SEED = int(os.environ.get("BRIGHTRUN_FAULT_SEED", "20261123"))
START_SECONDS = 1.2
"""About as long as a new process takes from its claim to the end of its first item."""


def finish(shell: Shell, app: App, job: Job) -> None:
    shell.run("process", job.id)
    assert app.batches.get(job.id).status is JobStatus.COMPLETED


def kill(process: Started) -> None:
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    ("words", "each"), [(("process",), 1), (("work", "--slots", "4"), 8)], ids=["process", "work"]
)
def test_a_shell_killed_in_the_middle_of_an_item_loses_nothing(
    shell: Shell, app: App, api: MessagesApi, witness: Witness, dsn: str, words: tuple[str, ...], each: int
) -> None:
    """Whatever moment kill -9 comes at, the next start goes on and no stored answer is paid for again."""
    chance = random.Random(SEED)
    number = each * TIMES + 6
    job = create(app, witness, number)
    moments: Counter[str] = Counter()
    with psycopg.connect(dsn, autocommit=True) as connection:

        def claims() -> int:
            (found,) = connection.execute("select count(*) from attempts").fetchone() or (0,)
            return int(found)

        for _ in range(TIMES):
            called, claimed = api.journal.arrived, claims()
            process = shell.start(words[0], job.id, *words[1:])
            if chance.random() < 0.5:
                until(lambda claimed=claimed: claims() > claimed, "The shell never claimed.")  # type: ignore[misc]
                time.sleep(chance.uniform(0, START_SECONDS))
            else:
                until(lambda called=called: api.journal.arrived > called, "The shell never called.")  # type: ignore[misc]
                time.sleep(chance.uniform(0, CALL_SECONDS * 1.6))
            before = api.journal.arrived == called
            moments["before the call" if before else "in a call" if api.journal.at_once else "between"] += 1
            kill(process)
            if not app.batches.get(job.id).is_open:
                break
    finish(shell, app, job)
    seen = check(dsn, app, witness, job)
    kills = f"{moments.total()} kills of `{' '.join(words)}` (seed {SEED}): {dict(moments)}"
    print(summary(kills, number, seen))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says whether a worker's process has ended")
@pytest.mark.parametrize("words", [("process",), ("work", "--slots", "4")], ids=["process", "work"])
def test_nobody_waits_for_the_leases_of_a_killed_process(
    home: Path, app: App, api: MessagesApi, witness: Witness, dsn: str, words: tuple[str, ...]
) -> None:
    """Started again after kill -9, a job goes on at once with what was in hand, though its leases last for minutes."""
    shell = Shell(home, DATABASE_URL=dsn, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=api.url)
    job = create(app, witness, 6)
    process = shell.start(words[0], job.id, *words[1:])
    until(lambda: api.journal.at_once > 0, "The shell never called.")
    kill(process)
    assert app.batches.get(job.id).counts.processing > 0
    began = time.monotonic()
    finish(shell, app, job)
    assert time.monotonic() - began < 60 < app.settings.lease_seconds
    check(dsn, app, witness, job)


def test_a_stored_answer_survives_a_kill_before_it_was_recorded(
    shell: Shell, app: App, witness: Witness, dsn: str
) -> None:
    """Killed between the stored answer and the database, an item is completed from what was stored, unpaid."""
    job = create(app, witness, 2)
    item = app.batches.items(job.id, limit=1)[0].id
    with psycopg.connect(dsn) as connection:
        connection.execute("lock table conversations in exclusive mode")  # completing must wait
        process = shell.start("process", job.id)
        until(lambda: waits(dsn), "The shell never came to complete its item.")
        assert witness.stored(item)
        kill(process)
        end_waiting(dsn)  # else the server would go on with what the dead shell had asked for
    assert app.batches.get(job.id).counts.completed == 0
    finish(shell, app, job)
    assert witness.calls[item] == 1, "the stored answer was bought again"
    check(dsn, app, witness, job)


def waits(dsn: str) -> bool:
    """Say whether a connection waits for a lock."""
    waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    with psycopg.connect(dsn) as connection:
        return connection.execute(waiting).fetchone() is not None


def end_waiting(dsn: str) -> None:
    """End every connection that waits for a lock, and wait until they are gone."""
    waiting = "select count(pg_terminate_backend(pid)) from pg_stat_activity"
    waiting += " where datname = current_database() and wait_event_type = 'Lock'"
    with psycopg.connect(dsn, autocommit=True) as connection:
        until(lambda: connection.execute(waiting).fetchone() == (0,), "A connection does not end.")


def test_a_call_in_flight_at_the_kill_is_listed_as_possibly_paid(
    shell: Shell, app: App, api: MessagesApi, witness: Witness, dsn: str
) -> None:
    """A call whose answer nobody received stays on record, with what it may have cost."""
    job = create(app, witness, 2)
    process = shell.start("process", job.id)
    until(lambda: api.journal.at_once > 0, "The shell never called.")
    kill(process)
    finish(shell, app, job)
    seen = check(dsn, app, witness, job)
    assert (seen["calls"], seen["unknown"]) == (3, 1)
    assert app.batches.get(job.id).money.possible > 0


def test_shells_and_threads_on_one_job_write_no_item_twice(
    home: Path, app: App, api: MessagesApi, witness: Witness, dsn: str
) -> None:
    """Two shells and a page's thread share a job: each item is called for exactly once."""
    patient = Shell(home, DATABASE_URL=dsn, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=api.url)
    number = 40
    job = create(app, witness, number)

    def steps() -> None:
        while app.batches.process_next(job.id).job.is_open:
            time.sleep(0.01)

    thread = threading.Thread(target=steps)
    shells = [patient.start("process", job.id) for _ in range(2)]
    until(lambda: api.journal.at_once == 2, "The shells never worked at the same time.")
    thread.start()  # only now: it needs no time to start, and would be done before the shells had
    for process in shells:
        process.communicate(timeout=120)
        assert process.returncode == 0
    thread.join(60)
    assert check(dsn, app, witness, job)["calls"] == number
    assert set(witness.calls.values()) == {1}
    assert api.journal.most_at_once == 3, "they never worked at the same time"


def test_a_killed_database_comes_back_with_every_committed_step(
    home: Path, api: MessagesApi, witness: Witness
) -> None:
    """kill -9 of the embedded server in the middle of a job: it is started again and the job goes on by itself."""
    chance = random.Random(SEED)
    kills = max(2, TIMES // 5)
    settings = Settings(home=home, anthropic_api_key=KEY, anthropic_base_url=api.url, max_attempts=MANY)
    shell = Shell(home, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=api.url, **SHORT)
    app = open_app(settings)
    number = 12 * kills
    job = create(app, witness, number)
    killed = 0
    process = shell.start("process", job.id)
    for time_around in range(kills):
        done = len(once_back(lambda: conversations(app, job)))
        ends = time.monotonic() + 60
        while process.poll() is None and len(once_back(lambda: conversations(app, job))) == done:
            assert time.monotonic() < ends, "Nothing was completed."
            time.sleep(0.005)
        if process.poll() is not None:
            break  # it was done before this process had found the server again
        time.sleep(chance.uniform(0, CALL_SECONDS * 1.6))
        known = once_back(lambda: conversations(app, job))
        os.kill(int((EmbeddedServer(home).cluster / "postmaster.pid").read_text().splitlines()[0]), 9)
        killed += 1
        if time_around == kills - 1:
            kill(process)  # the shell with it, as when the machine goes down
            process = shell.start("process", job.id)
        assert known <= once_back(lambda: conversations(app, job)), "what was committed is gone"
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert killed >= 1
    server = EmbeddedServer(home)
    seen = check(server.acquire(), app, witness, job)
    server.release()
    print(
        summary(
            f"{killed} kills of the embedded database (seed {SEED}), the {kills}th with its shell",
            number,
            seen,
        )
    )
    app.close()


def conversations(app: App, job: Job) -> set[tuple[str, str]]:
    rows = saol.agent_query(app.batches._db, "conversations", where=[("job_id", "eq", job.id)]).rows()
    return {(row["id"], row["item_id"]) for row in rows}
