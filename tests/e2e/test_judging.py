"""The judge in the browser: its price first, a batch of verdicts, and what reviewers make of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.review import ConversationFilter, Decision
from tests.e2e.conftest import Site, press, settle
from tests.fakes import scenarios
from tests.messages_api import KEY, MessagesApi
from tests.messages_api.replies import judged, verdict_for

NUMBER = 22


def half_low(prompt: str) -> str:
    """Give every conversation with an even number of letters a low score."""
    turns, _ = judged(prompt)
    is_low = len(str(turns[0]["content"])) % 2 == 0
    return verdict_for(prompt).replace('"score": 4', '"score": 2') if is_low else verdict_for(prompt)


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi(verdict=half_low) as running:
        yield running


@pytest.fixture
def extra_environment(api: MessagesApi) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url}


def test_a_batch_is_judged_and_the_judge_is_held_against_people(
    site: Site, api: MessagesApi, open_tab: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """An analyst sees the price, has a batch judged, reads a verdict with its evidence, and whether to believe it."""
    plan = site.app.planner.plan(scenarios(NUMBER), JobOptions(WriterName.DEMO, "demo", 8000))
    job = site.app.batches.create(plan, name="Errands", actor="ana")
    while site.app.batches.process_next(job.id).job.is_open:
        pass
    page = open_tab(f"batch?job={job.id}")
    press(page.get_by_text("What does Claude make of it?"))
    press(page.get_by_role("button", name="See what judging costs"))
    start = page.get_by_role("button", name=f"Have {NUMBER} conversations judged")
    expect(start).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Expected cost")).to_be_visible()
    assert not api.requests, "the price was bought"
    settle(page)
    shoot(page, "judging-price")
    press(start)
    expect(page.get_by_role("heading", name="Verdicts on Errands")).to_be_visible(timeout=30_000)
    expect(page.get_by_text(f"{NUMBER} of {NUMBER} ended", exact=False).first).to_be_visible(timeout=90_000)
    shoot(page, "judging-batch")
    assert len(api.requests) == NUMBER
    low = site.app.reviews.page(ConversationFilter(job_id=job.id, flag="JUDGED_LOW"), limit=50)
    assert 0 < len(low) < NUMBER
    marked = ConversationFilter(job_id=job.id, flag="JUDGED_LOW")
    site.app.reviews.decide_matching(marked, Decision.REJECTED, reviewer="ben")
    waiting = ConversationFilter(job_id=job.id, status=ConversationStatus.PENDING_REVIEW)
    site.app.reviews.decide_matching(waiting, Decision.APPROVED, reviewer="ben")

    press(page.get_by_role("link", name="Review what it marked"))
    expect(page.locator(".st-key-reader")).to_be_visible(timeout=30_000)
    press(page.get_by_role("tab", name="Score"))
    expect(page.get_by_text("Judged by claude", exact=False)).to_be_visible(timeout=30_000)
    shoot(page, "judging-verdict")
    page.goto(f"{site.url}/insight?show=Judge&job={job.id}")
    expect(page.get_by_text("its verdicts can be believed", exact=False)).to_be_visible(timeout=30_000)
    shoot(page, "judging-kappa")
