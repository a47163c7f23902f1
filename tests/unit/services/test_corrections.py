"""Corrections: the original is kept, nothing is overwritten, and what was mended is assessed at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun import saol
from brightrun.bootstrap import App
from brightrun.domain.batch import Job, WriterName
from brightrun.domain.conversation import Conversation, ConversationStatus, EnrichmentStatus
from brightrun.domain.correction import Fate, difference
from brightrun.domain.dataset import Dataset
from brightrun.domain.errors import Conflict, InvalidInput, NotAllowed
from brightrun.domain.formats import Format
from brightrun.domain.ids import ConversationId
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.services.reparsing import Found
from tests.fakes import ScriptedWriter, envelope, options
from tests.unit.services.test_reviews import BLOCKED

Start = Callable[..., Job]
HOSTILE = "<script>x()</script> ![p](http://leak.invalid/p.png) $a$ \u202eevil\u202c [b](javascript:x) 5 < 6"


def written(app: App, start: Start) -> Conversation:
    app.batches.process_next(start(1).id)
    return app.reviews.read(ConversationId(app.reviews.page(ConversationFilter())[0]["id"]))


def decide(app: App, one: Conversation, decision: Decision, reviewer: str = "ana") -> str:
    return app.reviews.decide([Seen(one.id, one.row_version)], decision, reviewer=reviewer).operation_id


def test_a_correction_makes_a_version_and_keeps_the_original(app: App, start: Start) -> None:
    """The turn says what was typed, every other turn is as it was, and the text before it can be read."""
    before = written(app, start)
    done = app.corrections.correct(before.id, 2, "A better answer.", corrector="ana", note="Too vague.")
    after = app.reviews.read(before.id)
    assert (done.version, after.version) == (2, 2)
    assert after.turns[1].content == "A better answer."
    assert after.turns[1].emotion == before.turns[1].emotion
    assert [t for n, t in enumerate(after.turns) if n != 1] == [
        t for n, t in enumerate(before.turns) if n != 1
    ]
    (kept,) = app.corrections.of(before.id)
    assert (kept.before.content, kept.after.content) == (before.turns[1].content, "A better answer.")
    assert (kept.turn, kept.version, kept.corrector, kept.note) == (2, 2, "ana", "Too vague.")


def test_a_correction_is_scored_at_once_and_its_documents_follow(
    app: App, start: Start, tmp_path: Path
) -> None:
    """Score, findings, words and both documents are those of the new text, not of the old."""
    before = written(app, start)
    done = app.corrections.correct(before.id, 2, "Short.", corrector="ana")
    after = app.reviews.read(before.id)
    assert after.quality_score == done.score < before.quality_score
    assert "SHORT_TURN" in {finding["code"] for finding in after.validation["warnings"]}  # type: ignore[attr-defined]
    assert after.enrichment_status is EnrichmentStatus.COMPLETED
    assert after.final_path
    assert after.enriched_path
    final = orjson.loads(app.enrichment.document(after.final_path))
    assert "Short." in [message["content"] for message in final["messages"]]
    assert b"Short." in app.enrichment.document(after.enriched_path)
    assert final["quality"]["score"] == after.quality_score


def test_a_blocked_conversation_is_mended_and_can_be_approved(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """What could not be approved can be, once the turn that would have ruined a training run is corrected."""
    writer._acts.append(envelope(BLOCKED))
    app.batches.process_next(start(1, options(WriterName.CLAUDE)).id)
    before = app.reviews.read(ConversationId(app.reviews.page(ConversationFilter())[0]["id"]))
    assert before.validation["blockers"]
    done = app.corrections.correct(before.id, 2, "Yes of course you may ask.", corrector="ana")
    assert not done.blockers
    after = app.reviews.read(before.id)
    assert (
        app.reviews.decide([Seen(after.id, after.row_version)], Decision.APPROVED, reviewer="ana").decided
        == 1
    )
    again = app.corrections.correct(after.id, 2, "Yes <|im_end|> of course.", corrector="ana")
    assert again.blockers
    assert again.was_decided


def test_the_second_corrector_is_told_and_overwrites_nothing(app: App, start: Start) -> None:
    """Two people open the same conversation: the second to save hears who was first and what they did."""
    opened = written(app, start)
    app.corrections.correct(opened.id, 2, "By ana.", corrector="ana", row_version=opened.row_version)
    with pytest.raises(Conflict, match="ana corrected turn 2"):
        app.corrections.correct(opened.id, 4, "By ben.", corrector="ben", row_version=opened.row_version)
    seen = app.reviews.read(opened.id)
    decide(app, seen, Decision.REJECTED, "cleo")
    with pytest.raises(Conflict, match="cleo set it to rejected"):
        app.corrections.correct(opened.id, 2, "By ben.", corrector="ben", row_version=seen.row_version)
    assert app.reviews.read(opened.id).turns[1].content == "By ana."
    assert len(app.corrections.of(opened.id)) == 1


def test_a_decision_does_not_survive_the_text_it_was_made_on(app: App, start: Start) -> None:
    """A corrected text waits for a decision, and undoing an older decision cannot approve it unseen."""
    first = written(app, start)
    decide(app, first, Decision.APPROVED)
    rejected = decide(app, app.reviews.read(first.id), Decision.REJECTED)
    app.corrections.correct(first.id, 2, "Another text.", corrector="ben")
    assert app.reviews.read(first.id).status is ConversationStatus.PENDING_REVIEW
    assert app.reviews.undo(rejected, reviewer="ana") == (0, 1)
    assert app.reviews.read(first.id).status is ConversationStatus.PENDING_REVIEW
    newest = app.reviews.history(first.id)[0]
    assert (newest.reason, newest.reviewer, newest.version) == ("Turn 2 corrected", "ben", 2)
    verdict = app.reviews.decide([Seen(first.id, first.row_version)], Decision.APPROVED, reviewer="ana")
    assert "ben" in verdict.refused[0].sentence()


def test_taking_a_correction_back_leaves_no_pair(app: App, start: Start, tmp_path: Path) -> None:
    """A turn corrected back to what it was is exported as any other, and prefers nothing over itself."""
    before = written(app, start)
    app.corrections.correct(before.id, 2, "For a moment.", corrector="ana")
    app.corrections.correct(before.id, 2, before.turns[1].content, corrector="ana")
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    dataset = app.datasets.freeze(ConversationFilter(), name="back", actor="ana")
    assert app.datasets.report(dataset)["preference_pairs"] == 0
    with pytest.raises(NotAllowed, match="no pair to prefer"):
        app.exports.write(dataset, Format.DPO, tmp_path)


@pytest.mark.parametrize("made", ["answer", "question", "both", "skip", "back"])
def test_pairs_are_frozen_only_where_there_are_some(
    app: App, start: Start, tmp_path: Path, made: str
) -> None:
    """What is frozen for pairs holds one; a skipped answer, another question or a correction taken back leaves nothing."""
    before = written(app, start)
    if made != "question":
        app.corrections.correct(before.id, 2, "A better answer.", corrector="ana")
    if made in ("question", "both"):
        app.corrections.correct(before.id, 1, "Another question?", corrector="ana")
    if made == "back":
        app.corrections.correct(before.id, 2, before.turns[1].content, corrector="ana")
    if made == "skip":
        app.corrections.mark(before.id, 2, train=False, corrector="ana")
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")

    def freeze() -> Dataset:
        return app.datasets.freeze(ConversationFilter(), name="pairs", actor="ana", purpose=Format.DPO)

    if made == "answer":
        assert app.exports.write(freeze(), Format.DPO, tmp_path).files
        return
    with pytest.raises(NotAllowed, match="nothing was frozen"):
        freeze()
    assert app.datasets.all() == []


def test_an_answer_read_anew_is_no_correction_and_overwrites_none(app: App, start: Start) -> None:
    """Reading stored answers again leaves a corrected conversation alone, and says so."""
    before = written(app, start)
    app.corrections.correct(before.id, 2, "By hand.", corrector="ana")
    assert before.job_id
    assert [done.found for done in app.reparsing.reparse_job(before.job_id, actor="ana")] == [Found.CORRECTED]
    assert app.reviews.read(before.id).turns[1].content == "By hand."


def test_a_turn_can_be_kept_out_of_training(app: App, start: Start) -> None:
    """The assistant's turn stays to be read, says that it is skipped, and can be taken in again."""
    before = written(app, start)
    app.corrections.mark(before.id, 2, train=False, corrector="ana")
    assert [turn.train for turn in app.reviews.read(before.id).turns[:4]] == [True, False, True, True]
    with pytest.raises(NotAllowed, match="as it was"):
        app.corrections.mark(before.id, 2, train=False, corrector="ana")
    app.corrections.mark(before.id, 2, train=True, corrector="ana")
    assert app.reviews.read(before.id).turns == before.turns
    with pytest.raises(InvalidInput, match="user"):
        app.corrections.mark(before.id, 1, train=False, corrector="ana")


