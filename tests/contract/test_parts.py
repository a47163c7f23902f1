"""Overnight jobs over both transports: the same states, the same dollars."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobStatus, WriterName
from brightrun.domain.part import Delivery, PartStatus
from tests.fakes import options, scenarios
from tests.gateway import Gateway
from tests.messages_api import KEY, MessagesApi
from tests.storage_api import SECRET_KEY, StorageApi

NIGHT = options(WriterName.CLAUDE, delivery=Delivery.OVERNIGHT)
QUICK: dict[str, float] = {
    "call_timeout": 0.2,
    "lease_margin": 0.3,
    "overnight_look": 0.05,
    "retry_base": 0.01,
}


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi() as running:
        running.batches.ends_after = 2
        yield running


@pytest.fixture(params=["postgres", "supabase"])
def app(request: pytest.FixtureRequest, dsn: str, tmp_path: Path, api: MessagesApi) -> Iterator[App]:
    claude = {"anthropic_api_key": KEY, "anthropic_base_url": api.url, "overnight_part": 3, "actor": "ana"}
    if request.param == "postgres":
        opened = open_app(Settings(home=tmp_path, database_url=dsn, **claude, **QUICK))  # type: ignore[arg-type]
        yield opened
        opened.close()
        return
    with StorageApi() as storage, Gateway(dsn, storage_url=storage.url) as gateway:
        road = {"supabase_url": gateway.url, "supabase_secret_key": SECRET_KEY}
        opened = open_app(Settings(home=tmp_path, **road, **claude, **QUICK))  # type: ignore[arg-type]
        yield opened
        opened.close()


def test_a_night_is_the_same_over_both_roads(app: App, api: MessagesApi) -> None:
    """One part's hand-over gets no answer and an item expires: everything is there in the morning, paid once."""
    expired: list[str] = []

    def fate(item: str, prompt: str) -> str:
        if expired:
            return "succeeded"
        expired.append(item)
        return "expired"

    api.batches.fates = fate
    api.batches.loses = 1
    job = app.batches.create(app.planner.plan(scenarios(7), NIGHT), name="Night", actor="ana")
    ends = time.monotonic() + 30
    while job.is_out and time.monotonic() < ends:
        job = app.batches.process_next(job.id).job
        time.sleep(0.02)
    assert (job.status, job.counts.completed) == (JobStatus.COMPLETED, 7)
    assert set(api.batches.written.values()) == {1}
    assert job.money.possible == job.money.reserved == 0
    parts = app.parts.of_job(job.id)
    assert [part.status for part in parts] == [PartStatus.CLOSED] * len(parts)
    assert len(parts) == 4
    assert app.batches.page()[0].options.delivery is Delivery.OVERNIGHT
