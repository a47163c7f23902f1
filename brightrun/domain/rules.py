"""The named rules of a conversation: what each is called, how much it weighs, and why it is there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    BLOCKER = "blocker"
    """Would ruin a training run: the conversation cannot be approved."""
    WARNING = "warning"
    """A reviewer should look."""
    INFO = "info"
    """Worth knowing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is looked for."""

    code: str
    severity: Severity
    reason: str
    """Why it matters, in one sentence."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule saw; `turn` counts from 1."""

    code: str
    severity: Severity
    message: str
    turn: int | None = None
    suggestion: str = ""

    def to_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message,
            "turn": self.turn,
            "suggestion": self.suggestion,
        }


def found(code: str, message: str, turn: int | None = None, suggestion: str = "") -> Finding:
    """Return a finding of a rule, as severe as the rule is."""
    severity = RULES[code].severity
    if severity is Severity.BLOCKER:
        suggestion = suggestion or "Reject it, mend it, or have it written again."
    return Finding(code, severity, message, turn, suggestion)


_BLOCKERS = {
    "INSUFFICIENT_TURNS": "With less than a question and an answer there is nothing to learn.",
    "STARTS_WITH_ASSISTANT": "Chat templates expect the user first; some trainers drop the row, some fail.",
    "ENDS_WITH_USER": "A question that nothing answers trains nothing, and some trainers refuse it.",
    "ROLE_NOT_ALTERNATING": "Two turns of one role are dropped by one trainer and merged by another.",
    "NOTHING_TRAINED": "Where every answer is skipped there is nothing to learn, and the row is left out of datasets.",
    "MISSING_CONTENT": "An empty turn trains the model to say nothing.",
    "TRUNCATED_TURN": "A turn that breaks off trains the model to break off.",
    "CONTROL_TOKEN": "Chat templates act on it: in the middle of a text it ends a turn or begins one.",
    "PLACEHOLDER": "A gap that was never filled would be learned as if people spoke so.",
}
_WARNINGS = {
    "TURN_COUNT": "The conversation is not as long as was ordered.",
    "SEEMS_CUT": "The turn ends in the middle of a sentence.",
    "BROKEN_CHARACTER": "Text that was decoded wrongly is learned as it stands.",
    "SPEAKS_FOR_BOTH": "An assistant that writes the user's lines learns to talk to itself.",
    "SPEAKER_LABEL": "Who speaks is said by the role; a label in the text is learned as part of the answer.",
    "OUT_OF_ROLE": "It speaks of being a model or of the order it was given, instead of being who it plays.",
    "PERSONAL_DATA": "It looks like an address, a number or an account of somebody real.",
    "SHORT_TURN": "Far fewer words than the template asks of an answer.",
    "LONG_TURN": "Far more words than the template asks of an answer.",
    "LONG_CONVERSATION": "Trainers cut what is longer than their limit, mostly without a word.",
    "REPEATED_TURN": "A turn that stands there twice is learned as a habit.",
    "REPEATED_SENTENCE": "A long sentence said in two answers is a pattern, not a conversation.",
    "LOOPING": "One turn says the same again and again.",
    "SAME_OPENING": "Answers that begin alike train a mannerism.",
    "WRONG_NAME": "It calls the persona by somebody else's name.",
    "WRONG_AGE": "The age that is said is not the persona's.",
    "START_INTENSITY": "The first feeling is stronger or weaker than the arc says.",
    "END_INTENSITY": "The last feeling is stronger or weaker than the arc says.",
    "ARC_STANDS_STILL": "The feeling never moves, so the arc is not told.",
    "FORBIDDEN_PHRASE": "The assistant says what the arc tells it never to say.",
}
_INFOS = {
    "NO_FINAL_PUNCTUATION": "The turn ends without a mark; people do so, writers rarely.",
    "START_EMOTION": "The first feeling has another name than the arc's.",
    "END_EMOTION": "The last feeling has another name than the arc's.",
}
_OF_A_SET = {
    "NEAR_DUPLICATE": "Nearly the same conversation is there already: keeping both trains one of them twice.",
    "JUDGED_LOW": "The judge gave two points or less in at least one dimension.",
    "EVIDENCE_NOT_FOUND": "The judge quoted what the conversation does not say, so its verdict is doubtful.",
}
MARKS = tuple(_OF_A_SET)
"""Rules that need more than the conversation itself: what else is there, or a judge."""

RULES: dict[str, Rule] = {
    code: Rule(code, severity, reason)
    for severity, reasons in (
        (Severity.BLOCKER, _BLOCKERS),
        (Severity.WARNING, _WARNINGS | _OF_A_SET),
        (Severity.INFO, _INFOS),
    )
    for code, reason in reasons.items()
}
