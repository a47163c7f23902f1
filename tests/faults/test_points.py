"""A worker that kills itself at each named point of the step: every point ends as the failure model says.

All points run in `make faults`, each in a step alone and through slots, every fifth in `make test`; BRIGHTRUN_FAULTS tells them apart.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import ItemStatus, Job, JobStatus, WriterName
from tests.fakes import options, scenarios
from tests.faults.conftest import FULL
from tests.faults.ledger import run
from tests.messages_api import Fault, MessagesApi
from tests.opened import claude_app
from tests.shell import start_warm

CALL_SECONDS = 0.3
LONG_SECONDS = 30.0
"""A call that is still out when its worker has been killed."""


@dataclass(frozen=True)
class Point:
    """Where the worker dies, what it leaves behind, and what the next worker makes of that."""

    name: str
    left: str
    """The item's status, the attempt's outcome and where the answer lies, after the death."""
    calls: int = 1
    """All calls made in the end."""
    ledger: tuple[str, ...] = ("stored",)
    """The outcomes of the attempts in the end."""
    fault: Fault | None = None
    store_down: bool = False
    ends: ItemStatus = ItemStatus.COMPLETED

    def __str__(self) -> str:
        return f"{self.name}{' (store down)' if self.store_down else ''}{f' ({self.fault.kind})' if self.fault else ''}"


GONE_ON = ("stored", "skipped")
PAID_TWICE = ("unknown", "stored")
BUSY = Fault("status", status=529, at=1)
CUT = Fault("cut", at=1)
POINTS = [
    Point("before claim_item", "queued - nowhere"),
    Point("after claim_item", "processing started nowhere", 1, PAID_TWICE),
    Point("before the call", "processing started nowhere", 1, PAID_TWICE),
    Point("in the call", "processing started nowhere", 2, PAID_TWICE),
    Point("after the call", "processing started nowhere", 2, PAID_TWICE),
    Point("before store raw", "processing started nowhere", 2, PAID_TWICE),
    Point("written store raw", "processing started nowhere", 2, PAID_TWICE),
    Point("named store raw", "processing started store", 1, GONE_ON),
    Point("after store raw", "processing started store", 1, GONE_ON),
    Point("before spool", "processing started nowhere", 2, PAID_TWICE, store_down=True),
    Point("written spool", "processing started nowhere", 2, PAID_TWICE, store_down=True),
    Point("named spool", "processing started spool", 1, GONE_ON, store_down=True),
    Point("after spool", "processing started spool", 1, GONE_ON, store_down=True),
    Point("before settle_item", "processing started spool", 1, GONE_ON, store_down=True),
    Point("after settle_item", "queued stored spool", 1, GONE_ON, store_down=True),
    Point("before parsing", "processing started store", 1, GONE_ON),
    Point("after parsing", "processing started store", 1, GONE_ON),
    Point("before store final", "processing started store", 1, GONE_ON),
    Point("after store final", "processing started store", 1, GONE_ON),
    Point("after store enriched", "processing started store", 1, GONE_ON),
    Point("before complete_item", "processing started store", 1, GONE_ON),
    Point("after complete_item", "completed stored store"),
    Point("before log", "completed stored store"),
    Point("after log", "completed stored store"),
    Point("before settle_item", "processing started nowhere", 2, PAID_TWICE, fault=BUSY),
    Point("after settle_item", "queued failed nowhere", 2, ("failed", "stored"), fault=BUSY),
    Point("before settle_item", "processing started store", 1, GONE_ON, fault=CUT, ends=ItemStatus.FAILED),
    Point("after settle_item", "failed stored store", fault=CUT, ends=ItemStatus.FAILED),
]


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi(seconds=CALL_SECONDS) as running:
        yield running


@pytest.fixture
def app(tmp_path: Path, dsn: str, api: MessagesApi) -> Iterator[App]:
    with claude_app(tmp_path, dsn, api, retry_base=0.05) as opened:
        yield opened


@pytest.mark.parametrize(
    ("point", "slots"),
    list(product(POINTS, (0, 1))) if FULL else [*product(POINTS[2::10], [0]), *product(POINTS[7::10], [1])],
    ids=str,
)
def test_a_worker_killed_at_a_named_point_leaves_what_the_next_one_can_go_on_from(
    point: Point, slots: int, app: App, api: MessagesApi, dsn: str, tmp_path: Path
) -> None:
    """Whatever the step was doing when it died, the item ends once, and no stored answer is paid for again."""
    if point.fault:
        api.script.add(point.fault)
    plan = app.planner.plan(scenarios(1), options(WriterName.CLAUDE))
    job = app.batches.create(plan, name="Killed", actor="ana")
    api.seconds = LONG_SECONDS if point.name == "in the call" else CALL_SECONDS
    kill_at(point, job, dsn, tmp_path, api, slots=slots)
    api.seconds = CALL_SECONDS
    assert left_behind(dsn, tmp_path) == point.left
    expire(dsn)
    if app.batches.get(job.id).status is JobStatus.PAUSED:
        app.batches.resume(job.id, actor="ana")
    ended = run(app, job)
    (item,) = app.batches.items(job.id)
    assert item.status is point.ends
    assert ended.status is (JobStatus.COMPLETED if point.ends is ItemStatus.COMPLETED else JobStatus.FAILED)
    assert api.journal.arrived == point.calls
    with psycopg.connect(dsn) as connection:
        ledger = connection.execute(
            "select outcome, possible_usd > 0, cost_usd > 0 from attempts order by number"
        ).fetchall()
        conversations = connection.execute("select count(*) from conversations").fetchone()
    assert tuple(outcome for outcome, _, _ in ledger) == point.ledger
    assert all(possible == (outcome == "unknown") for outcome, possible, _ in ledger)
    assert all(cost == (outcome == "stored") for outcome, _, cost in ledger)
    assert conversations == ((1,) if point.ends is ItemStatus.COMPLETED else (0,))
    assert ended.money.reserved == 0
    assert not stray(tmp_path / "spool"), "an answer was left in the spool"
    log = (tmp_path / "buckets" / "batch-logs" / job.id / "log.txt").read_text()
    assert "Batch job complete" in log.splitlines()[-1]


def kill_at(point: Point, job: Job, dsn: str, home: Path, api: MessagesApi, *, slots: int = 0) -> None:
    """Let a worker process run until it kills itself at the point."""
    words = [point.name, job.id, "--dsn", dsn, "--home", str(home), "--url", api.url, "--slots", str(slots)]
    if point.store_down:
        words.append("--store-down")
    said = home / "said.txt"
    process = start_warm("tests.faults.dying", *words, environment=os.environ, out=said, err=said)
    assert process.wait(60) == -signal.SIGKILL, said.read_text()


def left_behind(dsn: str, home: Path) -> str:
    """Return the item's status, its attempt's outcome and where its answer lies."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select i.status, coalesce(a.outcome, '-') from batch_items i left join attempts a on a.item_id = i.id"
        ).fetchone()
    assert row
    places = [name for name, folder in (("store", "buckets"), ("spool", "spool")) if stray(home / folder)]
    return f"{row[0]} {row[1]} {' '.join(places) or 'nowhere'}"


def stray(folder: Path) -> list[Path]:
    """Return the raw answers below a folder; what has no name yet is no object."""
    return sorted(folder.glob("conversation-files/raw/*/[!.]*.json"))


def expire(dsn: str) -> None:
    """Let the dead worker's lease run out."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update batch_items set lease_until = clock_timestamp() - interval '1 s' where status = 'processing'"
        )
