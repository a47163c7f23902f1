"""A conversation with all that the reader shows of it, read at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brightrun.domain.conversation import Conversation
from brightrun.domain.correction import Correction
from brightrun.domain.judging import Verdict
from brightrun.domain.review import Review
from brightrun.domain.revision import Again


@dataclass(frozen=True, slots=True)
class Opened:
    """What was read of one conversation, and when by the clock of this process."""

    conversation: Conversation
    corrections: Sequence[Correction]
    history: Sequence[Review]
    again: Sequence[Again]
    verdicts: Sequence[Verdict]
    at: float
