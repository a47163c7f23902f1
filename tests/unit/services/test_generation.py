"""What a fault of the writer leads to: for the item, for its job, and for the money."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, LiteralString

import psycopg
import pytest

from brightrun.bootstrap import App, open_app
from brightrun.domain.batch import Item, ItemStatus, Job, JobStatus, StepOutcome, WriterName
from brightrun.domain.errors import WriterBusy, WriterDeclined, WriterUncertain, WriterUnreachable
from brightrun.domain.writing import Answer, RawAnswer
from brightrun.services.generation import RATE_LIMIT_PATIENCE, RETRY_CAP_SECONDS
from tests.fakes import Act, ScriptedWriter, envelope, options

Start = Callable[..., Job]

DECLINED = WriterDeclined("Prompt too long.", code="too_large", status=413)
CUT = envelope('{"turns": [{"role": "user", "con', "max_tokens")


def refusal(category: str | None) -> object:
    return envelope("", "refusal", stop_details={"category": category, "explanation": "Not this."})


def run(app: App, job: Job, *, most: int = 200) -> Job:
    """Advance a job until it ends or pauses."""
    for _ in range(most):
        step = app.batches.process_next(job.id)
        if step.outcome in (StepOutcome.DONE, StepOutcome.PAUSED):
            return step.job
        time.sleep(min(step.again_in, 0.05))
    raise AssertionError(f"not ended after {most} steps: {step}")


def hurry(app: App, job: Job, dsn: str) -> Job:
    """Advance until the job ends or is paused, waiting for nothing."""
    while True:
        step = app.batches.process_next(job.id)
        fetch(dsn, "update batch_items set next_attempt_at = null returning id")
        fetch(dsn, "update batch_jobs set next_attempt_at = null returning id")
        if not step.job.is_open:
            return step.job


def fetch(dsn: str, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query, values).fetchall()


def body(data: bytes) -> Act:
    return lambda order: RawAnswer(data, "req_test", 0.01)


def first(app: App, job: Job) -> Item:
    return app.batches.items(job.id, limit=1)[0]


class TestSlowDown:
    def test_one_rate_limit_lets_the_whole_job_wait(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """What the API says of one call holds for all: no item of the job is called before."""
        writer._acts = [WriterBusy("Slow down.", code="rate_limited", status=429, retry_after=60)]
        job = start(3)
        limited = app.batches.process_next(job.id).job
        for _ in range(3):
            assert app.batches.process_next(job.id).outcome is StepOutcome.WAIT
        assert writer.calls == 1
        assert limited.next_attempt_at
        assert limited.started_at
        wait = limited.next_attempt_at - limited.started_at
        assert timedelta(seconds=60) <= wait <= timedelta(seconds=80)

    def test_a_long_wait_is_capped(self, app: App, start: Start, writer: ScriptedWriter) -> None:
        """A server that says an hour is asked again after a quarter of one."""
        writer._acts = [WriterBusy("Slow down.", code="rate_limited", status=429, retry_after=3600)]
        limited = app.batches.process_next(start(1).id).job
        assert limited.next_attempt_at
        assert limited.started_at
        assert limited.next_attempt_at - limited.started_at < timedelta(seconds=905)

    def test_every_job_of_the_model_waits_with_it(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """The limit is the model's: its other jobs wait a minute at most, and those of another model do not."""
        writer._acts = [WriterBusy("Slow down.", code="rate_limited", status=429, retry_after=600)]
        same, another = start(2), start(2, options(WriterName.CLAUDE, model="claude-haiku-5-5"))
        app.batches.process_next(start(2).id)
        step = app.batches.process_next(same.id)
        assert step.outcome is StepOutcome.WAIT
        assert step.job.next_attempt_at
        assert step.job.next_attempt_at - step.job.created_at < timedelta(seconds=120)
        assert run(app, another).status is JobStatus.COMPLETED

    def test_resuming_by_hand_ends_the_wait(self, app: App, start: Start, writer: ScriptedWriter) -> None:
        """A person who pauses and resumes wants it tried now."""
        writer._acts = [WriterBusy("Slow down.", code="rate_limited", status=429, retry_after=60)]
        job = start(2)
        app.batches.process_next(job.id)
        app.batches.pause(job.id, actor="ana")
        app.batches.resume(job.id, actor="ana")
        assert run(app, job).counts.completed == 2


