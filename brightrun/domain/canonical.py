"""The one form every file is written from, and the strict rules a conversation must keep to get there.

Trainers drop, cut or misread what breaks these rules, most of them without a word: no library checks all
of it. A conversation either passes whole, is mended where mending is safe and counted, or is left out by name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from brightrun.domain.dataset import ROLES, DatasetOptions, Message, Row
from brightrun.domain.text import CONTROL_TOKEN, UNSTORABLE, is_storable

BYTES_A_TOKEN = 4
"""No tokenizer can be had without the internet, so tokens are estimated from UTF-8 bytes, and said to be."""
TOKENS_A_MESSAGE = 4
"""What a chat template adds around a message."""
_INVISIBLE = (
    "".join(map(chr, range(33)))
    + "\x7f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000"
    + "".join(map(chr, range(0x2000, 0x200B)))
)
"""White space and control characters: a text of nothing else is empty."""
HALF = re.compile("[\ud800-\udfff]")


class Rule(StrEnum):
    """What a conversation is left out for."""

    NO_MESSAGES = "no_messages"
    """There are no messages."""
    UNKNOWN_ROLE = "unknown_role"
    """A role is none of system, user, assistant."""
    SYSTEM_PLACE = "system_place"
    """A system message is not the first, or there are two."""
    NO_ASSISTANT = "no_assistant"
    """The assistant never speaks, so nothing would be trained."""
    ASSISTANT_FIRST = "assistant_first"
    """The user does not begin."""
    SAME_ROLE_TWICE = "same_role_twice"
    """Two turns of one role follow one another."""
    TRAILING_USER = "trailing_user"
    """The assistant does not have the last word."""
    NOT_TEXT = "not_text"
    """A message's content is not text."""
    EMPTY_CONTENT = "empty_content"
    """A message is empty; trained on, it teaches to answer nothing."""
    CONTROL_TOKEN = "control_token"
    """A text holds a chat template's control token, which would act as one."""
    HALF_CHARACTER = "half_character"
    """A text holds half a character, which loaders turn into another shape."""
    ALL_SKIPPED = "all_skipped"
    """A reviewer keeps every answer out of training, so nothing would be trained."""


class Mend(StrEnum):
    """What was made fit instead of being left out."""

    FLATTENED = "flattened"
    """Content in blocks became one text."""
    CLEANED = "cleaned"
    """Control characters were taken out, and letters composed (NFC)."""
    SYSTEM_MERGED = "system_merged"
    """The system text went in front of the first user turn."""
    TRAILING_USER_DROPPED = "trailing_user_dropped"
    """A last user turn without an answer was left out."""
    CUT = "cut"
    """A long conversation was cut into parts."""


SENTENCES: Mapping[Rule, str] = {
    Rule.NO_MESSAGES: "It has no messages.",
    Rule.UNKNOWN_ROLE: "A role is none of system, user, assistant.",
    Rule.SYSTEM_PLACE: "A system message is not the first, or there are two.",
    Rule.NO_ASSISTANT: "The assistant never speaks, so nothing would be trained.",
    Rule.ASSISTANT_FIRST: "The user does not begin.",
    Rule.SAME_ROLE_TWICE: "Two turns of one role follow one another.",
    Rule.TRAILING_USER: "The assistant does not have the last word.",
    Rule.NOT_TEXT: "The content is not text.",
    Rule.EMPTY_CONTENT: "The content is empty; trained on, it teaches to answer nothing.",
    Rule.CONTROL_TOKEN: "The text holds a chat template's control token.",
    Rule.HALF_CHARACTER: "The text holds half a character.",
    Rule.ALL_SKIPPED: "Every answer is kept out of training, so nothing would be trained.",
}


