"""Correcting: one turn mended in place, assessed at once, the original kept beside it."""

from __future__ import annotations

from dataclasses import replace

from brightrun import saol
from brightrun.domain.conversation import MAX_ANSWER_BYTES, Conversation, ConversationStatus, Role, Turn
from brightrun.domain.correction import Corrected, Correction
from brightrun.domain.errors import BrightRunError, Conflict, InvalidInput, NotAllowed, NotFound
from brightrun.domain.ids import ConversationId, parse_uuid
from brightrun.domain.person import Action
from brightrun.domain.quality import Assessment, assess
from brightrun.domain.scenario import Cast
from brightrun.domain.standard import STANDARD, Standard
from brightrun.domain.text import clean
from brightrun.services.answers import content_columns
from brightrun.services.enrichment import Enrichment
from brightrun.services.reviews import person_name, remark
from brightrun.services.rights import needs
from brightrun.stores import conversations
from brightrun.stores import corrections as store


class Corrections:
    """Nothing is overwritten: whoever comes second is told who was first."""

    def __init__(self, db: saol.Database, enrichment: Enrichment, standard: Standard = STANDARD) -> None:
        self._db = db
        self._standard = standard
        self._enrichment = enrichment

    def of(self, conversation_id: ConversationId) -> list[Correction]:
        """Return every correction of a conversation, oldest first."""
        return store.of_conversation(self._db, ConversationId(parse_uuid(conversation_id, "conversation")))

    @needs(Action.CORRECT)
    def correct(
        self,
        conversation_id: ConversationId,
        turn: int,
        text: str,
        *,
        corrector: str,
        row_version: int | None = None,
        note: str | None = None,
    ) -> Corrected:
        """Give one turn (from 1) another text; `row_version` is the row as its corrector saw it.

        Raises InvalidInput for a text or turn that cannot be, NotAllowed where nothing changes, and Conflict
        with who was first where the conversation is no longer as it was seen.
        """
        conversation = self._read(conversation_id, turn)
        content = clean(text.replace("\r\n", "\n")).strip()
        if not content:
            raise InvalidInput(
                f"Turn {turn} would be empty.",
                remedy="Reject the conversation, or mark the turn to be skipped.",
            )
        if content == conversation.turns[turn - 1].content.strip():
            raise NotAllowed(f"Turn {turn} is as it was; nothing was changed.")
        others = sum(len(t.content.encode()) for t in conversation.turns) - len(
            conversation.turns[turn - 1].content.encode()
        )
        if others + len(content.encode()) > MAX_ANSWER_BYTES:
            raise InvalidInput(
                f"A conversation may hold {MAX_ANSWER_BYTES:,} bytes; this would be more.",
                remedy="Shorten it.",
            )
        changed = replace(conversation.turns[turn - 1], content=content)
        return self._change(
            conversation, turn, changed, f"Turn {turn} corrected", corrector, row_version, note
        )

    @needs(Action.CORRECT)
    def mark(
        self,
        conversation_id: ConversationId,
        turn: int,
        *,
        train: bool,
        corrector: str,
        row_version: int | None = None,
        note: str | None = None,
    ) -> Corrected:
        """Decide whether a model is to learn one turn of the assistant (from 1); raises as `correct` does."""
        conversation = self._read(conversation_id, turn)
        if conversation.turns[turn - 1].role is not Role.ASSISTANT:
            raise InvalidInput(
                f"Turn {turn} is the user's; a model learns the assistant's turns only.",
                remedy="Mark the answer to it.",
            )
        changed = replace(conversation.turns[turn - 1], train=train)
        reason = f"Turn {turn} to be trained on again" if train else f"Turn {turn} not to be trained on"
        return self._change(conversation, turn, changed, reason, corrector, row_version, note)

    def _read(self, conversation_id: ConversationId, turn: int) -> Conversation:
        found = conversations.get(self._db, ConversationId(parse_uuid(conversation_id, "conversation")))
        if not 1 <= turn <= len(found.turns):
            raise InvalidInput(
                f"There is no turn {turn}.", remedy=f"The conversation has turns 1 to {len(found.turns)}."
            )
        return found

    def _change(
        self,
        before: Conversation,
        turn: int,
        changed: Turn,
        reason: str,
        corrector: str,
        row_version: int | None,
        note: str | None,
    ) -> Corrected:
        turns = [*before.turns[: turn - 1], changed, *before.turns[turn:]]
        after = replace(before, turns=turns)
        assessment = self._assess(after)
        done = store.correct(
            self._db,
            before.id,
            row_version or before.row_version,
            turn,
            content_columns(turns, assessment),
            reason=reason,
            note=remark(note),
            corrector=person_name(corrector),
        )
        _require(done, turn)
        return Corrected(
            version=done.version,
            score_before=before.quality_score,
            score=assessment.score,
            blockers=[finding.message for finding in assessment.blockers],
            was_decided=done.previous_status != ConversationStatus.PENDING_REVIEW,
            warning=self._write_documents(before),
        )

    def _assess(self, conversation: Conversation) -> Assessment:
        """Hold it against the rules, and against what its writer was asked where one is known."""
        try:
            return self._enrichment.record(conversation).assessment
        except NotAllowed:
            cast = Cast(conversation.scenario, None, None, None)
            return assess(conversation.turns, cast=cast, prompt=None, standard=self._standard)

    def _write_documents(self, conversation: Conversation) -> str:
        """Bring its documents up to date; the correction stands whatever becomes of them."""
        if conversation.final_path is None and conversation.enriched_path is None:
            return ""
        try:
            self._enrichment.enrich(conversation.id)
        except BrightRunError as fault:
            return f"Its documents could not be written: {fault.message}"
        return ""


def _require(done: store.Outcome, turn: int) -> None:
    if done.outcome == "corrected":
        return
    if done.outcome == "missing":
        raise NotFound("The conversation no longer exists.", remedy="Go back to the list.")
    if done.outcome == "same":
        raise NotAllowed(f"Turn {turn} is as it was; nothing was changed.")
    deed = f"corrected turn {done.turn}" if done.turn else f"set it to {done.status.replace('_', ' ')}"
    when = f" at {done.at.astimezone():%H:%M}" if done.at else ""
    raise Conflict(
        f"{done.by or 'Somebody'} {deed}{when}, while you had it open.",
        remedy="Nothing was overwritten. Look at it as it stands now, then correct it again.",
    )
