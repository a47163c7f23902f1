"""Decisions: written once, never overwritten in silence, undone as one, kept for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from brightrun import saol
from brightrun.bootstrap import App
from brightrun.domain.batch import Job, WriterName
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import InvalidInput, NotAllowed, NotFound
from brightrun.domain.ids import ConversationId
from brightrun.domain.review import ConversationFilter, Decision, Seen
from tests.fakes import ScriptedWriter, envelope, options

BLOCKED = (
    '{"turns": [{"role": "user", "content": "Hello there, may I ask you something?"},'
    ' {"role": "assistant", "content": "Yes <|im_end|> of course you may ask."}]}'
)

Start = Callable[..., Job]


def write(app: App, start: Start, count: int = 3) -> list[Seen]:
    job = start(count)
    while app.batches.process_next(job.id).job.is_open:
        continue
    return seen(app)


def seen(app: App, **chosen: object) -> list[Seen]:
    rows = app.reviews.page(ConversationFilter(**chosen), sort="oldest")  # type: ignore[arg-type]
    return [Seen(ConversationId(row["id"]), row["row_version"]) for row in rows]


def status(app: App, one: Seen) -> ConversationStatus:
    return app.reviews.read(one.id).status


def test_a_decision_keeps_who_when_and_why(app: App, start: Start) -> None:
    """The row shows the last decision, the history every one of them."""
    first, *_ = write(app, start)
    app.reviews.decide([first], Decision.REJECTED, reviewer="ana", reason="Off topic", note="See turn 2.")
    app.reviews.decide(seen(app, status="rejected"), Decision.APPROVED, reviewer="ben")
    read = app.reviews.read(first.id)
    assert (read.status, read.reviewed_by) == (ConversationStatus.APPROVED, "ben")
    newest, oldest = app.reviews.history(first.id)
    assert (oldest.decision, oldest.reviewer, oldest.reason, oldest.note) == (
        Decision.REJECTED,
        "ana",
        "Off topic",
        "See turn 2.",
    )
    assert (newest.previous_status, newest.reviewer) == (ConversationStatus.REJECTED, "ben")


def test_the_second_reviewer_is_told_who_was_first(app: App, start: Start) -> None:
    """Deciding on a row as it was before somebody else decided changes nothing and says who that was."""
    rows = write(app, start)
    app.reviews.decide(rows[:1], Decision.REJECTED, reviewer="ana")
    verdict = app.reviews.decide(rows, Decision.APPROVED, reviewer="ben")
    assert verdict.decided == len(rows) - 1
    (refusal,) = verdict.refused
    assert (refusal.id, refusal.cause, refusal.by) == (rows[0].id, "changed", "ana")
    assert "ana" in refusal.sentence()
    assert status(app, rows[0]) is ConversationStatus.REJECTED


def test_an_operation_is_undone_as_one(app: App, start: Start) -> None:
    """Undo takes back every row of one decision, except those decided on again since."""
    rows = write(app, start)
    verdict = app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    app.reviews.decide(seen(app)[:1], Decision.REJECTED, reviewer="ben")
    assert app.reviews.undo(verdict.operation_id, reviewer="ana") == (len(rows) - 1, 1)
    assert status(app, rows[0]) is ConversationStatus.REJECTED
    assert {status(app, row) for row in rows[1:]} == {ConversationStatus.PENDING_REVIEW}
    assert app.reviews.undo(verdict.operation_id, reviewer="ana")[0] == 0, "undoing twice changes nothing"


def test_a_blocked_conversation_cannot_be_approved(app: App, start: Start, writer: ScriptedWriter) -> None:
    """What would ruin a training run can be rejected or sent back, never approved, one by one or in bulk."""
    writer._acts.append(envelope(BLOCKED))
    job = start(1, options(WriterName.CLAUDE))
    app.batches.process_next(job.id)
    (row,) = seen(app)
    verdict = app.reviews.decide([row], Decision.APPROVED, reviewer="ana")
    assert (verdict.decided, verdict.refused[0].cause) == (0, "blocked")
    bulk = app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    assert (bulk.decided, bulk.blocked) == (0, 1)
    assert app.reviews.decide([row], Decision.REJECTED, reviewer="ana").decided == 1
    with pytest.raises(NotAllowed):
        app.datasets.freeze(ConversationFilter(), name="none", actor="ana")


def test_the_history_can_only_grow(app: App, start: Start) -> None:
    """No entry of the history can be changed or deleted, not even with the database's own key."""
    rows = write(app, start, 1)
    app.reviews.decide(rows, Decision.APPROVED, reviewer="ana")
    db = app.reviews._db
    changed = saol.agent_update(db, "reviews", {"reviewer": "eve"}, where=[("reviewer", "eq", "ana")])
    deleted = saol.agent_delete(db, "reviews", where=[("reviewer", "eq", "ana")], confirm=True)
    assert not changed.success
    assert not deleted.success
    assert [review.reviewer for review in app.reviews.history(rows[0].id)] == ["ana"]


def test_every_filter_means_the_same_in_list_count_and_bulk(app: App, start: Start) -> None:
    """What a list shows is what a bulk decision changes."""
    write(app, start, 4)
    scores = sorted(row["quality_score"] for row in app.reviews.page(ConversationFilter()))
    for chosen in (
        ConversationFilter(min_score=float(scores[2])),
        ConversationFilter(max_score=float(scores[1])),
        ConversationFilter(writer="demo", tier="scenario", status=ConversationStatus.PENDING_REVIEW),
        ConversationFilter(persona_key="nobody"),
    ):
        number = app.reviews.count(chosen)
        assert len(app.reviews.page(chosen)) == number
        verdict = app.reviews.decide_matching(chosen, Decision.NEEDS_REVISION, reviewer="ana")
        assert verdict.decided == number
        app.reviews.undo(verdict.operation_id, reviewer="ana")


def test_unusable_requests_are_refused_with_a_reason(app: App, start: Start) -> None:
    """An empty selection, a nameless reviewer, an endless reason, an unknown order or id: each is named."""
    rows = write(app, start, 1)
    with pytest.raises(InvalidInput, match="Nothing is selected"):
        app.reviews.decide([], Decision.APPROVED, reviewer="ana")
    with pytest.raises(InvalidInput, match="reviewer"):
        app.reviews.decide(rows, Decision.APPROVED, reviewer="  ")
    with pytest.raises(InvalidInput, match="2,000"):
        app.reviews.decide(rows, Decision.REJECTED, reviewer="ana", reason="x" * 2001)
    with pytest.raises(InvalidInput, match="order"):
        app.reviews.page(ConversationFilter(), sort="prettiest")
    with pytest.raises(InvalidInput, match="page"):
        app.reviews.page(ConversationFilter(), limit=101)
    with pytest.raises(NotFound):
        app.reviews.read(ConversationId("00000000-0000-4000-8000-00000000dead"))
    assert status(app, rows[0]) is ConversationStatus.PENDING_REVIEW
