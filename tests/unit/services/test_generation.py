"""What a fault of the writer leads to: for the item, for its job, and for the money."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Item, ItemStatus, Job, JobStatus, StepOutcome, WriterName
from brightrun.domain.errors import WriterBusy, WriterDeclined, WriterUncertain
from tests.fakes import ScriptedWriter, envelope, options

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

    def test_another_job_does_not_wait(self, app: App, start: Start, writer: ScriptedWriter) -> None:
        """The wait is the job's own; the other one finds out for itself."""
        writer._acts = [WriterBusy("Slow down.", code="rate_limited", status=429, retry_after=60)]
        app.batches.process_next(start(2).id)
        assert run(app, start(2)).status is JobStatus.COMPLETED

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

    @pytest.mark.parametrize("act", [envelope("{}", usage=None), lambda order: _raw(b"<html>")])
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


def _raw(body: bytes) -> object:
    from brightrun.domain.writing import RawAnswer

    return RawAnswer(body, "req_test", 0.01)
