"""Real processes killed in the middle of an item: nothing lost, doubled or stuck, nothing paid for twice.

BRIGHTRUN_FAULTS says how often (4 in `make test`, 50 in `make faults`), BRIGHTRUN_FAULT_SEED when exactly.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import psycopg
import pytest

from brightrun import saol
from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import ItemStatus, Job, JobStatus, WriterName
from brightrun.domain.errors import DatabaseFault
from brightrun.saol.server.launcher import EmbeddedServer
from tests.fakes import options, scenarios
from tests.messages_api import KEY, Fault, MessagesApi
from tests.messages_api.script import Script
from tests.shell import Shell

T = TypeVar("T")

TIMES = int(os.environ.get("BRIGHTRUN_FAULTS", "4"))
SEED = int(os.environ.get("BRIGHTRUN_FAULT_SEED", "20261123"))
CALL_SECONDS = 0.25
START_SECONDS = 1.2
"""About as long as a new process takes from its claim to the end of its first item."""
SHORT = {"BRIGHTRUN_CALL_TIMEOUT": "1.0", "BRIGHTRUN_LEASE_MARGIN": "0.5"}
"""What a killed process held is free again soon."""
MANY = 20
"""Tries an item gets: the same one may be hit often, and is not to be given up as a poison item."""


class Witness(Script):
    """Notes each call by its item, and whether an answer for that item was stored when it came."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.item_of: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.too_late: list[str] = []

    def next(self, number: int, prompt: str) -> Fault | None:
        found = re.search(r"Book a table for \d+ people", prompt)
        assert found, prompt
        item = self.item_of[found[0]]
        self.calls[item] += 1
        if self.stored(item):
            self.too_late.append(item)
        return super().next(number, prompt)

    def stored(self, item: str) -> list[Path]:
        return sorted(self.folder.glob(f"raw/*/{item}-*.json"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def witness(home: Path) -> Witness:
    return Witness(home / "buckets" / "conversation-files")


@pytest.fixture
def api(witness: Witness) -> Iterator[MessagesApi]:
    with MessagesApi(witness, seconds=CALL_SECONDS) as running:
        yield running


@pytest.fixture
def shell(home: Path, dsn: str, api: MessagesApi) -> Shell:
    return Shell(home, DATABASE_URL=dsn, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=api.url, **SHORT)


@pytest.fixture
def app(home: Path, dsn: str, api: MessagesApi) -> Iterator[App]:
    opened = open_app(
        Settings(
            home=home,
            database_url=dsn,
            anthropic_api_key=KEY,
            anthropic_base_url=api.url,
            actor="ana",
            max_attempts=MANY,
        )
    )
    yield opened
    opened.close()


def create(app: App, witness: Witness, number: int) -> Job:
    plan = app.planner.plan(scenarios(number), options(WriterName.CLAUDE))
    job = app.batches.create(plan, name="Under fire", actor="ana")
    for item in app.batches.items(job.id, limit=number):
        found = re.search(r"Book a table for \d+ people", item.scenario.variables["scenario"])
        assert found
        witness.item_of[found[0]] = item.id
    return job


def finish(shell: Shell, app: App, job: Job) -> None:
    shell.run("process", job.id)
    assert app.batches.get(job.id).status is JobStatus.COMPLETED


def check(dsn: str, app: App, witness: Witness, job: Job) -> dict[str, int]:
    """Every promise of the failure model, read from the rows, the files and the server's journal."""
    total = job.counts.total
    items = app.batches.items(job.id, limit=total)
    assert Counter(item.status for item in items) == {ItemStatus.COMPLETED: total}, "lost or stuck"
    assert len({item.conversation_id for item in items}) == total, "doubled"
    with psycopg.connect(dsn) as connection:

        def rows(query: LiteralString) -> list[tuple[Any, ...]]:
            return connection.execute(query, [job.id]).fetchall()

        linked = rows(
            "select count(*) from batch_items i join conversations c on c.id = i.conversation_id"
            " and c.item_id = i.id where i.job_id = %s"
        )
        written = rows("select count(*) from conversations where job_id = %s")
        endings = rows(
            "select item_id, count(*) from job_log where job_id = %s"
            " and message like '%%completed (conversation%%' group by 1"
        )
        ledger = rows(
            "select item_id::text, outcome, count(*)::int from attempts where job_id = %s group by 1, 2"
        )
    assert linked == written == [(total,)], "a conversation without its item, or an item without its own"
    assert [times for _, times in endings] == [1] * total, "an item that ended twice"
    assert not witness.too_late, f"called again although an answer was stored: {witness.too_late}"
    outcomes: Counter[str] = Counter()
    paid: Counter[str] = Counter()
    for item, outcome, number in ledger:
        outcomes[outcome] += number
        paid[item] += number if outcome in ("stored", "failed", "unknown") else 0
    assert outcomes["started"] == 0, "an attempt whose end nobody wrote down"
    assert outcomes["stored"] == total
    for item in items:
        assert len(witness.stored(item.id)) == 1
        assert 1 <= witness.calls[item.id] <= paid[item.id], "a call that the ledger does not list"
    return {"calls": sum(witness.calls.values()), **outcomes}


def summary(kills: str, total: int, seen: dict[str, int]) -> str:
    return (
        f"\n{kills}; {total} of {total} items completed once; {seen['calls']} calls: {seen['stored']} stored,"
        f" {seen.get('unknown', 0)} attempts listed as possibly paid, {seen.get('skipped', 0)} resumed from a"
        " stored answer, 0 calls after one"
    )


def until(what: Callable[[], bool], message: str, seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, message
        time.sleep(0.005)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_shell_killed_in_the_middle_of_an_item_loses_nothing(
    shell: Shell, app: App, api: MessagesApi, witness: Witness, dsn: str
) -> None:
    """Whatever moment kill -9 comes at, the next start goes on and no stored answer is paid for again."""
    chance = random.Random(SEED)
    number = TIMES + 6
    job = create(app, witness, number)
    moments: Counter[str] = Counter()
    with psycopg.connect(dsn, autocommit=True) as connection:

        def claims() -> int:
            (found,) = connection.execute("select count(*) from attempts").fetchone() or (0,)
            return int(found)

        for _ in range(TIMES):
            called, claimed = api.journal.arrived, claims()
            process = shell.start("process", job.id)
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
    kills = f"{moments.total()} kills of a shell (seed {SEED}): {dict(moments)}"
    print(summary(kills, number, seen))


def test_a_stored_answer_survives_a_kill_before_it_was_recorded(
    shell: Shell, app: App, witness: Witness, dsn: str
) -> None:
    """Killed between the stored answer and the database, an item is completed from what was stored, unpaid."""
    job = create(app, witness, 2)
    item = app.batches.items(job.id, limit=1)[0].id
    with psycopg.connect(dsn) as connection:
        connection.execute("lock table conversations in exclusive mode")  # completing must wait
        process = shell.start("process", job.id)
        until(lambda: bool(witness.stored(item)), "No answer was stored.")
        time.sleep(0.1)
        kill(process)
    assert app.batches.get(job.id).counts.completed == 0
    finish(shell, app, job)
    assert witness.calls[item] == 1, "the stored answer was bought again"
    check(dsn, app, witness, job)


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
    job = create(app, witness, 20)

    def steps() -> None:
        while app.batches.process_next(job.id).job.is_open:
            time.sleep(0.01)

    thread = threading.Thread(target=steps)
    shells = [patient.start("process", job.id) for _ in range(2)]
    thread.start()
    for process in shells:
        process.communicate(timeout=120)
        assert process.returncode == 0
    thread.join(60)
    assert check(dsn, app, witness, job)["calls"] == 20
    assert set(witness.calls.values()) == {1}
    assert api.journal.most_at_once >= 2, "they never worked at the same time"


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


def once_back(read: Callable[[], T], seconds: float = 60) -> T:
    """Read as soon as the server has been started again; a connection may still be dying with the old one."""
    ends = time.monotonic() + seconds
    while True:
        try:
            return read()
        except DatabaseFault as fault:
            if not fault.is_transient or time.monotonic() > ends:
                raise
            time.sleep(0.05)


def conversations(app: App, job: Job) -> set[tuple[str, str]]:
    rows = saol.agent_query(app.batches._db, "conversations", where=[("job_id", "eq", job.id)]).rows()
    return {(row["id"], row["item_id"]) for row in rows}
