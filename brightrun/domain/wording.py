"""What the words of one turn give away: gaps, tokens, broken ends, other people's lines, personal data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from brightrun.domain.conversation import Role, Turn
from brightrun.domain.personal import personal_data
from brightrun.domain.rules import Finding, found
from brightrun.domain.text import CONTROL_TOKEN, word_count

_PLACEHOLDER = re.compile(
    r"\{\{.{0,80}?\}\}|\{%.{0,80}?%\}|\$\{\w{1,40}\}"
    r"|(?<![\w{$\\])\{(?:name|topic|persona|date|amount|[a-z]+(?:_[a-z0-9]+)+)\}"
    r"|\[(?:NAME|PERSONA|TOPIC|AMOUNT|DATE|INSERT[^\]]{0,40}|[Ii]nsert [^\]]{1,40})\]"
    r"|\[(?:YOUR|CLIENT|USER|CUSTOMER|COMPANY|FIRST|LAST)(?:'S)?[ _][A-Z _]{2,30}\]"
    r"|\[(?:[Yy]our|[Cc]lient|[Cc]ustomer|[Cc]ompany|[Ff]irst|[Ll]ast)(?:'s)? (?:[Nn]ame|[Cc]ompany|[Aa]ddress"
    r"|[Cc]ity|[Dd]ate|[Aa]mount|[Nn]umber|[Tt]itle)\]"
    r"|\b[Ll]orem ipsum\b"
)
_LABEL = {
    Role.USER: re.compile(r"^[ \t*]*(?:user|client|customer|human)[*]*\s*:", re.IGNORECASE | re.MULTILINE),
    Role.ASSISTANT: re.compile(
        r"^[ \t*]*(?:assistant|advisor|adviser|agent|bot|ai)[*]*\s*:", re.IGNORECASE | re.MULTILINE
    ),
}
_NARRATED = re.compile(
    r"[\[(*](?:the )?(?:user|client|customer) (?!name|id\b|service)[a-z][^\])*\n]{1,60}[\])*]"
    r"|\bthe (?:user|client|customer) (?:then )?(?:says|replies|answers|responds)\s*[:,]?\s*[\"“]",
    re.IGNORECASE,
)
_NARRATED_HINTS = ("user", "client", "customer")
"""One of these is in whatever the pattern finds: looking for a word is many times faster than for a pattern."""
_OUT_OF_ROLE = re.compile(
    r"\bas an? (?:\w+ )?(?:AI|artificial intelligence|(?:large )?language model)\b(?! (?:engineer|researcher|developer))"
    r"|\bI(?:'m| am|’m) (?:just |only )?an? (?:AI|(?:large )?language model)\b(?! \w+(?:er|or|ist)\b)"
    r"|\bhere(?:'s| is|’s) (?:the|a|your) (?:\w+ ){0,2}(?:conversation|dialogue) (?:you|between|about|with)\b",
    re.IGNORECASE,
)
_OUT_OF_ROLE_HINTS = (" ai", "intelligence", "language model", "conversation", "dialogue")
_FINISHED = re.compile(r"[.!?…][\"'”’)\]*_]*$|[:;][-)DP(]+$|[\U0001f300-\U0001faff☺❤]$")
_CUT = re.compile(r"(?:(?<![:;-])[,(\[{“]|\b(?:and|or|but|the|an|because|your|their))$", re.IGNORECASE)
_CUT_WORDS = 4
"""A shorter last sentence that ends in a comma is a habit of people who type: “Great thanks,”."""
_CUT_ENDS = ('\\"', "\\")
_STOPS = tuple(".!?…")
_MOJIBAKE = re.compile("�|â€[™œ\x9d\x93\x94“”˜]|Ã[©¨¤¶¼ŸÂ±]")


def wording_findings(number: int, turn: Turn) -> Iterator[Finding]:
    """Return what the words of a turn (counted from 1) give away."""
    text = turn.content
    if not text.strip():
        yield found("MISSING_CONTENT", "The turn is empty.", number)
        return
    yield from _end(number, turn)
    if "<" in text or "[" in text:
        control = CONTROL_TOKEN.search(text)
        if control:
            yield found(
                "CONTROL_TOKEN", f"The text holds {control.group()!r}, which trainers act on.", number
            )
    if not text.isascii() and _MOJIBAKE.search(text):
        yield found("BROKEN_CHARACTER", "Characters arrived broken and show as �.", number)
    if "{" in text or "[" in text or "ipsum" in text:
        placeholder = _PLACEHOLDER.search(text)
        if placeholder:
            yield found("PLACEHOLDER", f"{placeholder.group()!r} was left unfilled.", number)
    yield from _speakers(number, turn)
    for kind, value in personal_data(text):
        yield found(
            "PERSONAL_DATA",
            f"It holds what looks like {kind}: {value}.",
            number,
            "Replace it by one that belongs to nobody, such as name@example.com.",
        )


def _end(number: int, turn: Turn) -> Iterator[Finding]:
    text = turn.content.rstrip()
    if text.endswith(_CUT_ENDS) or text.count("```") % 2:
        yield found("TRUNCATED_TURN", "The turn breaks off.", number)
    elif text.endswith(_STOPS):  # as most turns do: neither expression below would find anything
        return
    elif _CUT.search(text[-16:]) and word_count(_last_sentence(text)) >= _CUT_WORDS:
        yield found("SEEMS_CUT", f"The turn ends with “{text.split()[-1][-20:]}”.", number)
    elif turn.role is Role.ASSISTANT and not _FINISHED.search(text[-8:]):
        yield found("NO_FINAL_PUNCTUATION", "The answer ends without punctuation.", number)


def _last_sentence(text: str) -> str:
    end = text[-200:]
    return end[max(map(end.rfind, (*_STOPS, "\n"))) + 1 :]


def _speakers(number: int, turn: Turn) -> Iterator[Finding]:
    text = turn.content
    other = Role.USER if turn.role is Role.ASSISTANT else Role.ASSISTANT
    if ":" in text:
        if _begins_with(_LABEL[other], text):
            yield found(
                "SPEAKS_FOR_BOTH", f"The {turn.role.value} writes lines of the {other.value}.", number
            )
        elif _begins_with(_LABEL[turn.role], text):
            yield found("SPEAKER_LABEL", f"The text says who speaks: “{text[:20].strip()}…”.", number)
    lower = text.lower()
    if turn.role is Role.ASSISTANT and _holds_any(lower, _NARRATED_HINTS):
        narrated = _NARRATED.search(text)
        if narrated:
            yield found(
                "SPEAKS_FOR_BOTH", f"The assistant tells what the user does: “{narrated.group()}”.", number
            )
    role = _OUT_OF_ROLE.search(text) if _holds_any(lower, _OUT_OF_ROLE_HINTS) else None
    if role:
        yield found("OUT_OF_ROLE", f"It speaks of being a model or of its order: “{role.group()}”.", number)


def _begins_with(label: re.Pattern[str], text: str) -> bool:
    """Return whether a line begins with a label; of a single line only the beginning is looked at."""
    return bool(label.search(text) if "\n" in text else label.match(text))


def _holds_any(text: str, hints: Sequence[str]) -> bool:
    return any(map(text.__contains__, hints))
