"""People reload, close tabs, walk away and cancel in the middle of a paid call: no answer that arrived is lost.

`make e2e` does it a few times and leaves speed alone; `make interruptions INTERRUPTIONS=100 SEED=1` does it as often
as one likes and holds Cancel to a second; KINDS=cancel does one kind alone.
"""

from __future__ import annotations

import os
import random
import statistics
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
TIMES = int(os.environ.get("BRIGHTRUN_INTERRUPTIONS", "4"))
SEED = int(os.environ.get("BRIGHTRUN_SEED", "20261124"))
CALL_SECONDS = 2.0
CANCEL_SECONDS = float(os.environ.get("BRIGHTRUN_CANCEL_SECONDS", "30"))
"""Within which a click on Cancel must be in the database; generous where other work keeps the machine busy."""
KINDS = (os.environ.get("BRIGHTRUN_KINDS") or "reload,close,leave,cancel").split(",")
NOTE_CLICKS = "document.addEventListener('click', () => { window.clickedAt = Date.now(); }, true)"


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi(seconds=CALL_SECONDS) as running:
        yield running


@pytest.fixture
def extra_environment(api: MessagesApi) -> dict[str, str]:
    return {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url, "BRIGHTRUN_WRITER": "claude"}


class Reader:
    """Somebody who has a batch open and never lets it run in peace."""

    def __init__(self, site: Site, api: MessagesApi, open_tab: OpenTab, dice: random.Random) -> None:
        self.site, self.api, self.dice, self._open_tab = site, api, dice, open_tab
        self.jobs: list[Job] = []
        self.done: Counter[str] = Counter()
        self.in_flight = 0
        self.cancels: list[float] = []
        self.shown: list[float] = []
        self.page: Page | None = None

    def interrupt(self, kind: str) -> None:
        """Open the batch where it is not open, wait for a call to be under way, and break in."""
        page = self.page or self._open()
        if kind == "cancel":
            self._ask_to_cancel(page)
        wait_for(lambda: self.api.journal.at_once > 0, "The open page made no call.")
        time.sleep(self.dice.uniform(0, CALL_SECONDS * 0.4))
        wait_for(lambda: self.api.journal.at_once > 0, "The open page made no call.")
        getattr(self, f"_{kind}")(page)
        self.in_flight += self.api.journal.at_once > 0
        self.done[kind] += 1

    def finish(self) -> None:
        """Let the call in flight end, with nobody watching, and cancel what is left."""
        if self.page:
            self.page.close()
        wait_for(lambda: self.api.journal.at_once == 0, "The last call did not end.")
        if self.jobs:
            self.site.app.batches.cancel(self.jobs[-1].id, actor="ana")
        wait_for(lambda: all(self._is_over(job) for job in self.jobs), "An item is still in flight.")

    def _is_over(self, job: Job) -> bool:
        return self.site.app.batches.get(job.id).counts.processing == 0

    def _open(self) -> Page:
        if not self.jobs or not self.site.app.batches.get(self.jobs[-1].id).is_open:
            options = JobOptions(WriterName.CLAUDE, "claude-sonnet-5-5", 4000)
            plan = self.site.app.planner.plan(scenarios(400), options)
            self.jobs.append(self.site.app.batches.create(plan, name=f"No {len(self.jobs)}", actor="ana"))
        self.page = self._open_tab(self._address())
        return self.page

    def _address(self) -> str:
        return f"batch?job={self.jobs[-1].id}"

    def _reload(self, page: Page) -> None:
        page.reload(wait_until="commit")

    def _close(self, page: Page) -> None:
        page.close()
        self.page = None

    def _leave(self, page: Page) -> None:
        name = self.dice.choice(["Review", "Batches", "Templates", "New batch"])
        press(page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True))
        expect(page.get_by_role("heading", name=name, exact=True, level=1)).to_be_visible()
        page.goto(f"{self.site.url}/{self._address()}")

    def _ask_to_cancel(self, page: Page) -> None:
        page.get_by_role("button", name="Cancel…").click()
        expect(page.get_by_role("button", name="Cancel the batch")).to_be_visible()

    def _cancel(self, page: Page) -> None:
        """Time Cancel from the click's own event to the row; browser and test read the same clock."""
        job = self.jobs[-1]
        page.evaluate(NOTE_CLICKS)
        page.get_by_role("button", name="Cancel the batch").click()
        wait_for(
            lambda: self.site.app.batches.get(job.id).status is JobStatus.CANCELLED, "Cancel did not arrive."
        )
        obeyed = time.time()
        self.cancels.append(obeyed - page.evaluate("window.clickedAt") / 1000)
        expect(page.get_by_text("Cancelled", exact=False).first).to_be_visible(timeout=30_000)
        self.shown.append(time.time() - page.evaluate("window.clickedAt") / 1000)
        self._close(page)


