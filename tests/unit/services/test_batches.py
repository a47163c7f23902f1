"""What a batch promises to the person who started it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Item, ItemStatus, Job, JobStatus, Step, StepOutcome, WriterName
from brightrun.domain.errors import (
    InvalidInput,
    NotAllowed,
    NotFound,
    WriterBusy,
    WriterDeclined,
    WriterRejected,
    WriterUncertain,
)
from brightrun.domain.ids import CHOOSE_FOR_ME, JobId
from brightrun.domain.review import ConversationFilter
from tests.fakes import ScriptedWriter, envelope, options, scenarios

Start = Callable[..., Job]
ENDED = (StepOutcome.DONE, StepOutcome.PAUSED)


def run(app: App, job: Job, *, most: int = 200) -> Job:
    """Advance a job until it ends or pauses."""
    for _ in range(most):
        step = app.batches.process_next(job.id)
        if step.outcome in ENDED:
            return step.job
        time.sleep(min(step.again_in, 0.05))
    raise AssertionError(f"not ended after {most} steps: {step}")


def item(app: App, job: Job, position: int = 1) -> Item:
    return app.batches.items(job.id, limit=50)[position - 1]


def fetch(dsn: str, query: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query, values).fetchall()


class TestTheMainRoad:
    def test_a_job_goes_from_queued_through_processing_to_completed(self, app: App, start: Start) -> None:
        """The status a person sees moves forward, one item a step, and ends at 100 %."""
        job = start(2)
        assert (job.status, job.counts.share) == (JobStatus.QUEUED, 0.0)
        first = app.batches.process_next(job.id)
        assert (first.outcome, first.job.status, first.job.counts.share) == (
            StepOutcome.COMPLETED,
            JobStatus.PROCESSING,
            0.5,
        )
        second = app.batches.process_next(job.id)
        assert (second.job.status, second.job.counts.share) == (JobStatus.COMPLETED, 1.0)
        assert app.batches.process_next(job.id).outcome is StepOutcome.DONE

    def test_an_item_points_at_the_primary_key_of_its_conversation(
        self, app: App, start: Start, dsn: str
    ) -> None:
        """Fault 1: the foreign key never holds the business key."""
        job = run(app, start(3))
        rows = fetch(
            dsn,
            "select i.conversation_id, c.id, c.conversation_id from batch_items i"
            " left join conversations c on c.id = i.conversation_id where i.job_id = %s",
            job.id,
        )
        assert len(rows) == 3
        assert all(stored == primary and stored != business for stored, primary, business in rows)

    def test_the_database_refuses_a_business_key_as_the_foreign_key(
        self, app: App, start: Start, dsn: str
    ) -> None:
        """Fault 1: even a person's own SQL cannot link an item by the business key."""
        job = run(app, start(1))
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            fetch(
                dsn,
                "update batch_items i set conversation_id = c.conversation_id from conversations c"
                " where c.item_id = i.id and i.job_id = %s returning 1",
                job.id,
            )

    def test_every_answer_lies_in_the_bucket_raw_final_and_enriched(self, app: App, start: Start) -> None:
        """Whatever a conversation came from and became can be read again."""
        job = run(app, start(1))
        conversation_id = item(app, job).conversation_id
        assert conversation_id
        conversation = app.reviews.read(conversation_id)
        for path in (conversation.raw_path, conversation.final_path, conversation.enriched_path):
            assert path
            assert app.enrichment.document(path)

    def test_the_log_lies_in_its_bucket_when_the_job_ends(self, app: App, start: Start) -> None:
        """Fault 25: the log is rendered from rows, with its closing line."""
        job = run(app, start(2))
        path = app.settings.home / "buckets" / "batch-logs" / job.id / "log.txt"
        lines = path.read_text().splitlines()
        assert sum("completed (conversation" in line for line in lines) == 2
        assert lines[-1].endswith("Batch job complete - 2 successful, 0 failed")

    def test_the_log_says_which_call_a_line_is_about(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """Item, attempt, error, request id, tokens and price stand on the line, for whoever asks the vendor."""
        busy = WriterBusy("Overloaded.", code="overloaded", status=529, request_id="req_busy")
        writer._acts = [busy]
        job = run(app, start(1, options(WriterName.CLAUDE)))
        _, retried, completed, ended = app.batches.log_text(job.id).splitlines()
        assert "(item 1, attempt 1, overloaded, request req_busy, " in retried
        assert "(item 1, attempt 2, request req_test, 1000 + 500 tokens, " in completed
        assert completed.endswith(" s, $0.0070)")
        assert ended.endswith("1 successful, 0 failed")

    def test_a_template_of_all_zeros_is_chosen_and_the_choice_explained(self, app: App, start: Start) -> None:
        """A person who leaves the template open can see which one was taken and why."""
        job = start(1)
        assert job.template_id == CHOOSE_FOR_ME
        assert item(app, job).template_choice


class TestCounters:
    def test_cancelling_keeps_what_was_completed(self, app: App, start: Start) -> None:
        """Fault 16: successes are still counted after a cancel."""
        job = start(5)
        app.batches.process_next(job.id)
        cancelled = app.batches.cancel(job.id, actor="ana")
        assert (cancelled.counts.completed, cancelled.counts.cancelled) == (1, 4)
        assert cancelled.counts.total == 5

    def test_the_item_in_flight_is_kept_but_does_not_revive_a_cancelled_job(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """Fault 16: a late finisher keeps its paid answer and leaves the job cancelled."""
        job = start(3)
        seen = threading.Event()
        go_on = threading.Event()
        writer._acts = [lambda order: (seen.set(), go_on.wait(10), writer._demo.write(order))[2]]
        worker = threading.Thread(target=app.batches.process_next, args=(job.id,))
        worker.start()
        assert seen.wait(10)
        app.batches.cancel(job.id, actor="ana")
        go_on.set()
        worker.join(10)
        ended = app.batches.get(job.id)
        assert ended.status is JobStatus.CANCELLED
        assert (ended.counts.completed, ended.counts.cancelled, ended.counts.processing) == (1, 2, 0)

    def test_a_second_cancel_changes_nothing_and_an_ended_job_refuses(self, app: App, start: Start) -> None:
        """Cancelling twice is harmless; cancelling what is completed is refused with the reason."""
        job = start(1)
        app.batches.cancel(job.id, actor="ana")
        assert app.batches.cancel(job.id, actor="ana").status is JobStatus.CANCELLED
        done = run(app, start(1))
        with pytest.raises(NotAllowed, match="completed"):
            app.batches.cancel(done.id, actor="ana")

    def test_a_job_is_not_over_while_an_item_is_in_flight(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """Fault 18: with nothing queued but one item processing, the job goes on."""
        job = start(1)
        seen = threading.Event()
        go_on = threading.Event()
        writer._acts = [lambda order: (seen.set(), go_on.wait(10), writer._demo.write(order))[2]]
        worker = threading.Thread(target=app.batches.process_next, args=(job.id,))
        worker.start()
        assert seen.wait(10)
        step = app.batches.process_next(job.id)
        assert (step.outcome, step.job.status) == (StepOutcome.WAIT, JobStatus.PROCESSING)
        go_on.set()
        worker.join(10)
        assert app.batches.get(job.id).status is JobStatus.COMPLETED

    def test_started_at_is_set_once(self, app: App, start: Start) -> None:
        """Fault 19: pausing and resuming does not restart the clock."""
        job = start(3)
        started = app.batches.process_next(job.id).job.started_at
        app.batches.pause(job.id, actor="ana")
        app.batches.resume(job.id, actor="ana")
        assert app.batches.process_next(job.id).job.started_at == started

    def test_a_paused_job_hands_out_nothing(self, app: App, start: Start, writer: ScriptedWriter) -> None:
        """Fault 20: pause is honoured."""
        job = start(2)
        app.batches.pause(job.id, actor="ana")
        assert app.batches.process_next(job.id).outcome is StepOutcome.PAUSED
        assert writer.calls == 0

    def test_stop_on_error_stops(self, app: App, start: Start, writer: ScriptedWriter) -> None:
        """Fault 20: a job that was told to stop at an error pauses there, and says why."""
        writer._acts = [WriterDeclined("Bad request.", code="bad_request", status=400)]
        job = run(app, start(3, options(stop_on_error=True)))
        assert (job.status, job.counts.failed, job.counts.queued) == (JobStatus.PAUSED, 1, 2)
        assert "Bad request" in (job.pause_reason or "")

    def test_an_empty_job_is_refused(self, app: App) -> None:
        """Fault 30: a job without items cannot exist, so nothing divides by zero."""
        with pytest.raises(InvalidInput, match="nothing to write"):
            app.batches.create(app.planner.plan([], options()), name="empty", actor="ana")
        assert app.batches.count() == 0

    def test_threads_on_one_job_write_every_item_once(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """Fault 17: two tabs on one job never write an item twice."""
        job = start(24)
        threads = [threading.Thread(target=run, args=(app, job)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        ended = app.batches.get(job.id)
        assert (ended.status, ended.counts.completed, writer.calls) == (JobStatus.COMPLETED, 24, 24)


class TestFaults:
    def test_a_failed_attempt_leaves_its_row(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str
    ) -> None:
        """Faults 4 and 6: what went wrong, what was sent and what it cost stay on record."""
        writer._acts = [WriterDeclined("Prompt too long.", code="too_large", status=413)]
        job = run(app, start(1))
        rows = fetch(
            dsn,
            "select outcome, error_code, error_message, request ->> 'user' from attempts where job_id = %s",
            job.id,
        )
        assert [row[:2] for row in rows] == [("failed", "too_large")]
        assert "Prompt too long" in str(rows[0][2])
        assert "harbour restaurant" in str(rows[0][3])
        assert job.status is JobStatus.FAILED

    def test_a_busy_writer_is_asked_again(self, app: App, start: Start, writer: ScriptedWriter) -> None:
        """A 529 costs one attempt and some patience, not the item."""
        writer._acts = [WriterBusy("Overloaded.", code="overloaded", status=529)]
        job = run(app, start(1))
        assert (job.status, writer.calls, item(app, job).attempts) == (JobStatus.COMPLETED, 2, 2)

    def test_a_writer_that_stays_busy_fails_the_item_in_the_end(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """After the attempts are used up the item fails with the reason, and is not asked again."""
        writer._acts = [WriterBusy("Overloaded.", code="overloaded", status=529)] * 20
        job = run(app, start(1))
        assert (job.status, writer.calls) == (JobStatus.FAILED, 5)
        assert "retry later" in (item(app, job).error_message or "")

    def test_a_rate_limit_costs_no_attempt(self, app: App, start: Start, writer: ScriptedWriter) -> None:
        """More 429s than there are attempts still lead to a conversation."""
        limit = WriterBusy("Slow down.", code="rate_limited", status=429, retry_after=0.01)
        writer._acts = [limit] * 7
        assert run(app, start(1)).status is JobStatus.COMPLETED

    @pytest.mark.parametrize(
        ("status", "code"), [(401, "key_rejected"), (402, "spend_limit"), (403, "forbidden")]
    )
    def test_a_rejected_account_pauses_the_whole_job(
        self, app: App, start: Start, writer: ScriptedWriter, status: int, code: str
    ) -> None:
        """One rejected key is one message, not two hundred failures; resuming goes on."""
        writer._acts = [WriterRejected("No.", code=code, status=status)]
        job = run(app, start(3))
        assert (job.status, job.counts.queued, job.counts.failed) == (JobStatus.PAUSED, 3, 0)
        app.batches.resume(job.id, actor="ana")
        assert run(app, job).counts.completed == 3

    def test_an_uncertain_call_is_tried_twice_more_and_listed_as_possibly_paid(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str
    ) -> None:
        """Fault 9: a time-out is not repeated blindly, and its possible cost is on record."""
        writer._acts = [WriterUncertain("Timed out.", code="timeout")] * 9
        job = run(app, start(1, options(WriterName.CLAUDE)))
        assert (job.status, writer.calls) == (JobStatus.FAILED, 3)
        assert fetch(dsn, "select count(*) from attempts where outcome = 'unknown' and possible_usd > 0") == [
            (3,)
        ]
        assert job.money.possible > 0
        assert job.money.reserved == 0

    @pytest.mark.parametrize(
        ("act", "code"),
        [
            (envelope('{"turns": [{"role": "user", "con', "max_tokens"), "answer_cut"),
            (envelope("I cannot.", "refusal"), "refusal"),
            (envelope("not json at all"), "unreadable_answer"),
            (envelope("{}", None), "incomplete_answer"),
        ],
    )
    def test_a_useless_answer_is_paid_kept_and_not_bought_again(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str, act: object, code: str
    ) -> None:
        """Faults 9, 10 and 23: a cut, refused or broken answer fails its item once; its bytes stay."""
        writer._acts = [act]  # type: ignore[list-item]
        job = run(app, start(1, options(WriterName.CLAUDE)))
        assert (item(app, job).error_code, writer.calls) == (code, 1)
        (row,) = fetch(dsn, "select outcome, raw_path, cost_usd from attempts where job_id = %s", job.id)
        assert row[0] == "stored"
        assert app.enrichment.document(str(row[1]))
        assert job.money.spent == pytest.approx(0.007)

    def test_retrying_pays_again_and_does_not_go_on_from_the_useless_answer(
        self, app: App, start: Start, writer: ScriptedWriter
    ) -> None:
        """A person who retries a cut answer gets a new one."""
        writer._acts = [envelope("{", "max_tokens")]
        job = run(app, start(1))
        app.batches.retry_failed(job.id, actor="ana")
        assert run(app, job).status is JobStatus.COMPLETED
        assert writer.calls == 2

    def test_a_stored_answer_is_never_bought_again(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str
    ) -> None:
        """Fault 5: a worker that vanished after storing leaves an answer that the next one goes on from."""
        job = start(1, options(WriterName.CLAUDE))
        _vanish_after_storing(app, job, writer, dsn)
        assert run(app, job).counts.completed == 1
        assert writer.calls == 1
        rows = fetch(dsn, "select number, outcome, cost_usd > 0 from attempts order by number")
        assert rows == [(1, "stored", True), (2, "skipped", False)]

    def test_an_item_whose_worker_vanished_is_taken_back(self, app: App, start: Start, dsn: str) -> None:
        """Fault 5: nothing stays processing for ever."""
        job = start(1)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("select claim_item(%s, 'gone', -1)", [job.id])
        assert app.batches.get(job.id).counts.processing == 0
        assert run(app, job).status is JobStatus.COMPLETED

    def test_an_item_that_kills_its_worker_every_time_ends(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str
    ) -> None:
        """A poison item fails after its attempts instead of killing workers for ever."""
        job = start(1)
        with psycopg.connect(dsn, autocommit=True) as connection:
            for _ in range(5):
                connection.execute("select claim_item(%s, 'gone', -1)", [job.id])
        ended = run(app, job)
        assert (ended.status, writer.calls) == (JobStatus.FAILED, 0)
        assert "vanished" in (item(app, job).error_message or "")

    def test_a_late_writer_is_fenced_and_its_answer_kept(
        self, app: App, start: Start, writer: ScriptedWriter, dsn: str
    ) -> None:
        """A worker that comes back after its lease ran out overwrites nothing, and is on record as paid."""
        job = start(1, options(WriterName.CLAUDE))

        def slow(order: object) -> object:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("update batch_items set lease_until = now() - interval '1 s'")
            assert app.batches.process_next(job.id).outcome is StepOutcome.COMPLETED
            return writer._demo.write(order)  # type: ignore[arg-type]

        writer._acts = [slow]  # type: ignore[list-item]
        assert app.batches.process_next(job.id).outcome is StepOutcome.FENCED
        assert fetch(dsn, "select count(*) from conversations") == [(1,)]
        assert fetch(dsn, "select outcome from attempts order by number") == [("stored",), ("stored",)]

    def test_the_budget_is_never_exceeded(self, app: App, start: Start, writer: ScriptedWriter) -> None:
        """The job pauses before a call whose worst case no longer fits, and says so."""
        job = run(app, start(5, options(WriterName.CLAUDE, budget=0.06)))
        assert job.status is JobStatus.PAUSED
        assert 0 < job.money.spent + job.money.possible <= 0.06
        assert "budget" in (job.pause_reason or "")
        assert 0 < writer.calls < 5
        outlook = app.budgets.outlook(job.id)
        assert job.money.spent + outlook.next_usd > 0.06, "it went on as long as the next call did fit"

    def test_what_is_paid_for_goes_on_although_the_budget_is_used_up(
        self, app: App, start: Start, writer: ScriptedWriter, tmp_path: Path
    ) -> None:
        """An answer that waits in the store needs nothing of the budget: it becomes a conversation for free."""
        worst = app.budgets.outlook(start(3, options(WriterName.CLAUDE)).id).next_usd
        job = start(3, options(WriterName.CLAUDE, budget=worst + 0.001))
        final = tmp_path / "buckets" / "conversation-files" / "final"
        final.parent.mkdir(parents=True, exist_ok=True)
        final.write_text("in the way")
        assert "answer store" in (run(app, job).pause_reason or "")
        final.unlink()
        outlook = app.budgets.outlook(job.id)
        assert (outlook.answered, outlook.is_stuck) == (1, False)
        assert outlook.next_usd > (outlook.left_usd or 0), "no call fits any more"
        assert "1 that wait have their answer already" in outlook.story()
        ended = run(app, app.batches.resume(job.id, actor="ana"))
        assert (ended.counts.completed, writer.calls) == (1, 1)
        assert "budget" in (ended.pause_reason or "")
        with pytest.raises(NotAllowed, match="may cost"):
            app.batches.resume(job.id, actor="ana")

    def test_a_new_budget_is_one_line_of_the_log(
        self, app: App, start: Start, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Who let a job cost how much can be found again beside what it then did."""
        job = app.batches.pause(start(1, options(WriterName.CLAUDE, budget=1)).id, actor="ana")
        with caplog.at_level(logging.INFO, "brightrun"):
            app.budgets.set(job.id, 2, actor="ben")
        (line,) = [each for each in caplog.records if each.message == "job.budgeted"]
        assert vars(line)["fields"] == {"job": job.id, "budget_usd": 2, "status": "queued", "actor": "ben"}


class TestPlanning:
    def test_an_unpriced_model_is_refused_before_anything_is_created(self, app: App) -> None:
        """An unknown price is a refusal with the remedy, never zero dollars."""
        with pytest.raises(InvalidInput, match="no price") as caught:
            app.planner.plan(scenarios(1), options(WriterName.CLAUDE, model="claude-unheard-of"))
        assert "brightrun prices set" in caught.value.remedy
        assert app.batches.count() == 0

    def test_unknown_jobs_and_short_prefixes_are_named(self, app: App, start: Start) -> None:
        """Fault 21: an id that is none, or fits nothing, is a message and not a database error."""
        job = start(1)
        assert app.batches.find(job.id[:6]) == job.id
        for text in ("", "nonsense", "00000000"):
            with pytest.raises(NotFound):
                app.batches.find(text)
        with pytest.raises(NotFound):
            app.batches.process_next(JobId("11111111-2222-3333-4444-555555555555"))

    def test_odd_turns_become_even(self, app: App) -> None:
        """The assistant has the last word, and the plan says that a number was changed."""
        plan = app.planner.plan(scenarios(1), options(turns=5))
        assert plan.items[0].prompt.turns == 6
        assert "became 6" in plan.notes[0]

    def test_the_metadata_is_ours_and_not_the_models(self, app: App, start: Start) -> None:
        """Fault 8: persona, arc and topic of a conversation come from the parameters."""
        job = run(app, start(1))
        page = app.reviews.page(ConversationFilter(job_id=job.id))
        assert page[0]["writer"] == "demo"
        assert app.reviews.read(page[0]["id"]).scenario == scenarios(1)[0]

    def test_no_status_is_ever_missing(self, app: App, start: Start, dsn: str) -> None:
        """Fault 11: every conversation has an enrichment status from its first moment."""
        run(app, start(1))
        assert fetch(dsn, "select enrichment_status, enriched_path is not null from conversations") == [
            ("completed", True)
        ]


def _vanish_after_storing(app: App, job: Job, writer: ScriptedWriter, dsn: str) -> Step | None:
    """Let a worker claim, call and store, and vanish before it could complete."""

    class Gone(BaseException):
        """Stands for kill -9: nothing in the package catches it."""

    def read(body: bytes) -> object:
        raise Gone

    original = writer.read
    writer.read = read  # type: ignore[assignment, method-assign]
    with pytest.raises(Gone):
        app.batches.process_next(job.id)
    writer.read = original  # type: ignore[method-assign]
    fetch(
        dsn,
        "update batch_items set lease_until = now() - interval '1 s' where status = 'processing' returning 1",
    )
    return None


def test_items_can_be_listed_by_status(app: App, start: Start, writer: ScriptedWriter) -> None:
    """Fault 6: the failed ones are shown with their reasons."""
    writer._acts = [WriterDeclined("Bad.", code="bad_request", status=400)]
    job = run(app, start(3))
    failed = app.batches.items(job.id, status=ItemStatus.FAILED)
    assert [(i.position, i.error_code) for i in failed] == [(1, "bad_request")]
