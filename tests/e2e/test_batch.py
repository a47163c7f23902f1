"""The page of one batch as it looks while it runs, waits, fails and ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, JobOptions, JobStatus, WriterName
from tests.e2e.conftest import SCHEMES, Site
from tests.fakes import scenarios
from tests.messages_api import KEY, MessagesApi
from tests.messages_api.script import Fault

OpenTab = Callable[..., Page]
Shoot = Callable[[Page, str], None]


@pytest.fixture
def extra_environment(api: MessagesApi) -> dict[str, str]:
    return {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": api.url,
        "BRIGHTRUN_WRITER": "claude",
        "BRIGHTRUN_RETRY_BASE": "0.1",
    }


@pytest.fixture
def shell(site: Site, api: MessagesApi, dsn: str) -> Iterator[App]:
    """The same installation, able to write with the key."""
    settings = Settings(
        home=site.app.settings.home,
        database_url=dsn,
        anthropic_api_key=KEY,
        anthropic_base_url=api.url,
        retry_base=0.05,
        actor="ana",
    )
    opened = open_app(settings)
    yield opened
    opened.close()


def create(app: App, number: int, name: str, *, budget: float | None = None) -> Job:
    options = JobOptions(WriterName.CLAUDE, "claude-sonnet-5-5", 4000, budget=budget)
    return app.batches.create(app.planner.plan(scenarios(number), options), name=name, actor="ana")


def write(app: App, job: Job, until: int | None = None) -> Job:
    """Advance a job until so many items have ended, or as far as it goes."""
    while True:
        step = app.batches.process_next(job.id)
        ended = step.job.counts.completed + step.job.counts.failed
        if not step.job.is_open or (until is not None and ended >= until):
            return step.job
        time.sleep(min(step.again_in, 0.1))


def test_a_batch_says_how_it_goes_in_every_state(
    site: Site, api: MessagesApi, shell: App, open_tab: OpenTab, shoot: Shoot
) -> None:
    """At nothing, in the middle, paused, with failures and completed: figures, chart and errors say what is true."""
    jobs = {
        "start": create(shell, 40, "Not yet begun", budget=5),
        "middle": create(shell, 60, "In the middle", budget=5),
        "paused": create(shell, 30, "Paused by the key"),
        "failed": create(shell, 4, "Nothing written"),
        "completed": create(shell, 40, "All written", budget=5),
    }
    shell.batches.pause(jobs["start"].id, actor="ana")
    api.script.add(Fault("status", at=3, times=2, status=529))
    for at in (9, 20):
        api.script.add(Fault("refusal", at=at, category="cyber", explanation="It asks for an attack."))
    api.script.add(Fault("cut", at=15))
    write(shell, jobs["middle"], until=33)
    shell.batches.pause(jobs["middle"].id, actor="ana", reason="Paused by hand.")
    write(shell, jobs["completed"])
    api.script.add(Fault("text", times=4, message="I would rather not answer in JSON."))
    write(shell, jobs["failed"])
    write(shell, jobs["paused"], until=11)
    api.script.add(Fault("status", times=1, status=401))
    assert write(shell, jobs["paused"]).status is JobStatus.PAUSED

    for scheme in SCHEMES:
        for state, job in jobs.items():
            page = open_tab(f"batch?job={job.id}", scheme=scheme)
            expect(page.get_by_role("heading", name=job.name, exact=True)).to_be_visible()
            expect(
                page.get_by_test_id("stMain").get_by_text("What went wrong", exact=False).last
            ).to_be_visible()
            expect(page.get_by_test_id("stVegaLiteChart").locator("svg, canvas").first).to_be_visible()
            look(page, state)
            shoot(page, f"batch-{state}-{scheme}")
            page.close()


def look(page: Page, state: str) -> None:
    """See what a person would look for in this state."""
    wanted = {
        "start": ("0 of 40 ended", "nothing so far", "Left of it"),
        "middle": (
            "Refusal, cyber · 2 × · ended 2 items",
            "Answer cut · 1 × · ended 1 item",
            "Overloaded · 1 × · ended no item",
        ),
        "paused": ("rejected the key", "11 of 30 ended", "Key rejected · 1 × · ended no item"),
        "failed": ("4 of 4 ended", "Unreadable answer · 4 × · ended 4 items"),
        "completed": ("40 of 40 ended · 100%", "nothing so far"),
    }[state]
    for words in wanted:
        expect(page.get_by_test_id("stMain")).to_contain_text(words)
