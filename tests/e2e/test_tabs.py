"""Tabs that are closed, doubled or joined by a shell: each item is written once, and only while somebody looks."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from brightrun import saol
from brightrun.domain.batch import Job, JobOptions, JobStatus, WriterName
from tests.e2e.conftest import Site, press
from tests.fakes import scenarios
from tests.messages_api import KEY, MessagesApi

OpenTab = Callable[..., Page]
TIMES = int(os.environ.get("BRIGHTRUN_FAULTS", "3"))
CALL_SECONDS = 0.4
SLOW_SECONDS = 4.0
"""So long no batch ends while a slow browser loads its page again and presses a button."""
QUIET_SECONDS = 2.5
"""Longer than two ticks of a page: what had not stopped would have called again."""


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi(seconds=CALL_SECONDS) as running:
        yield running


@pytest.fixture
def extra_environment(api: MessagesApi) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url, "BRIGHTRUN_WRITER": "claude"}


def create(site: Site, number: int) -> Job:
    options = JobOptions(WriterName.CLAUDE, "claude-sonnet-5-5", 8000)
    plan = site.app.planner.plan(scenarios(number), options, template="auto")
    return site.app.batches.create(plan, name="Tabs", actor="ana")


def until(what: Callable[[], bool], message: str, seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, message
        time.sleep(0.02)


def check(site: Site, api: MessagesApi, job: Job) -> None:
    """Every item one call, one attempt, one conversation of its own; nothing queued or stuck."""
    now = site.app.batches.get(job.id)
    total = now.counts.total
    assert now.status is JobStatus.COMPLETED, now
    assert now.counts.completed == total
    assert len(api.requests) == total, "an item was written twice, or not at all"
    db = site.app.batches._db
    attempts = saol.agent_query(db, "attempts", where=[("job_id", "eq", job.id)]).rows()
    assert Counter(a["item_id"] for a in attempts).most_common(1)[0][1] == 1
    assert len(attempts) == total
    items = site.app.batches.items(job.id, limit=total)
    assert len({item.conversation_id for item in items}) == total


def test_closing_the_tab_in_the_middle_of_an_item_loses_nothing(
    site: Site, api: MessagesApi, open_tab: OpenTab
) -> None:
    """A closed tab stops the batch after the item in flight, which is kept; a new tab goes on from there."""
    job = create(site, TIMES + 5)
    for _ in range(TIMES):
        page = open_tab(f"batch?job={job.id}")
        until(lambda: api.journal.at_once > 0, "The open page did not start the batch.")
        page.close()
        until(lambda: api.journal.at_once == 0, "The call did not end.")
    time.sleep(CALL_SECONDS + QUIET_SECONDS)
    calls = len(api.requests)
    time.sleep(QUIET_SECONDS)
    assert len(api.requests) == calls, "The batch went on with nobody watching."
    page = open_tab(f"batch?job={job.id}")
    until(lambda: site.app.batches.get(job.id).status is JobStatus.COMPLETED, "The batch did not end.", 120)
    expect(page.get_by_text("100%").first).to_be_visible()
    check(site, api, job)
    print(f"\n{TIMES} tabs closed in the middle of an item; {len(api.requests)} calls for {TIMES + 5} items")


def test_an_app_that_is_told_to_end_keeps_the_call_that_is_out(
    site: Site, api: MessagesApi, open_tab: OpenTab
) -> None:
    """SIGTERM in the middle of a paid call waits for its answer: it is a conversation, and nothing is in hand."""
    api.seconds = SLOW_SECONDS
    job = create(site, 3)
    open_tab(f"batch?job={job.id}")
    until(lambda: api.journal.at_once > 0, "The open page did not start the batch.")
    os.kill(site.process, signal.SIGTERM)
    until(lambda: site.app.batches.get(job.id).counts.completed > 0, "The answer was lost.")
    counts = site.app.batches.get(job.id).counts
    assert (counts.completed, counts.processing, len(api.requests)) == (1, 0, 1)


def test_two_tabs_and_a_shell_write_no_item_twice(site: Site, api: MessagesApi, open_tab: OpenTab) -> None:
    """Two people watching and one shell on the same batch share its items; none is paid for twice."""
    job = create(site, 24)
    open_tab(f"batch?job={job.id}")
    open_tab(f"batch?job={job.id}")
    until(lambda: api.journal.at_once > 0, "The open pages did not start the batch.")
    shell = site.start_command("process", job.id)
    assert shell.wait(120) == 0
    until(lambda: site.app.batches.get(job.id).status is JobStatus.COMPLETED, "The batch did not end.")
    check(site, api, job)
    assert api.journal.most_at_once >= 2, "The tab and the shell never worked at the same time."


def test_reloading_resumes_a_paused_page_where_it_was(
    site: Site, api: MessagesApi, open_tab: OpenTab
) -> None:
    """Reloading in the middle shows the same batch and goes on; pausing holds, resuming finishes."""
    job = create(site, 6)
    page = open_tab(f"batch?job={job.id}")
    until(lambda: site.app.batches.get(job.id).counts.completed >= 1, "Nothing was written.")
    api.seconds = SLOW_SECONDS
    page.reload()
    press(page.get_by_role("button", name="Pause"))
    until(lambda: site.app.batches.get(job.id).status is JobStatus.PAUSED, "Pausing did not hold.")
    until(lambda: site.app.batches.get(job.id).counts.processing == 0, "The item in flight did not end.")
    calls = len(api.requests)
    api.seconds = CALL_SECONDS
    time.sleep(QUIET_SECONDS)
    assert len(api.requests) == calls
    press(page.get_by_role("button", name="Resume"))
    until(lambda: site.app.batches.get(job.id).status is JobStatus.COMPLETED, "The batch did not end.")
    check(site, api, job)
