"""Every error status the API has, once and for ever, with every kind of retry-after.

The whole table runs in `make test` as in `make faults`; it takes seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from llmock.pytest_plugin import LLMock

from brightrun.domain.batch import ItemStatus, Job, JobStatus, StepOutcome
from brightrun.services.generation import RATE_LIMIT_PATIENCE, RETRY_CAP_SECONDS
from tests.faults.conftest import FULL
from tests.faults.road import BEYOND_SECONDS, Road, opened
from tests.messages_api import Fault, MessagesApi, Script

ITEMS = 2
ATTEMPTS = 5
DATE_SECONDS = 60

PAUSED = {401: "key_rejected", 402: "spend_limit", 403: "no_access", 404: "model_not_found"}
FAILED = {
    400: "invalid_request",
    412: "http_412",
    413: "too_large",
    422: "invalid_request",
    499: "http_499",
}
ASKED_AGAIN = {
    408: "http_408",
    409: "http_409",
    429: "rate_limited",
    500: "http_500",
    501: "http_501",
    503: "http_503",
    504: "http_504",
    529: "overloaded",
}
WAITS = ("none", "1", "3600", "date", "garbage") if FULL else ("none", "3600", "garbage")
TIMES = {"once": 1, "for ever": None}


@pytest.fixture
def road(tmp_path: Path, dsn: str) -> Iterator[Road]:
    with MessagesApi() as api, opened(tmp_path, dsn, api, call_timeout=10, max_attempts=ATTEMPTS) as road:
        yield road
        assert road.slowest < BEYOND_SECONDS, "a step was held up"
        print(f"\n{len(api.requests)} calls, slowest step {road.slowest:.2f} s")


@pytest.mark.parametrize("status", PAUSED)
def test_what_concerns_the_account_pauses_the_job(road: Road, status: int) -> None:
    """A refused key, purse or model is one message for the whole job: nothing fails, nothing is called again."""
    for times in TIMES:
        for wait in WAITS:
            job = meet(road, status, times, wait)
            before = len(road.api.requests)
            assert road.step(job).outcome is StepOutcome.PAUSED
            assert [road.step(job).outcome for _ in range(3)] == [StepOutcome.PAUSED] * 3
            assert len(road.api.requests) - before == 1
            paused = road.app.batches.get(job.id)
            assert (paused.status, paused.counts.queued, paused.counts.failed) == (JobStatus.PAUSED, ITEMS, 0)
            assert paused.pause_reason
            assert ledger(road, job) == [("failed", PAUSED[status])]
            resumed_again_and_again(road, job, times)


def resumed_again_and_again(road: Road, job: Job, times: str) -> None:
    """A person may resume as often as they like: it costs one call each, and no attempt."""
    for _ in range(ATTEMPTS + 1):
        before = len(road.api.requests)
        road.app.batches.resume(job.id, actor="ana")
        ended = road.run(job)
        if times == "once":
            assert ended.counts.completed == ITEMS
            return
        assert (ended.status, ended.counts.failed) == (JobStatus.PAUSED, 0)
        assert len(road.api.requests) - before == 1


@pytest.mark.parametrize("status", FAILED)
def test_what_concerns_the_request_fails_its_item(road: Road, status: int) -> None:
    """A request that will never be accepted is made once: its item fails with the reason, the others go on."""
    for times in TIMES:
        for wait in WAITS:
            job = meet(road, status, times, wait)
            before = len(road.api.requests)
            ended = road.run(job)
            failed = ITEMS if times == "for ever" else 1
            assert len(road.api.requests) - before == ITEMS
            assert (ended.counts.failed, ended.counts.completed) == (failed, ITEMS - failed)
            assert codes(road, job) == [FAILED[status]] * failed
            assert ledger(road, job)[:failed] == [("failed", FAILED[status])] * failed
            assert not road.waits


@pytest.mark.parametrize("status", ASKED_AGAIN)
def test_what_may_pass_is_asked_again_later(road: Road, status: int) -> None:
    """The wait stands in the item's row, never in the step; what does not pass ends by the attempts there are."""
    for times in TIMES:
        for wait in WAITS:
            job = meet(road, status, times, wait)
            before = len(road.api.requests)
            ended = road.run(job)
            calls = len(road.api.requests) - before
            most = ATTEMPTS + (RATE_LIMIT_PATIENCE if status == 429 else 0)
            if times == "once":
                assert (ended.status, calls) == (JobStatus.COMPLETED, ITEMS + 1)
                assert len(road.waits) == 1
            else:
                assert (ended.status, calls) == (JobStatus.FAILED, ITEMS * most)
                assert codes(road, job) == [ASKED_AGAIN[status]] * ITEMS
                (first, *_) = road.app.batches.items(job.id)
                assert f"Given up after {most} attempts; retry later." in (first.error_message or "")
                assert [entry for entry in ledger(road, job) if entry[0] != "failed"] == []
            check_waits(road, wait)
            assert ended.money.possible == ended.money.reserved == 0


