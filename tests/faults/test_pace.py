"""A storm of 429: many slots settle at what the server allows, and no item is lost for it.

BRIGHTRUN_STORM_ITEMS says how many items (60 in `make test`), BRIGHTRUN_STORM_LIMIT how many calls a minute.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

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


def test_many_slots_settle_at_the_servers_limit(tmp_path: Path, dsn: str) -> None:
    """Calls leave as fast as the server's headers allow, hardly any is turned away, and every item is written once."""
    allowance = Allowance(LIMIT, at_once=BURST)
    with MessagesApi(seconds=0.05, allowance=allowance) as api:
        app = opened(tmp_path, "home", dsn, api.url)
        try:
            plan = app.planner.plan(scenarios(ITEMS), options(WriterName.CLAUDE))
            job = app.batches.create(plan, name="storm", actor="ana")
            began = time.monotonic()
            Slots(app.steps, Rota(app.batches.open_jobs)).run(SLOTS)
            took = time.monotonic() - began
            ended = app.batches.get(job.id)
        finally:
            app.close()
    answered = [each for each in api.requests if each.status == 200]
    reached = (ITEMS - BURST) / took * 60 / LIMIT
    print(f"{ITEMS} items in {took:.1f} s: {reached:.2f} of the limit, {allowance.refused} calls turned away")
    assert ended.status is JobStatus.COMPLETED
    assert (ended.counts.completed, len(answered)) == (ITEMS, ITEMS)
    assert SHARE <= reached <= 1.1
    assert allowance.refused <= SLOTS + ITEMS // 10
