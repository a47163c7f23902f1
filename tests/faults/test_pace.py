"""A storm of 429: many slots settle at what the server allows, and no item is lost for it.

BRIGHTRUN_STORM_ITEMS says how many items (60 in `make test`), BRIGHTRUN_STORM_LIMIT how many calls a minute.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobStatus, WriterName
from brightrun.services.slots import Rota, Slots
from tests.fakes import options, scenarios
from tests.messages_api import KEY, MessagesApi
from tests.messages_api.allowance import Allowance

ITEMS = int(os.environ.get("BRIGHTRUN_STORM_ITEMS", "60"))
LIMIT = int(os.environ.get("BRIGHTRUN_STORM_LIMIT", "600"))
SLOTS = 16
BURST = 10
SHARE = float(os.environ.get("BRIGHTRUN_STORM_SHARE", "0.5"))
"""The share of the limit that has to be reached: 0.9 on a machine with nothing else to do."""


def opened(tmp_path: Path, name: str, dsn: str, url: str) -> App:
    return open_app(
        Settings(
            home=tmp_path / name,
            database_url=dsn,
            anthropic_api_key=KEY,
            anthropic_base_url=url,
            retry_base=0.1,
            actor="ana",
        )
    )


@pytest.mark.parametrize(
    ("items", "limit", "burst"),
    [(ITEMS, LIMIT, BURST), (3 * ITEMS, 2 * LIMIT, BURST // 2)],
    ids=["a second's worth", "a quarter of it"],
)
def test_many_slots_settle_at_the_servers_limit(
    tmp_path: Path, dsn: str, items: int, limit: int, burst: int
) -> None:
    """As fast as the headers allow, hardly a call turned away, each item written once, whatever the server takes at once."""
    allowance = Allowance(limit, at_once=burst)
    with MessagesApi(seconds=0.05, allowance=allowance) as api:
        app = opened(tmp_path, "home", dsn, api.url)
        try:
            plan = app.planner.plan(scenarios(items), options(WriterName.CLAUDE))
            job = app.batches.create(plan, name="storm", actor="ana")
            began = time.monotonic()
            Slots(app.steps, Rota(app.batches.open_jobs)).run(SLOTS)
            took = time.monotonic() - began
            ended = app.batches.get(job.id)
        finally:
            app.close()
    answered = [each for each in api.requests if each.status == 200]
    reached = (items - burst) / took * 60 / limit
    print(f"{items} items in {took:.1f} s: {reached:.2f} of the limit, {allowance.refused} calls turned away")
    assert ended.status is JobStatus.COMPLETED
    assert (ended.counts.completed, len(answered)) == (items, items)
    assert SHARE <= reached <= 1.1
    learning = SLOTS if burst < limit / 60 else 0  # what no header says has to be met
    assert allowance.refused <= SLOTS + learning + items // 10
