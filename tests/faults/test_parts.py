"""A worker that kills itself at each step of an overnight job: whatever it was doing, every item is paid once.

All points run in `make faults`, every ninth in `make test`; BRIGHTRUN_FAULTS tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus, WriterName
from brightrun.domain.part import Delivery
from tests.fakes import options, scenarios
from tests.faults.conftest import FULL
from tests.faults.dying import PART_ITEMS
from tests.faults.test_points import Point, kill_at
from tests.messages_api import MessagesApi
from tests.opened import claude_app

ITEMS = 10
MOST_STEPS = 300
POINTS = [
    "before open_part",
    "after open_part",
    "before prepare_part",
    "after prepare_part",
    "before the hand-over",
    "after the hand-over",
    "before send_part",
    "after send_part",
    "before take_part",
    "after take_part",
    "before a look",
    "before put_part_off",
    "after put_part_off",
    "before part_claims",
    "before the results",
    "result 1",
    "written store raw",
    "named store raw",
    "after parsing",
    "after store final",
    "before complete_item",
    "after complete_item",
    "result 3",
    "before settle_item",
    "after settle_item",
    "before close_part",
    "after close_part",
]


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi() as running:
        seen: set[str] = set()

        def fate(item: str, prompt: str) -> str:
            """Let every third item expire once, so that the queue has something again."""
            is_new = item not in seen
            seen.add(item)
            return "expired" if is_new and len(seen) % 3 == 0 else "succeeded"

        running.batches.ends_after = 2
        running.batches.fates = fate
        yield running


@pytest.fixture
def app(tmp_path: Path, dsn: str, api: MessagesApi) -> Iterator[App]:
    with claude_app(tmp_path, dsn, api, overnight_part=PART_ITEMS) as opened:
        yield opened


@pytest.mark.parametrize("point", POINTS if FULL else POINTS[::9], ids=str)
def test_a_worker_killed_in_the_night_costs_nothing_twice(
    point: str, app: App, api: MessagesApi, dsn: str, tmp_path: Path
) -> None:
    """The next one finds what was handed over, collects it, and buys nothing that was bought."""
    job = ordered(app)
    kill_at(Point(point, ""), job, dsn, tmp_path, api)
    ended = finished(app, job, dsn)
    check(app, api, ended, dsn)


def test_a_job_survives_one_kill_after_the_other(
    app: App, api: MessagesApi, dsn: str, tmp_path: Path
) -> None:
    """Killed at the hand-over, with its answer lost, at a look and among the results, it still ends whole and paid once."""
    job = ordered(app)
    for point in ("after the hand-over", "before send_part", "before a look", "result 1"):
        kill_at(Point(point, ""), job, dsn, tmp_path, api)
        forget(dsn)
    check(app, api, finished(app, job, dsn), dsn)


def ordered(app: App) -> Job:
    plan = app.planner.plan(scenarios(ITEMS), options(WriterName.CLAUDE, delivery=Delivery.OVERNIGHT))
    return app.batches.create(plan, name="Night", actor="ana")


def forget(dsn: str) -> None:
    """Let the dead worker's leases run out, and every wait be over."""
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute(
            "update batch_parts set lease_until = now() - interval '1 s', next_look_at = next_look_at - interval '1 day'"
        )
        sql.execute("update batch_items set next_attempt_at = null where status = 'queued'")


def finished(app: App, job: Job, dsn: str) -> Job:
    for _ in range(MOST_STEPS):
        forget(dsn)
        job = app.batches.process_next(job.id).job
        if not job.is_out:
            return job
    raise AssertionError(f"It does not end: {job}")


def check(app: App, api: MessagesApi, job: Job, dsn: str) -> None:
    assert (job.status, job.counts.completed) == (JobStatus.COMPLETED, ITEMS)
    assert set(api.batches.written.values()) == {1}, "an item was bought twice"
    assert len(api.batches.written) == ITEMS
    assert api.requests == [], "an item was written at the full price"
    with psycopg.connect(dsn) as sql:
        ledger = sql.execute(
            "select sum(cost_usd), sum(possible_usd), sum(reserved_usd), "
            "count(*) filter (where outcome = 'stored') from attempts"
        ).fetchone()
        conversations = sql.execute("select count(*), count(distinct item_id) from conversations").fetchone()
        parts = sql.execute("select count(*) from batch_parts where status <> 'closed'").fetchone()
    assert ledger
    assert (float(ledger[0]), float(ledger[1]), float(ledger[2])) == pytest.approx((job.money.spent, 0, 0))
    assert ledger[3] == ITEMS
    assert conversations == (ITEMS, ITEMS)
    assert parts == (0,)
