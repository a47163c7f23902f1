"""A job in preview over both transports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import JobStatus, StepOutcome
from brightrun.domain.errors import AlreadyDone
from tests.contract.hosted import opened_hosted
from tests.fakes import options, scenarios


@pytest.fixture
def app(dsn: str, tmp_path: Path) -> Iterator[App]:
    with opened_hosted(dsn, tmp_path) as opened:
        yield opened


def test_a_preview_is_adjusted_and_started_on_a_hosted_database(app: App) -> None:
    """Over PostgREST the preview stops, the rest is adjusted and started as on the embedded database."""
    plan = app.planner.plan(scenarios(3), options())
    job = app.batches.create(plan, name="hosted", actor="ana", preview=1)
    while app.batches.process_next(job.id).outcome is not StepOutcome.PAUSED:
        pass
    assert app.batches.page(limit=1)[0].preview == 1
    assert app.previews.adjust(app.previews.plan_rest(job.id, variables={"mood": "calm"}), actor="ana") == 2
    app.previews.start(job.id, actor="ana")
    with pytest.raises(AlreadyDone, match="by ana at"):
        app.previews.start(job.id, actor="ben")
    while app.batches.process_next(job.id).outcome is not StepOutcome.DONE:
        pass
    done = app.batches.get(job.id)
    assert (done.status, done.counts.completed) == (JobStatus.COMPLETED, 3)