class TestCircuit:
    def test_failures_in_a_row_pause_the_job_and_name_the_error(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """A fault that hits every item hits five of them, not two hundred; resuming starts a new row."""
        writer._acts = [DECLINED] * 8
        job = run(app, start(10))
        assert (job.status, job.counts.failed, job.counts.queued) == (JobStatus.PAUSED, 5, 5)
        assert "5 items failed in a row" in (job.pause_reason or "")
        assert "Prompt too long" in (job.pause_reason or "")
        app.batches.resume(job.id, actor="ana")
        ended = run(app, job)
        assert (ended.status, ended.counts.failed, ended.counts.completed) == (JobStatus.COMPLETED, 8, 2)

    def test_a_completed_item_ends_the_row(self, app: App, start: Start, writer: ScriptedWriter) -> None:
        """Failures that stand alone are each item's own."""
        writer._acts = [DECLINED, DECLINED, DECLINED, DECLINED, None] * 2
        job = run(app, start(10))
        assert (job.status, job.counts.failed) == (JobStatus.COMPLETED, 8)

    def test_refusals_in_a_row_pause_the_job_and_are_counted_by_category(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """A template that the model will not write is noticed after three paid refusals, with its category."""
        acts = [refusal("frontier_llm"), refusal("cyber"), refusal("frontier_llm")]
        writer._acts = acts  # type: ignore[assignment]
        job = run(app, start(6))
        assert (job.status, job.counts.failed) == (JobStatus.PAUSED, 3)
        assert "declined 3 items in a row" in (job.pause_reason or "")
        assert app.batches.refusals(job.id) == {"frontier_llm": 2, "cyber": 1}

    def test_another_failure_ends_a_row_of_refusals(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """Only refusals that follow each other say that the template is at fault."""
        writer._acts = [refusal(None), refusal(None), DECLINED, refusal(None), None]  # type: ignore[list-item]
        job = run(app, start(5))
        assert job.status is JobStatus.COMPLETED
        assert app.batches.refusals(job.id) == {"": 3}

    def test_the_last_item_ends_the_job_instead_of_pausing_it(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """A row that ends with the job leaves nothing to be kept from it."""
        writer._acts = [DECLINED] * 5
        assert run(app, start(5)).status is JobStatus.FAILED

    def test_poison_items_in_a_row_pause_the_job_too(self, app: App, start: Start, dsn: str) -> None:
        """Items that take their worker down are failures like others."""
        job = start(7)
        app.batches.process_next(job.id)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("update batch_items set crashes = 9 where status = 'queued'")
            for _ in range(6):
                connection.execute("select claim_item(%s, 'gone', -1)", [job.id])
        paused = app.batches.get(job.id)
        assert (paused.status, paused.counts.failed) == (JobStatus.PAUSED, 5)
        assert "vanished 10 times" in (paused.pause_reason or "")


class TestMoney:
    def test_a_cut_answer_is_bought_once_more_where_that_was_allowed(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """The option buys one more answer, not one after the other."""
        writer._acts = [CUT, CUT, CUT]
        job = run(app, start(1, options(WriterName.CLAUDE, retry_cut=True)))
        assert (job.status, writer.calls) == (JobStatus.FAILED, 2)
        assert job.money.spent == pytest.approx(0.014)
        assert "cut" in (first(app, job).error_message or "")

    def test_the_second_answer_may_be_whole(self, app: App, start: Start, writer: ScriptedWriter) -> None:
        """What was cut by chance becomes a conversation; both answers are paid and on record."""
        writer._acts = [CUT]
        job = run(app, start(1, options(WriterName.CLAUDE, retry_cut=True)))
        assert (job.status, job.money.spent) == (JobStatus.COMPLETED, pytest.approx(0.014))

    @pytest.mark.parametrize("act", [envelope("{}", usage=None), body(b"<html>")])
    def test_an_answer_that_does_not_say_what_it_used_counts_as_possibly_paid(
        self, app: App, start: Start, writer: ScriptedWriter, act: object
    ) -> None:
        """An unknown cost is not nothing: what was reserved stays counted against the budget."""
        writer._acts = [act]  # type: ignore[list-item]
        job = run(app, start(1, options(WriterName.CLAUDE, budget=1.0)))
        assert job.money.spent == 0
        assert job.money.possible > 0
        assert job.money.reserved == 0

    def test_a_retry_by_hand_gives_an_uncertain_call_its_two_more_tries_again(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """What happened before a person looked does not count against what they asked for."""
        writer._acts = [WriterUncertain("Timed out.", code="timeout")] * 5
        job = run(app, start(1, options(WriterName.CLAUDE)))
        assert writer.calls == 3
        app.batches.retry_failed(job.id, actor="ana")
        assert run(app, job).status is JobStatus.COMPLETED
        assert writer.calls == 6
        assert app.batches.items(job.id, status=ItemStatus.COMPLETED)


class TestUselessAnswers:
    def test_an_unreadable_answer_is_kept_and_not_bought_again(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str
    ) -> None:
        """Bytes that are no message fail their item, stay as they came, and may have cost the worst case."""
        writer._acts = [body(b"<html>502</html>")]
        job = run(app, start(1, options(WriterName.CLAUDE)))
        assert (first(app, job).error_code, writer.calls) == ("unreadable_answer", 1)
        ((possible, path),) = fetch(dsn, "select possible_usd, raw_path from attempts")
        assert float(possible) == job.money.possible > 0
        assert app.enrichment.document(path) == b"<html>502</html>"

    def test_retrying_an_unreadable_answer_asks_again(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """A person who retries is not led back to the same useless bytes."""
        writer._acts = [body(b"null")]
        job = run(app, start(1, options(WriterName.CLAUDE)))
        app.batches.retry_failed(job.id, actor="ana")
        assert run(app, job).status is JobStatus.COMPLETED
        assert writer.calls == 2

    def test_an_unreadable_answer_left_by_a_vanished_worker_is_not_bought_again(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str
    ) -> None:
        """Until it has been judged, a stored answer stands, whatever it holds."""

        class Gone(BaseException):
            """Stands for kill -9: nothing in the package catches it."""

        def vanish(stored: bytes) -> Answer:
            raise Gone

        job, read = start(1, options(WriterName.CLAUDE)), writer.read
        writer._acts = [body(b"null")]
        writer.read = vanish  # type: ignore[method-assign]
        with pytest.raises(Gone):
            app.batches.process_next(job.id)
        writer.read = read  # type: ignore[method-assign]
        fetch(dsn, "update batch_items set lease_until = now() - interval '1 s' returning id")
        assert run(app, job).counts.failed == 1
        assert writer.calls == 1

    def test_the_ledger_says_why_a_model_declined(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str
    ) -> None:
        """Category and explanation stand in columns of their own, as the database can hold them."""
        details = {"type": "refusal", "category": "frontier_llm", "explanation": "It may train\0 a rival."}
        writer._acts = [envelope("", "refusal", stop_details=details)]
        job = run(app, start(1, options(WriterName.CLAUDE)))
        assert "frontier_llm" in (first(app, job).error_message or "")
        query: LiteralString = "select stop_reason, refusal_category, refusal_explanation from attempts"
        assert fetch(dsn, query) == [("refusal", "frontier_llm", "It may train a rival.")]

    def test_what_the_database_will_never_take_fails_its_item(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """A refused conversation does not hold its item until the lease runs out, again and again."""
        read = writer.read
        writer.read = lambda stored: replace(read(stored), model="a\0b")  # type: ignore[method-assign]
        job = run(app, start(2, options(WriterName.CLAUDE)))
        assert (job.counts.failed, job.counts.processing, writer.calls) == (2, 0, 2)
        assert first(app, job).error_code == "not_storable"
        assert "Unicode" in (first(app, job).error_message or "")
        assert job.money.spent == pytest.approx(0.014)


class TestWaits:
    def test_a_rate_limit_without_end_ends(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str
    ) -> None:
        """A limit gives attempts back for hours; after that they count, and the item fails with what to do."""
        limit = WriterBusy("Slow down.", code="rate_limited", status=429, retry_after=1.0)
        writer._acts = [limit] * 99
        job = hurry(app, start(1), dsn)
        assert (job.status, writer.calls) == (JobStatus.FAILED, RATE_LIMIT_PATIENCE + 5)
        assert "Given up after 25 attempts; retry later." in (first(app, job).error_message or "")

    def test_a_line_that_is_down_pauses_the_job_and_fails_nothing(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str
    ) -> None:
        """What does not get through holds the whole job back, then pauses it; resumed, it goes on as if nothing was."""
        down = WriterUnreachable("Claude could not be reached.", remedy="Go online.", code="unreachable")
        writer._acts = [down]
        job = start(3)
        assert app.batches.process_next(job.id).job.next_attempt_at is not None
        fetch(dsn, "update batch_jobs set next_attempt_at = null returning id")
        writer._acts = [down] * 99
        job = hurry(app, job, dsn)
        assert (job.status, job.counts.failed, job.counts.queued) == (JobStatus.PAUSED, 0, 3)
        assert job.pause_reason == (
            "Claude could not be reached. Go online. Then resume the job: nothing has failed of it."
        )
        writer._acts = []
        app.batches.resume(job.id, actor="ana")
        assert hurry(app, job, dsn).counts.completed == 3

    @pytest.mark.parametrize("fault", [WriterBusy, WriterUncertain])
    @pytest.mark.parametrize(("asked", "attempts"), [(3600.0, 0), (None, 0), (30.0, 0), (None, 5000)])
    def test_no_wait_is_shorter_than_asked_or_longer_than_a_quarter_of_an_hour(
        self,
        app: App,
        start: Start,
        writer: ScriptedWriter,
        dsn: str,
        fault: type[WriterBusy],
        asked: float | None,
        attempts: int,
    ) -> None:
        """The wait stands in the item's row, by the database's clock, however many attempts went before."""
        writer._acts = [fault("Later.", code="x", status=503, retry_after=asked)]
        job = start(1)
        query: LiteralString = "update batch_items set attempts = %s, refunds = %s returning id"
        fetch(dsn, query, attempts, attempts)
        app.batches.process_next(job.id)
        ((seconds,),) = fetch(
            dsn, "select extract(epoch from next_attempt_at - clock_timestamp())::float8 from batch_items"
        )
        assert min(asked or 0, RETRY_CAP_SECONDS) - 5 < seconds <= RETRY_CAP_SECONDS


def test_a_process_without_a_key_pauses_the_job_and_fails_nothing(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """Claude's job on a machine without Claude's key says which key is missing; with one it goes on."""
    job = start(3, options(WriterName.CLAUDE))
    keyless = open_app(app.settings)
    paused = run(keyless, job)
    keyless.close()
    assert (paused.status, paused.counts.queued, paused.counts.failed) == (JobStatus.PAUSED, 3, 0)
    assert "ANTHROPIC_API_KEY" in (paused.pause_reason or "")
    app.batches.resume(job.id, actor="ana")
    ended = run(app, job)
    assert (ended.status, ended.money.possible, writer.calls) == (JobStatus.COMPLETED, 0, 3)
