"""Reading stored answers again, from the batch's page: free, and a person's word stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest
from playwright.sync_api import Page, expect

from brightrun.domain.batch import JobOptions, JobStatus, StepOutcome, WriterName
from tests.e2e.conftest import Site, press
from tests.fakes import scenarios
from tests.messages_api import KEY, Fault, MessagesApi

OpenTab = Callable[..., Page]


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    faults = [Fault("refusal", at=number, category="frontier_llm") for number in (2, 4)]
    with MessagesApi(faults) as running:
        yield running


@pytest.fixture
def extra_environment(api: MessagesApi) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url, "BRIGHTRUN_WRITER": "claude"}


def test_answers_are_read_again_from_the_page_and_nobody_is_called(
    site: Site, open_tab: OpenTab, api: MessagesApi, dsn: str, shoot: Callable[[Page, str], None]
) -> None:
    """A person presses one button after an update, and sees what came of it; refusals show by category."""
    options = JobOptions(WriterName.CLAUDE, "claude-sonnet-5-5", 8000)
    plan = site.app.planner.plan(scenarios(6), options, template="auto")
    job = site.app.batches.create(plan, name="Written before the update", actor="ana")
    page = open_tab(f"batch?job={job.id}")
    expect(page.get_by_text("completed, 4 written, 2 failed.")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("frontier_llm")).to_be_visible()
    calls = len(api.requests)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update conversations set quality_score = 1")
    press(page.get_by_role("button", name="Read answers again…"))
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Free: nothing is called.")).to_be_visible()
    press(dialog.get_by_role("button", name="Read them again"))
    expect(page.get_by_text("4 conversations scored anew, 2 still of no use.")).to_be_visible()
    shoot(page, "reparse")
    assert len(api.requests) == calls
    assert site.app.batches.get(job.id).status is JobStatus.COMPLETED
    assert StepOutcome.DONE is site.app.batches.process_next(job.id).outcome
