"""Writing again with feedback: the prompt has the note, the money is kept to, parent and child know each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from brightrun import saol
from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus, WriterName
from brightrun.domain.conversation import Conversation
from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import ConversationId
from brightrun.domain.review import ConversationFilter
from brightrun.services.revisions import Wishes
from tests.fakes import ScriptedWriter, options

Start = Callable[..., Job]
NOTE = "The second answer is too long. {{ not_a_variable }} </reviewer_feedback> 5 < 6"


def written(app: App, start: Start, writer: WriterName = WriterName.DEMO) -> Conversation:
    app.batches.process_next(start(1, options(writer)).id)
    return app.reviews.read(ConversationId(app.reviews.page(ConversationFilter())[0]["id"]))


def again(app: App, parent: Conversation, note: str = NOTE, **wishes: Any) -> Conversation:
    job = app.revisions.start(app.revisions.plan(parent.id, note, Wishes(**wishes)), actor="ben")
    while app.batches.process_next(job.id).job.is_open:
        continue
    (item,) = app.batches.items(job.id)
    assert item.conversation_id, item.error_message
    return app.reviews.read(item.conversation_id)


def requests(app: App, child: Conversation) -> list[dict[str, Any]]:
    where = [("item_id", "eq", child.item_id)]
    return [row["request"] for row in saol.agent_query(app.batches._db, "attempts", where=where).rows()]


@pytest.mark.parametrize("who", list(WriterName))
def test_the_prompt_holds_the_note_and_what_was_written_before(
    app: App, start: Start, writer: ScriptedWriter, who: WriterName
) -> None:
    """Either writer is sent the parent's text and the feedback as text, and what was sent is on record."""
    parent = written(app, start, who)
    child = again(app, parent)
    (sent,) = requests(app, child)
    assert NOTE in sent["user"]
    assert parent.turns[1].content[:60] in sent["user"]
    assert writer.orders[-1].prompt.user == sent["user"]
    assert (child.writer, child.model, child.template_version_id) == (
        parent.writer,
        parent.model,
        parent.template_version_id,
    )
    assert [t.content for t in child.turns] != [t.content for t in parent.turns]
    assert len(child.turns) == len(parent.turns)


def test_parent_and_child_know_each_other(app: App, start: Start) -> None:
    """From the child one finds the version that was read and the note, from the parent every successor."""
    parent = written(app, start)
    app.corrections.correct(parent.id, 2, "Corrected before it was read.", corrector="ana")
    child = again(app, parent)
    revision = child.scenario.revision
    assert revision
    assert (revision.parent_id, revision.version, revision.note) == (parent.id, 2, NOTE)
    (known,) = app.revisions.of(parent.id)
    assert (known.conversation_id, known.note, known.status) == (child.id, NOTE, "pending_review")
    grandchild = again(app, child, "Now shorter still.")
    assert grandchild.scenario.revision
    assert grandchild.scenario.revision.parent_id == child.id
    assert [one.conversation_id for one in app.revisions.of(child.id)] == [grandchild.id]
    assert app.revisions.of(grandchild.id) == []
    assert child.final_path
    assert NOTE.encode() in app.enrichment.document(child.final_path).replace(b'\\"', b'"')


def test_what_is_asked_for_twice_is_written_otherwise_twice(app: App, start: Start) -> None:
    """The same feedback a second time gives another text, and both stand beside the parent."""
    parent = written(app, start)
    one, other = again(app, parent), again(app, parent)
    assert [t.content for t in one.turns] != [t.content for t in other.turns]
    assert {known.conversation_id for known in app.revisions.of(parent.id)} == {one.id, other.id}


def test_an_item_on_its_way_is_seen_from_its_parent(app: App, start: Start) -> None:
    """Before it is written the parent shows that it is waiting, and nothing was called."""
    parent = written(app, start)
    app.revisions.start(app.revisions.plan(parent.id, NOTE), actor="ben")
    (known,) = app.revisions.of(parent.id)
    assert (known.item_status, known.conversation_id) == ("queued", None)


def test_price_and_budget_apply(app: App, start: Start, writer: ScriptedWriter) -> None:
    """It is priced with the longer prompt, and a budget below the worst case stops it before any call."""
    parent = written(app, start, WriterName.CLAUDE)
    plan = app.revisions.plan(parent.id, NOTE, Wishes(budget=0.000001))
    first = app.planner.plan([parent.scenario], options(WriterName.CLAUDE))
    assert plan.estimate.worst_usd > first.estimate.worst_usd > 0
    assert plan.estimate.input_tokens > first.estimate.input_tokens
    job = app.revisions.start(plan, actor="ben")
    calls = writer.calls
    app.batches.process_next(job.id)
    assert app.batches.get(job.id).status is JobStatus.PAUSED
    assert writer.calls == calls
    app.budgets.set(job.id, 10.0, actor="ben")
    while app.batches.process_next(job.id).job.is_open:
        continue
    (known,) = app.revisions.of(parent.id)
    assert known.conversation_id
    assert app.reviews.read(known.conversation_id).cost > 0


def test_another_writer_may_write_it_again(app: App, start: Start) -> None:
    """What the demo made up by rule can be written again by Claude, with the configured model."""
    parent = written(app, start)
    child = again(app, parent, writer=WriterName.CLAUDE)
    assert (child.writer, child.model) == ("claude", app.settings.model)


def test_a_stored_answer_of_it_is_read_again_like_any_other(app: App, start: Start) -> None:
    """Reading its answer again finds the same conversation, with the same order."""
    child = again(app, written(app, start))
    assert child.job_id
    assert [done.found.value for done in app.reparsing.reparse_job(child.job_id, actor="ana")] == ["same"]


def test_feedback_that_cannot_be_is_refused(app: App, start: Start) -> None:
    """No note, an endless one, a prompt that would be too long: each is named, and no batch is made."""
    parent = written(app, start)
    before = app.batches.count()
    with pytest.raises(InvalidInput, match="no feedback"):
        app.revisions.plan(parent.id, " \n ")
    with pytest.raises(InvalidInput, match="4,000"):
        app.revisions.plan(parent.id, "x" * 4001)
    app.corrections.correct(parent.id, 2, "word " * 60_000, corrector="ana")
    with pytest.raises(InvalidInput, match="characters"):
        app.revisions.plan(parent.id, NOTE).require()
    assert app.batches.count() == before
