"""Stored answers read again: what failed on reading completes for nothing, and a person's word stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import ItemStatus, Job, JobStatus, StepOutcome, WriterName
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import AnswerUnreadable, NotAllowed
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.domain.writing import Answer
from brightrun.services.reparsing import Found, Reparsing
from tests.fakes import ScriptedWriter, envelope, options

Start = Callable[..., Job]
CLAUDE = options(WriterName.CLAUDE)


def run(app: App, job: Job) -> Job:
    while True:
        step = app.batches.process_next(job.id)
        if step.outcome in (StepOutcome.DONE, StepOutcome.PAUSED):
            return step.job


def fetch(dsn: str, query: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query, values).fetchall()  # type: ignore[arg-type]


def unreadable(body: bytes) -> Answer:
    """A parser that is not good enough yet."""
    raise AnswerUnreadable("Not understood yet.")


def written_with_a_worse_parser(app: App, start: Start, writer: ScriptedWriter, count: int) -> Job:
    """A job whose answers are all stored, and none could be read."""
    better = writer.read
    writer.read = unreadable  # type: ignore[method-assign, assignment]
    job = run(app, start(count, CLAUDE))
    writer.read = better  # type: ignore[method-assign]
    assert (job.status, job.counts.failed) == (JobStatus.FAILED, count)
    return job


def reparse(app: App, job: Job) -> Counter[Found]:
    return Counter(done.found for done in app.reparsing.reparse_job(job.id, actor="ana"))


def test_items_that_failed_on_reading_complete_for_nothing(
    app: App, start: Start, writer: ScriptedWriter, dsn: str
) -> None:
    """A better parser turns paid answers into conversations; nobody is called, and the cost becomes known."""
    job = written_with_a_worse_parser(app, start, writer, 3)
    assert job.money.possible > 0
    assert reparse(app, job) == {Found.COMPLETED: 3}
    after = app.batches.get(job.id)
    assert (after.status, after.counts.completed, after.counts.failed) == (JobStatus.COMPLETED, 3, 0)
    assert writer.calls == 3
    assert (after.money.spent, after.money.possible) == (pytest.approx(0.021), 0)
    assert fetch(dsn, "select distinct outcome, judged, error_code, cost_usd > 0 from attempts") == [
        ("stored", False, None, True)
    ]
    for item in app.batches.items(job.id):
        assert item.conversation_id
        conversation = app.reviews.read(item.conversation_id)
        assert conversation.enriched_path
        assert app.enrichment.document(conversation.enriched_path)
        assert item.error_message is None
    assert "3 failed items completed" in app.batches.log_text(job.id)


def test_what_is_still_of_no_use_stays_failed(app: App, start: Start, writer: ScriptedWriter) -> None:
    """A refusal is no better for being read twice."""
    writer._acts = [envelope("", "refusal"), None]
    job = run(app, start(2, CLAUDE))
    assert reparse(app, job) == {Found.USELESS: 1, Found.SAME: 1}
    assert app.batches.get(job.id).counts.failed == 1


def test_an_older_answer_is_taken_where_the_newest_is_of_no_use(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """Every answer an item was paid for counts, not only the last one."""
    job = written_with_a_worse_parser(app, start, writer, 1)
    writer._acts = [envelope("", "refusal")]
    app.batches.retry_failed(job.id, actor="ana")
    assert run(app, job).status is JobStatus.FAILED
    assert reparse(app, job) == {Found.COMPLETED: 1}
    assert app.batches.get(job.id).money.spent == pytest.approx(0.014)


def test_a_conversation_scored_by_an_older_rule_is_scored_anew(
    app: App, start: Start, writer: ScriptedWriter, dsn: str
) -> None:
    """The row, its flags and its documents follow today's rules, and an open review sees that it changed."""
    job = run(app, start(2, CLAUDE))
    first, second = (item.conversation_id for item in app.batches.items(job.id))
    fetch(dsn, "update conversations set quality_score = 1, flags = '{OLD}' where id = %s returning 1", first)
    assert first
    before = app.reviews.read(first)
    assert reparse(app, job) == {Found.RESCORED: 1, Found.SAME: 1}
    after = app.reviews.read(first)
    assert after.quality_score > 1
    assert (after.row_version, after.version) == (before.row_version + 1, before.version)
    assert second
    assert reparse(app, job) == {Found.SAME: 2}