def test_unusable_corrections_are_refused_with_a_reason(app: App, start: Start) -> None:
    """An empty text, a turn that is not there, an unchanged text, an endless one: each is named, none is kept."""
    before = written(app, start)
    for turn, text, words in ((2, "  \n", "empty"), (99, "x", "no turn 99"), (2, "x" * 2_000_001, "bytes")):
        with pytest.raises(InvalidInput, match=words):
            app.corrections.correct(before.id, turn, text, corrector="ana")
    with pytest.raises(NotAllowed, match="as it was"):
        app.corrections.correct(before.id, 2, f" {before.turns[1].content}\n", corrector="ana")
    assert app.reviews.read(before.id).version == 1


def test_hostile_text_is_kept_as_it_was_typed(app: App, start: Start) -> None:
    """What looks like markup is only text: stored, read and compared letter by letter."""
    before = written(app, start)
    app.corrections.correct(before.id, 2, HOSTILE, corrector="ana", note=HOSTILE)
    assert app.reviews.read(before.id).turns[1].content == HOSTILE
    assert app.corrections.of(before.id)[0].note == HOSTILE


def test_no_correction_can_be_changed_or_deleted(app: App, start: Start) -> None:
    """What somebody corrected stays on record, whatever the database's own key tries."""
    before = written(app, start)
    app.corrections.correct(before.id, 2, "A better answer.", corrector="ana")
    db = app.corrections._db
    where = [("corrector", "eq", "ana")]
    assert not saol.agent_update(db, "corrections", {"corrector": "eve"}, where=where).success
    assert not saol.agent_delete(db, "corrections", where=where, confirm=True).success
    assert len(app.corrections.of(before.id)) == 1


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_difference_is_both_texts_and_nothing_else(before: str, after: str) -> None:
    """Whatever was typed, leaving out what is new gives the text before, leaving out what is gone the text after."""
    stretches = difference(before, after)
    assert "".join(s.text for s in stretches if s.fate is not Fate.NEW) == before
    assert "".join(s.text for s in stretches if s.fate is not Fate.GONE) == after


def test_a_difference_is_told_in_whole_words_even_of_a_very_long_turn() -> None:
    """A changed word is one word gone and one new; a megabyte with one changed word takes no time."""
    assert [(s.fate, s.text) for s in difference("Save a little money.", "Save some money.")] == [
        (Fate.SAME, "Save "),
        (Fate.GONE, "a little"),
        (Fate.NEW, "some"),
        (Fate.SAME, " money."),
    ]
    long = "word " * 200_000
    assert [
        s.text for s in difference(f"{long}one {long}", f"{long}two {long}") if s.fate is not Fate.SAME
    ] == [
        "one",
        "two",
    ]
    one, other = " ".join(map(str, range(20_000))), " ".join(map(str, range(20_000, 40_000)))
    assert [s.fate for s in difference(one, other)] == [Fate.GONE, Fate.NEW]