@dataclass(frozen=True, slots=True)
class Breach:
    """One rule a conversation breaks, and the message (from 1) where it does."""

    rule: Rule
    message: int | None = None

    def sentence(self) -> str:
        place = f"Message {self.message}: " if self.message else ""
        return place + SENTENCES[self.rule]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of one conversation: rows that may leave, or the rules it breaks."""

    rows: tuple[Row, ...]
    breaches: tuple[Breach, ...]
    mends: tuple[Mend, ...]


def prepare(row: Row, options: DatasetOptions) -> Prepared:
    """Bring a conversation into the canonical form, or name every rule it breaks."""
    mends: list[Mend] = []
    messages = [_flat(message, mends) for message in row.messages]
    if options.drop_trailing_user and len(messages) > 1 and messages[-1].get("role") == "user":
        messages.pop()
        mends.append(Mend.TRAILING_USER_DROPPED)
    breaches = _breaches(messages)
    if row.skipped and not breaches and len(row.skipped) >= sum(m["role"] == "assistant" for m in messages):
        breaches = [Breach(Rule.ALL_SKIPPED)]
    if breaches:
        return Prepared((), tuple(breaches), tuple(dict.fromkeys(mends)))
    clean: list[Message] = [_clean(message, mends) for message in messages]
    if options.merge_system and clean[0]["role"] == "system":
        merged = f"{clean[0]['content']}\n\n{clean[1]['content']}"
        clean = [{"role": "user", "content": merged}, *clean[2:]]
        mends.append(Mend.SYSTEM_MERGED)
    if row.first_messages or clean != row.messages:  # most rows are as they should be
        first = [_clean(message, []) for message in row.first_messages] if row.first_messages else None
        row = replace(row, messages=clean, first_messages=first)
    rows = _parts(row, options.split_tokens)
    if len(rows) > 1:
        mends.append(Mend.CUT)
    return Prepared(rows, (), tuple(dict.fromkeys(mends)))


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Return about how many tokens a conversation is: four bytes each, and four for each message's frame."""
    return sum(
        TOKENS_A_MESSAGE + -(-len(message["content"].encode()) // BYTES_A_TOKEN) for message in messages
    )


def _flat(message: Mapping[str, object], mends: list[Mend]) -> dict[str, object]:
    """Return role and content alone; text in blocks becomes one text."""
    content = message.get("content")
    if isinstance(content, list | tuple) and content and all(map(_is_text_block, content)):
        content = "".join(block["text"] for block in content)
        mends.append(Mend.FLATTENED)
    return {"role": message.get("role"), "content": content}


def _is_text_block(block: object) -> bool:
    return isinstance(block, Mapping) and block.get("type") == "text" and isinstance(block.get("text"), str)


def _breaches(messages: Sequence[Mapping[str, object]]) -> list[Breach]:
    if not messages:
        return [Breach(Rule.NO_MESSAGES)]
    roles = [message["role"] for message in messages]
    spoken = [role for role in roles if role != "system"]
    found = [Breach(Rule.UNKNOWN_ROLE, n) for n, role in enumerate(roles, 1) if role not in ROLES]
    found += [Breach(Rule.SYSTEM_PLACE, n) for n, role in enumerate(roles, 1) if n > 1 and role == "system"]
    if "assistant" not in roles:
        found.append(Breach(Rule.NO_ASSISTANT))
    if spoken[:1] == ["assistant"]:
        found.append(Breach(Rule.ASSISTANT_FIRST))
    if spoken[-1:] == ["user"]:
        found.append(Breach(Rule.TRAILING_USER))
    if any(one == other for one, other in pairwise(spoken)):
        found.append(Breach(Rule.SAME_ROLE_TWICE))
    for number, message in enumerate(messages, 1):
        rule = _breach_of(message["content"])
        if rule:
            found.append(Breach(rule, number))
    return found


def _breach_of(content: object) -> Rule | None:
    if content is None:
        return Rule.EMPTY_CONTENT
    if not isinstance(content, str):
        return Rule.NOT_TEXT
    if not content.isascii() and HALF.search(content):
        return Rule.HALF_CHARACTER
    if not content.strip(_INVISIBLE):
        return Rule.EMPTY_CONTENT
    # Looking for two letters first is ten times as fast as the expression, and most text has neither.
    if ("<" in content or "[" in content) and CONTROL_TOKEN.search(content):
        return Rule.CONTROL_TOKEN
    return None


def _clean(message: Mapping[str, object], mends: list[Mend]) -> Message:
    before = str(message["content"])
    content = before if is_storable(before) else UNSTORABLE.sub("", before)
    if not content.isascii():
        content = unicodedata.normalize("NFC", content)
    if content != before:
        mends.append(Mend.CLEANED)
    return {"role": str(message["role"]), "content": content}


def _parts(row: Row, limit: int | None) -> tuple[Row, ...]:
    """Cut between exchanges; every part has the system message, begins with the user and ends with the assistant."""
    if limit is None or estimate_tokens(row.messages) <= limit:
        return (row,)
    head = list(row.messages[:1]) if row.system else []
    spoken = row.spoken
    parts: list[list[int]] = []  # places in `spoken`
    for at in range(0, len(spoken), 2):
        longer = [*parts[-1], at, at + 1] if parts else []
        if longer and estimate_tokens([*head, *(spoken[place] for place in longer)]) <= limit:
            parts[-1] = longer
        else:
            parts.append([at, at + 1])
    if len(parts) == 1:
        return (row,)
    made = [
        replace(
            row,
            messages=head + [spoken[place] for place in part],
            skipped=frozenset(place - part[0] for place in row.skipped if place in part),
            part=number,
        )
        for number, part in enumerate(parts, 1)
    ]
    return tuple(one for one in made if len(one.skipped) * 2 < len(one.spoken))