def test_what_a_person_decided_is_left_as_they_saw_it(
    app: App, start: Start, writer: ScriptedWriter, dsn: str
) -> None:
    """A decision is never overwritten; a rule that would block it now is said."""
    job = run(app, start(1, CLAUDE))
    (row,) = app.reviews.page(ConversationFilter(job_id=job.id))
    app.reviews.decide([Seen(row["id"], row["row_version"])], Decision.APPROVED, reviewer="ben")
    fetch(dsn, "update conversations set quality_score = 1 where id = %s returning 1", row["id"])
    (done,) = app.reparsing.reparse_job(job.id, actor="ana")
    assert done.found is Found.DECIDED
    conversation = app.reviews.read(row["id"])
    assert (conversation.status, conversation.quality_score) == (ConversationStatus.APPROVED, 1)


def test_an_item_that_is_retried_meanwhile_is_left_to_the_retry(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """Reading again never takes an item from a worker that has it."""
    job = written_with_a_worse_parser(app, start, writer, 2)
    rereading = app.reparsing.reparse_job(job.id, actor="ana")
    assert next(rereading).found is Found.COMPLETED
    app.batches.retry_failed(job.id, actor="ben")
    assert next(rereading).found is Found.CHANGED
    assert app.batches.get(job.id).counts.queued == 1


def test_one_item_can_be_read_again_by_itself(app: App, start: Start, writer: ScriptedWriter) -> None:
    """From the item's own row; an item without an answer says what would have to be done."""
    job = written_with_a_worse_parser(app, start, writer, 2)
    first, _ = app.batches.items(job.id)
    assert app.reparsing.reparse_item(first.id, actor="ana").found is Found.COMPLETED
    assert app.batches.get(job.id).counts.failed == 1
    with pytest.raises(NotAllowed, match="no stored answer"):
        app.reparsing.reparse_item(app.batches.items(start(1).id)[0].id, actor="ana")


def test_a_failed_item_of_a_cancelled_job_can_be_read_again(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """What was paid for before the cancel is not lost; the job stays cancelled."""
    better = writer.read
    writer.read = unreadable  # type: ignore[method-assign, assignment]
    job = start(2, CLAUDE)
    app.batches.process_next(job.id)
    app.batches.cancel(job.id, actor="ana")
    writer.read = better  # type: ignore[method-assign]
    assert reparse(app, job) == {Found.COMPLETED: 1}
    after = app.batches.get(job.id)
    assert (after.status, after.counts.completed, after.counts.cancelled) == (JobStatus.CANCELLED, 1, 1)
    assert app.batches.items(job.id, status=ItemStatus.COMPLETED)


def test_reading_again_needs_no_key(
    app: App, start: Start, writer: ScriptedWriter, dsn: str, tmp_path: Path
) -> None:
    """Nothing is called, so a machine without a key can do it."""
    job = run(app, start(1, CLAUDE))
    keyless = open_app(Settings(home=tmp_path, database_url=dsn, actor="ben"))
    assert reparse(keyless, job) == {Found.SAME: 1}
    keyless.close()


def test_pages_of_answers_meet_every_item_once(app: App, start: Start, writer: ScriptedWriter) -> None:
    """However many items there are and however often each was tried, each is read again exactly once."""
    job = written_with_a_worse_parser(app, start, writer, 4)
    for _ in range(2):
        writer._acts = [envelope("", "refusal")] * 4
        app.batches.retry_failed(job.id, actor="ana")
        while run(app, job).status is JobStatus.PAUSED:
            app.batches.resume(job.id, actor="ana")
    given = app.reparsing
    small = Reparsing(given._db, given._answers, given._spool, page=2)
    done = list(small.reparse_job(job.id, actor="ana"))
    assert len({each.item_id for each in done}) == len(done) == 4