def test_a_question_stays_open_while_the_batch_goes_on_beneath_it(
    site: Site, api: MessagesApi, open_tab: OpenTab, shoot: Callable[[Page, str], None]
) -> None:
    """The first written conversation draws the page anew; whoever is about to answer must not lose the dialog."""
    plan = site.app.planner.plan(scenarios(40), JobOptions(WriterName.CLAUDE, "claude-sonnet-5-5", 4000))
    job = site.app.batches.create(plan, name="Harbour", actor="ana")
    page = open_tab(f"batch?job={job.id}")
    page.get_by_role("button", name="Cancel…").click()
    gone = page.get_by_role("button", name="Cancel the batch")
    expect(gone).to_be_visible()
    wait_for(lambda: site.app.batches.get(job.id).counts.completed >= 2, "Nothing was written.")
    expect(page.get_by_role("link", name="Review what it wrote")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_text("conversations already written")).to_be_visible()
    expect(gone).to_be_visible()
    shoot(page, "batch-cancel-question")
    page.keyboard.press("Escape")
    expect(gone).to_have_count(0)
    wait_for(lambda: site.app.batches.get(job.id).counts.completed >= 5, "Nothing more was written.")
    expect(gone).to_have_count(0)
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Keep it").click()
    expect(gone).to_have_count(0)
    assert site.app.batches.get(job.id).is_open
    page.get_by_role("button", name="Cancel…").click()
    gone.click()
    expect(page.get_by_text("The batch is cancelled.")).to_be_visible()
    expect(gone).to_have_count(0)


def wait_for(what: Callable[[], bool], message: str, seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, message
        time.sleep(0.01)


def check_every_answer(reader: Reader) -> int:
    """Hold the server's journal against ledger, files and conversations; returns how many answers there were."""
    db, folder = reader.site.app.batches._db, reader.site.app.settings.home / "buckets" / "conversation-files"
    answered = {f"req_{call.number:06}" for call in reader.api.requests if call.status == 200}
    assert len(answered) == len(reader.api.requests)
    attempts = [
        row
        for job in reader.jobs
        for row in saol.agent_query(db, "attempts", where=[("job_id", "eq", job.id)]).rows()
    ]
    assert {row["request_id"] for row in attempts} == answered, (
        "an answer arrived that the ledger does not know"
    )
    assert {row["outcome"] for row in attempts} == {"stored"}
    assert len(attempts) == len(answered) == len({row["item_id"] for row in attempts}), (
        "an item was called twice"
    )
    assert all((folder / row["raw_path"]).is_file() for row in attempts), "an answer was not kept"
    for job in reader.jobs:
        counts = reader.site.app.batches.get(job.id).counts
        assert counts.completed + counts.cancelled == counts.total, counts
    assert sum(reader.site.app.batches.get(job.id).counts.completed for job in reader.jobs) == len(answered)
    return len(answered)


def test_every_answer_that_arrives_is_kept_whatever_people_do(
    site: Site, api: MessagesApi, open_tab: OpenTab
) -> None:
    """F5, a closed tab, another page and Cancel in the middle of a call lose no answer, and Cancel is obeyed at once."""
    dice = random.Random(SEED)
    kinds = [KINDS[n % len(KINDS)] for n in range(TIMES)]
    dice.shuffle(kinds)
    reader = Reader(site, api, open_tab, dice)
    for kind in kinds:
        reader.interrupt(kind)
    reader.finish()
    answers = check_every_answer(reader)
    print(
        f"\n{TIMES} interruptions (seed {SEED}): {dict(reader.done)}, a call in flight right after"
        f" {reader.in_flight}; {answers} answers arrived, {answers} kept, none called for twice"
    )
    if not reader.cancels:
        return
    print(
        f"Cancel in the database after {statistics.median(reader.cancels) * 1000:.0f} ms (median),"
        f" {max(reader.cancels) * 1000:.0f} ms (longest of {len(reader.cancels)}), on the page after"
        f" {statistics.median(reader.shown) * 1000:.0f} ms (median), {max(reader.shown) * 1000:.0f} ms (longest)"
    )
    assert max(reader.cancels) < CANCEL_SECONDS, sorted(reader.cancels)
