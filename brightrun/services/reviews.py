"""Reviewing: lists to choose from, one conversation to read, decisions that never get lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brightrun import saol
from brightrun.domain.conversation import Conversation, ConversationStatus
from brightrun.domain.errors import InvalidInput, NotAllowed, NotFound
from brightrun.domain.ids import ConversationId, parse_uuid
from brightrun.domain.person import Action
from brightrun.domain.review import ConversationFilter, Decision, Last, Review, Seen, Verdict, read_reasons
from brightrun.domain.text import clean
from brightrun.services.rights import needs
from brightrun.stores import conversations
from brightrun.stores import reviews as store

MAX_PAGE = 100
TEXTS_AT_ONCE = 100


class Reviews:
    """What a reviewer does in a day."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db

    def page(
        self,
        chosen: ConversationFilter,
        *,
        sort: str = "newest",
        limit: int = 50,
        offset: int = 0,
        total: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return one page of display rows; raises InvalidInput for an unknown order or size.

        `total` is how many match, where that is known: a page near the end is then read from there.
        """
        if sort not in conversations.SORTS:
            raise InvalidInput(
                f"There is no order {sort!r}.", remedy=f"Use {', '.join(conversations.SORTS)}."
            )
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidInput(f"A page holds 1 to {MAX_PAGE} rows, not {limit}.")
        if total is None:
            total = conversations.count(self._db, chosen)
        return conversations.page(self._db, chosen, sort=sort, limit=limit, offset=offset, total=total)

    def count(self, chosen: ConversationFilter) -> int:
        return conversations.count(self._db, chosen)

    def count_statuses(self, chosen: ConversationFilter) -> dict[ConversationStatus, int]:
        """Return how many match in each status, whichever status the filter names."""
        return conversations.count_statuses(self._db, chosen.narrowed(status=None))

    def facets(self) -> dict[str, Any]:
        """Return what conversations can be filtered by: models, writers, flags, template versions."""
        return conversations.facets(self._db)

    def index_texts(self) -> int:
        """Prepare every text that waits for it to be searched; returns how many.

        A search finds those that wait as well, only slower. Safe to call from any number of places at once.
        """
        total = 0
        while number := conversations.index_texts(self._db, TEXTS_AT_ONCE):
            total += number
        return total

    def read(self, conversation_id: ConversationId) -> Conversation:
        """Return one conversation; raises NotFound, or InvalidInput where that is no id."""
        return conversations.get(self._db, ConversationId(parse_uuid(conversation_id, "conversation")))

    def find(self, text: str) -> ConversationId:
        """Return the conversation that an id, a business key, or an unambiguous prefix of one names.

        Raises NotFound, naming what fits where that is more than one.
        """
        digits = text.strip().lower().replace("-", "")
        if not digits or len(digits) > 32 or any(c not in "0123456789abcdef" for c in digits):
            raise NotFound(
                f"{text!r} is not a conversation id.", remedy="The address of the reader ends in it."
            )
        low, high = (parse_uuid(digits.ljust(32, fill), "conversation") for fill in "0f")
        found = conversations.ids_between(self._db, low, high, limit=6)
        if not found:
            raise NotFound(
                f"There is no conversation {text!r}.", remedy="The address of the reader ends in it."
            )
        if len(found) > 1:
            listed = ", ".join(found_id[:13] for found_id in found[:5])
            raise NotFound(
                f"{text!r} fits more than one conversation: {listed}…", remedy="Give more of the id."
            )
        return found[0]

    def seen(self, conversation_id: ConversationId) -> Seen:
        """Return a conversation as it stands now, to be decided on; one that does not exist is at version 0."""
        try:
            known = ConversationId(parse_uuid(conversation_id, "conversation"))
        except InvalidInput:
            return Seen(conversation_id, 0)
        return Seen(known, conversations.row_version(self._db, known) or 0)

    def history(self, conversation_id: ConversationId) -> list[Review]:
        """Return every decision on a conversation, newest first."""
        return store.history(self._db, conversation_id)

    @needs(Action.REVIEW)
    def decide(
        self,
        seen: Sequence[Seen],
        decision: Decision,
        *,
        reviewer: str,
        reason: str | None = None,
        note: str | None = None,
    ) -> Verdict:
        """Decide on rows as the reviewer saw them; what changed since is left alone and named."""
        if not seen:
            raise InvalidInput("Nothing is selected.", remedy="Select at least one conversation.")
        why = self._reason(decision, reason)
        return store.decide(
            self._db, seen, decision, reviewer=person_name(reviewer), reason=why, note=remark(note)
        )

    @needs(Action.REVIEW)
    def decide_matching(
        self,
        chosen: ConversationFilter,
        decision: Decision,
        *,
        reviewer: str,
        reason: str | None = None,
        note: str | None = None,
    ) -> Verdict:
        """Decide on everything a filter matches, in one step that can be undone as one."""
        why = self._reason(decision, reason)
        return store.decide_matching(
            self._db, chosen, decision, reviewer=person_name(reviewer), reason=why, note=remark(note)
        )

    @needs(Action.REVIEW)
    def undo(self, operation_id: str, *, reviewer: str) -> tuple[int, int]:
        """Take a decision back; returns how many rows were undone, and how many others had changed since."""
        return store.undo(self._db, operation_id, reviewer=person_name(reviewer))

    def last(self, *, reviewer: str) -> Last | None:
        """Return a reviewer's newest decision of the last hour that can still be taken back."""
        return store.last(self._db, reviewer=person_name(reviewer))

    def reasons(self) -> list[str]:
        """Return the reasons a conversation may be rejected for."""
        return store.reasons(self._db)

    @needs(Action.SET_REASONS)
    def set_reasons(self, before: Sequence[str], text: str) -> tuple[str, ...]:
        """Put the lines of a text in the place of the reasons its editor saw; older decisions keep theirs.

        Raises InvalidInput for an unusable list, and NotAllowed where somebody else changed it meanwhile.
        """
        reasons = read_reasons(text)
        if not store.set_reasons(self._db, before, reasons):
            raise NotAllowed(
                "Somebody else has changed the reasons meanwhile.", remedy="Look at theirs, then change them."
            )
        return reasons

    def _reason(self, decision: Decision, reason: str | None) -> str | None:
        """Return a reason as it is kept; one for rejecting stands in the list."""
        text = remark(reason)
        if text and decision is Decision.REJECTED and text not in (known := self.reasons()):
            raise InvalidInput(
                f"“{text[:60]}” is not among the reasons for rejecting.",
                remedy=f"Use one of: {', '.join(known)}; a note may say anything.",
            )
        return text


def person_name(reviewer: str) -> str:
    """Return the name of whoever acts; raises InvalidInput for none."""
    name = reviewer.strip()
    if not name:
        raise InvalidInput("A decision needs a reviewer.", remedy="Give your name.")
    return name


def remark(value: str | None) -> str | None:
    """Return a reason or note as it is kept, None for an empty one; raises InvalidInput for a long one."""
    text = clean(value or "").strip()
    if len(text) > 2000:
        raise InvalidInput("A reason or note may hold 2,000 characters.", remedy="Shorten it.")
    return text or None
