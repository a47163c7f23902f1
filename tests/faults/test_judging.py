"""A judge's worker that is killed: no stored verdict is bought again, and none is lost or told twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus, WriterName
from brightrun.domain.review import ConversationFilter
from tests.fakes import options, scenarios
from tests.faults.ledger import run
from tests.faults.test_points import GONE_ON, PAID_TWICE, Point, expire, kill_at
from tests.messages_api import MessagesApi
from tests.opened import claude_app

POINTS = [
    Point("before the call", "", 1, PAID_TWICE),
    Point("after the call", "", 2, PAID_TWICE),
    Point("named store raw", "", 1, GONE_ON),
    Point("before complete_item", "", 1, GONE_ON),
    Point("after complete_item", "", 1),
]


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi() as running:
        yield running


@pytest.fixture
def app(tmp_path: Path, dsn: str, api: MessagesApi) -> Iterator[App]:
    with claude_app(tmp_path, dsn, api, retry_base=0.05) as opened:
        yield opened


def judging(app: App) -> Job:
    plan = app.planner.plan(scenarios(1), options())
    job = run(app, app.batches.create(plan, name="Written", actor="ana"))
    chosen = ConversationFilter(job_id=job.id)
    return app.judging.start(app.judging.plan(chosen, options(WriterName.CLAUDE)), name="J", actor="ana")


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_killed_judge_goes_on_from_the_answer_it_stored(
    point: Point, app: App, api: MessagesApi, dsn: str, tmp_path: Path
) -> None:
    """Wherever it died there is one verdict in the end, and what may have been paid for twice is on record."""
    job = judging(app)
    kill_at(point, job, dsn, tmp_path, api)
    expire(dsn)
    assert run(app, job).status is JobStatus.COMPLETED
    with psycopg.connect(dsn) as connection:
        ledger = connection.execute(
            "select outcome from attempts where job_id = %s order by number", [job.id]
        ).fetchall()
        verdicts = connection.execute("select count(*) from verdicts").fetchone()
    assert tuple(outcome for (outcome,) in ledger) == point.ledger
    assert verdicts == (1,)
    assert len(api.requests) == point.calls