def check_waits(road: Road, wait: str) -> None:
    """Hold each wait against what the server asked for: never shorter, never above the cap, hardly longer."""
    asked = {"none": 0, "1": 1, "3600": RETRY_CAP_SECONDS, "date": DATE_SECONDS, "garbage": 0}[wait]
    for attempts, seconds in road.waits:
        longest = max(asked, 0.01 * 2 ** min(attempts, 16)) * 1.25
        assert asked - BEYOND_SECONDS < seconds <= min(longest, RETRY_CAP_SECONDS)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("You have reached your specified API usage limits.", "spend_limit"),
        ("Your credit balance is too low to access the Claude API.", "spend_limit"),
    ],
)
def test_a_usage_limit_that_only_the_text_names_pauses_the_job(road: Road, message: str, code: str) -> None:
    """Some 400s are about money: they pause the job as 402 does."""
    road.api.script = Script([Fault("status", status=400, message=message, times=None)])
    job = road.create(ITEMS)
    assert road.run(job).status is JobStatus.PAUSED
    assert ledger(road, job) == [("failed", code)]


def test_an_unknown_model_offers_those_there_are(road: Road) -> None:
    """The reason of the pause names the models that the key can use."""
    road.api.script = Script([Fault("status", status=404, type="not_found_error", times=None)])
    paused = road.run(road.create(ITEMS))
    assert "claude-haiku-5-5" in (paused.pause_reason or "")


def meet(road: Road, status: int, times: str, wait: str) -> Job:
    """Create a job whose calls meet this status."""
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=DATE_SECONDS), usegmt=True)
    after = {"none": None, "date": date, "garbage": "soon, \x7f maybe"}.get(wait, wait)
    fault = Fault("status", status=status, times=TIMES[times], retry_after=after)
    road.api.script = Script([fault])
    road.waits.clear()
    return road.create(ITEMS)


def codes(road: Road, job: Job) -> list[str | None]:
    return [item.error_code for item in road.app.batches.items(job.id, status=ItemStatus.FAILED)]


def ledger(road: Road, job: Job) -> list[tuple[str, str]]:
    """Return outcome and error of every attempt, in order; each has ended and holds no reserve."""
    rows = road.rows(
        "select outcome, error_code, ended_at is not null and reserved_usd = 0 and possible_usd = 0"
        " from attempts where job_id = %s order by started_at, number",
        job,
    )
    assert all(ended for *_, ended in rows)
    return [(outcome, code) for outcome, code, _ in rows]


def test_another_makers_server_finds_no_fault_with_the_retries(
    tmp_path: Path, dsn: str, llmock: LLMock
) -> None:
    """llmock judges a whole job, with real waits: no retry-after is ignored, nothing final is tried again."""
    turns = [{"role": "user", "content": "A table?"}, {"role": "assistant", "content": "Gladly."}]
    llmock.reply(json.dumps({"turns": turns}), times=None)
    settings = {"anthropic_api_key": "llmock-test-key", "anthropic_base_url": llmock.base_url("anthropic")}
    with MessagesApi() as api, opened(tmp_path, dsn, api, call_timeout=10, **settings) as road:
        job = road.create(4)
        counted = len(llmock.requests)  # what the estimate asked before the job was made
        for status, wait in ((429, 1.0), (529, 1.0), (500, None), (400, None), (413, None)):
            llmock.fail(status, retry_after=wait)
        while (step := road.app.batches.process_next(job.id)).job.is_open:
            time.sleep(min(step.again_in, 0.2))
    assert (step.job.counts.completed, step.job.counts.failed) == (2, 2)
    assert len(llmock.requests) - counted == 7
    llmock.assert_resilient(strict=True)
