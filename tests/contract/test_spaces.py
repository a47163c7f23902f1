"""What has become of scenarios, asked over both transports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from tests.contract.hosted import opened_hosted
from tests.fakes import options


@pytest.fixture(params=["postgres", "supabase"])
def app(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> Iterator[App]:
    if request.param == "postgres":
        opened = open_app(Settings(home=tmp_path, database_url=dsn, actor="ana"))
        yield opened
        opened.close()
        return
    with opened_hosted(dsn, tmp_path) as opened:
        yield opened


def test_the_state_of_a_scenario_is_known_everywhere(app: App, dsn: str) -> None:
    """Whichever road leads to the database: waiting, written, rejected and emptied are told alike."""
    axes = app.scenarios.axes()
    persona, topic = axes.personas[0].persona_key, axes.topics[0].topic_key
    scenario, quoted = app.spaces.choose(
        app.spaces.space(
            {"persona": [persona], "topic": [topic], "mood": ["calm", "it's “tense”, \\ {or} not\n🙂"]}
        )
    ).scenarios
    job = app.batches.create(app.planner.plan([scenario, quoted], options()), name="one", actor="ana")
    marks = [scenario.fingerprint(), quoted.fingerprint()]
    assert [app.spaces.states([scenario, quoted])[mark].waiting for mark in marks] == [1, 1]
    while app.batches.get(job.id).is_open:
        app.batches.process_next(job.id)
    assert [app.spaces.states([scenario, quoted])[mark].is_taken for mark in marks] == [True, True]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update public.conversations c set status = 'rejected' from public.batch_items i"
            " where i.id = c.item_id and i.fingerprint = %s",
            [quoted.fingerprint()],
        )
    assert app.spaces.emptied() == app.spaces.emptied(job.id) == [quoted]
    assert app.spaces.states([quoted])[quoted.fingerprint()].is_taken is False
