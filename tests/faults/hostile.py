"""Answers as no model should give them: whole ones, damaged at one to three places, by a seed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from brightrun.domain.conversation import MAX_ANSWER_BYTES, MAX_TURNS

STORED, FAILED, EITHER = "stored", "failed", "either"
"""What must become of an answer: a conversation, a failed item, or whatever its damage left of it."""

WORDS = [
    "well",
    "the",
    "table",
    "by",
    "the",
    "window",
    "is",
    "free",
    "tonight",
    "für",
    "zwei",
    "Personen",
    "à",
    "huit",
    "heures",
    "予約",
    "お願いします",
    "спасибо",
    "شكرا",
    "🙂",
    "👩\u200d👩\u200d👧",
    "naïve",
    "{curly}",
    "[square]",
    "<b>bold</b>",
    '"quoted"',
    "back\\slash",
    "'single'",
    "50%",
    "$5",
    "#1",
    "a_b",
    "*c*",
    "`d`",
]
NASTY = (
    *("\0", "\x01", "\x07", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff", "\u202e", "\u200b"),
    *("\ufffe", "\uffff", "\U0010ffff", "\ud800", "\udfff", "\ud83d", "\r\n", "\t", "e" + "\u0301" * 300),
)
TOKENS = ("<|im_end|>", "<|endoftext|>", "[INST]", "<</SYS>>", "</s>", "<start_of_turn>", "<eos>", "{{name}}")
NUMBERS = ("NaN", "Infinity", "-Infinity", "1e400000", "-1e999", "9" * 400, "9" * 6000)
PROSE = ("Sure!", "Here {it} is:", "I used [1] and {a: b}.", 'Note: "quotes" and it\'s', "# Title\n\n", "…")
JUNK = (
    *("I would rather not.", "__import__('os').system('true')", "<html>502</html>", "turns:\n- role: user"),
    *(
        "null",
        "true",
        "12",
        '"turns"',
        "[]",
        "{}",
        "[[]]",
        '{"turns": null}',
        '{"turns": {}}',
        "{'turns': []}",
    ),
    *("[" * 10_000, '{"a":' * 10_000, "```json\n", "```json\n```", "\0" * 50, "}" * 200, "\\" * 99, '"' * 99),
    *("[" * 10_000 + "]" * 10_000, '{"turns": ' + "[" * 9_999, "```" + "\n" * 9_999, '{"turns": [[]]}'),
)
STOPS: tuple[Any, ...] = (
    *(None, "pause_turn", "tool_use", "compaction", "", "end_turn\0", "END_TURN", 7, True, ["end_turn"], {}),
    *("x" * 100_000, "\ud800", "max_tokens", "model_context_window_exceeded", "refusal"),
)
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**63, 10**200, 0.5, "7", "a\0b", "\ud800" * 3, "x" * 100_000, [], [1], {}),
    {"a": {"b": [None]}},
)


@dataclass
class Draft:
    """An answer in the making; `expect` is what must become of it."""

    chance: random.Random
    turns: list[Any]
    expect: str = STORED
    raw: str | None = None
    """The model's text, where it is no longer the JSON of its turns."""
    wrap: Callable[[str], str] = str
    message: dict[str, Any] = field(default_factory=dict)
    blocks: Callable[[str], Any] = lambda text: [{"type": "text", "text": text}]
    send: Callable[[bytes], bytes] = bytes
    exact: bool = True
    """Whether the stored contents can be foretold word for word."""
    done: list[str] = field(default_factory=list)

    def fails(self, expect: str = FAILED) -> None:
        self.exact = False
        if self.expect != EITHER:
            self.expect = expect

    def text(self) -> str:
        if self.raw is None:
            ascii_only, indent = self.chance.random() < 0.5, self.chance.choice([None, None, 2])
            self.raw = json.dumps({"turns": self.turns}, ensure_ascii=ascii_only, indent=indent)
        return self.wrap(self.raw)

    def body(self) -> bytes:
        usage = {"input_tokens": self.chance.randrange(9000), "output_tokens": self.chance.randrange(9000)}
        whole = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-5-5",
            "content": self.blocks(self.text()),
            "stop_reason": "end_turn",
            "usage": usage,
        }
        # lone surrogates cannot be sent as UTF-8: they come escaped, as from the API
        data = json.dumps(whole | self.message, ensure_ascii=self.chance.random() < 0.3)
        halves = re.compile("[\ud800-\udfff]")
        return self.send(halves.sub(lambda half: f"\\u{ord(half[0]):04x}", data).encode())


@dataclass(frozen=True)
class Hostile:
    """One finished answer: its bytes, what was done to it, what must become of it."""

    body: bytes
    done: tuple[str, ...]
    expect: str
    contents: list[str] | None
    """The contents that must be stored, where they can be foretold."""


def hostile(seed: int, number: int) -> Hostile:
    """Return the answer of that number: the same one whenever it is asked for."""
    chance = random.Random(f"{seed}/{number}")
    draft = Draft(chance, [_turn(chance, place) for place in range(2 * chance.randint(1, 4))])
    chosen = chance.sample(range(len(DAMAGES)), chance.choice([0, 1, 1, 1, 1, 2, 2, 3]))
    for damage in (DAMAGES[place] for place in sorted(chosen)):
        damage(draft)
        draft.done.append(damage.__name__)
    body = draft.body()
    contents = [str(turn["content"]).strip() for turn in draft.turns] if draft.exact else None
    return Hostile(body, tuple(draft.done), draft.expect, contents if draft.expect == STORED else None)


def _turn(chance: random.Random, place: int) -> dict[str, Any]:
    return {
        "turn_number": place + 1,
        "role": ("user", "assistant")[place % 2],
        "content": " ".join(chance.choices(WORDS, k=chance.randint(3, 60))) + ".",
        "emotional_context": {"primary_emotion": "calm", "secondary_emotion": "hope", "intensity": 0.5},
    }


def some(draft: Draft) -> dict[str, Any]:
    """Return one of the turns that are objects."""
    turn: dict[str, Any] = draft.chance.choice([turn for turn in draft.turns if isinstance(turn, dict)])
    return turn


def nasty_characters(draft: Draft) -> None:
    turn, draft.exact = some(draft), False
    text = str(turn["content"])
    for _ in range(draft.chance.randint(1, 5)):
        place = draft.chance.randrange(len(text) + 1)
        text = text[:place] + draft.chance.choice(NASTY) + text[place:]
    turn["content"] = text


def control_tokens(draft: Draft) -> None:
    some(draft)["content"] = f"Say {draft.chance.choice(TOKENS)} now."


def wrong_role(draft: Draft) -> None:
    some(draft)["role"] = draft.chance.choice(["human", "system", "User", "a\0", *ODD])
    draft.fails()


def wrong_content(draft: Draft) -> None:
    some(draft)["content"] = draft.chance.choice([None, 7, True, [], {}, [{"type": "text", "text": "x"}]])
    draft.fails()


def missing_key(draft: Draft) -> None:
    some(draft).pop(draft.chance.choice(["role", "content"]), None)
    draft.fails()


def no_object(draft: Draft) -> None:
    draft.turns.append(draft.chance.choice(["hello", None, 7, [], [1]]))
    draft.fails()


def empty_turn(draft: Draft) -> None:
    some(draft)["content"] = draft.chance.choice(["", " ", "\n\t", "\u3000"])


def wrong_order(draft: Draft) -> None:
    draft.chance.shuffle(draft.turns)


def one_turn(draft: Draft) -> None:
    del draft.turns[1:]


def most_turns(draft: Draft) -> None:
    number = draft.chance.choice([MAX_TURNS, MAX_TURNS + 1, 1000])
    draft.turns[:] = [dict(draft.turns[place % len(draft.turns)]) for place in range(number)]
    if number > MAX_TURNS:
        draft.fails()


def giant(draft: Draft) -> None:
    if draft.chance.random() < 0.9:
        some(draft)["content"] = "long " * draft.chance.randrange(1_000, 9_000) + "end."
        return
    some(draft)["content"] = draft.chance.choice(["x", "😀", "word "]) * draft.chance.choice(
        [300_000, 2_000_001]
    )
    draft.fails(EITHER)


def odd_emotion(draft: Draft) -> None:
    turn, odd = some(draft), draft.chance.choice(ODD)
    names = ["primary_emotion", "secondary_emotion", "intensity"]
    turn["emotional_context"] = draft.chance.choice([odd, {draft.chance.choice(names): odd}])


def extra_keys(draft: Draft) -> None:
    some(draft)[draft.chance.choice(["note", "id", "turns", "messages", ""])] = draft.chance.choice(ODD)


def odd_number(draft: Draft) -> None:
    if write(draft, draft.chance.choice(NUMBERS)):
        draft.fails()


def deep(draft: Draft) -> None:
    depth = draft.chance.choice([100, 10_000])
    if write(draft, "[" * depth + "]" * depth) and depth > 100:
        draft.fails(EITHER)  # how deep a parser goes differs between versions of Python


def write(draft: Draft, literal: str) -> bool:
    """Write the text with a literal in it that JSON would not be made of; once in an answer."""
    if draft.raw is not None:
        return False
    some(draft)["turn_number"] = "@"
    draft.raw = json.dumps({"turns": draft.turns}).replace('"@"', literal)
    return True


def twice_the_same_key(draft: Draft) -> None:
    if draft.raw is None:
        draft.raw = json.dumps({"turns": draft.turns}).replace('"role"', '"role": "user", "role"', 1)


def wrapped(draft: Draft) -> None:
    before, after = draft.chance.choice(PROSE), draft.chance.choice(PROSE)
    fence, nested = draft.chance.choice(["```json\n{}\n```", "```\n{}```", "```JSON {} ```"]), draft.wrap
    shapes: list[Callable[[str], str]] = [
        lambda text: fence.replace("{}", text),
        lambda text: f"{before} {text} {after}",
        lambda text: f"{before}\n{fence.replace('{}', text)}\n{after}",
        lambda text: f"\ufeff{text}",
        lambda text: f" \n\t{text}\r\n ",
        lambda text: re.sub(r"\}(\s*)\]", r"},\1]", text, count=1) if text.startswith("{") else text,
    ]
    shape = draft.chance.choice(shapes)
    draft.wrap = lambda text: shape(nested(text))


def cut_off(draft: Draft) -> None:
    share = draft.chance.random()
    nested = draft.wrap
    draft.wrap = lambda text: nested(text[: int((len(text) - 1) * share)])
    draft.fails()


def scratched(draft: Draft) -> None:
    nested, chance = draft.wrap, random.Random(draft.chance.random())

    def scratch(text: str) -> str:
        for _ in range(chance.randint(1, 6)):
            place, length = chance.randrange(len(text) + 1), chance.choice([0, 1, 1, 7])
            text = (
                text[:place]
                + chance.choice(["", '"', "}", ",", "\\", "\0", "x", "{"])
                + text[place + length :]
            )
        return text

    draft.wrap = lambda text: nested(scratch(text))
    draft.fails(EITHER)


def junk(draft: Draft) -> None:
    draft.raw = draft.chance.choice(JUNK)
    draft.fails()


def odd_stop(draft: Draft) -> None:
    draft.message["stop_reason"] = draft.chance.choice(STOPS)
    if draft.message["stop_reason"] == "refusal":
        odd = draft.chance.choice([*ODD, {"category": draft.chance.choice(ODD), "explanation": "a\0\ud800"}])
        draft.message["stop_details"] = odd
    draft.fails(EITHER if draft.message["stop_reason"] == "end_turn\0" else FAILED)


def odd_usage(draft: Draft) -> None:
    odd = draft.chance.choice(ODD)
    names = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"]
    draft.message["usage"] = draft.chance.choice([odd, {draft.chance.choice(names): odd, "output_tokens": 5}])


def odd_head(draft: Draft) -> None:
    for name in draft.chance.sample(["model", "id", "role", "type", "stop_sequence", "container"], 2):
        draft.message[name] = draft.chance.choice(ODD)


def odd_blocks(draft: Draft) -> None:
    odd: list[Any] = [
        *(
            {"type": "thinking", "thinking": "hm", "signature": "x"},
            {"type": "redacted_thinking", "data": "?"},
        ),
        *({"type": "tool_use", "id": "t", "name": "n", "input": {}}, {"type": "novel", "text": "{}"}),
        *(None, 7, "text", [], {}, {"type": "text"}, {"type": "text", "text": None}, {"text": "{}"}),
    ]
    some_odd = draft.chance.sample(odd, 3)
    share = draft.chance.random()

    def blocks(text: str) -> list[Any]:
        half = int(len(text) * share)
        parts = [{"type": "text", "text": text[:half]}, {"type": "text", "text": text[half:]}]
        return [some_odd[0], parts[0], some_odd[1], parts[1], some_odd[2]]

    draft.blocks = blocks


def no_blocks(draft: Draft) -> None:
    odd = draft.chance.choice([None, "text", 7, [], {}, [[]], [None]])
    draft.blocks = lambda text: odd
    draft.fails()


def odd_bytes(draft: Draft) -> None:
    chance = draft.chance
    share, noise = chance.random(), bytes(chance.randrange(256) for _ in range(30))
    shapes: list[tuple[Callable[[bytes], bytes], str]] = [
        (lambda data: b"\xef\xbb\xbf" + data, STORED),
        (lambda data: b" \r\n" + data + b"\n\n", STORED),
        (lambda data: data[: int((len(data) - 1) * share)], FAILED),
        (lambda data: data + data, FAILED),
        (lambda data: b"data: " + data, FAILED),
        (lambda data: data.decode().encode("utf-16"), FAILED),
        (lambda data: noise, FAILED),
        (lambda data: b"", FAILED),
        (lambda data: data[: int(len(data) * share)] + noise + data[int(len(data) * share) :], EITHER),
        (lambda data: b'{"deep": ' + b"[" * 10_000 + b"]" * 10_000 + b"," + data[1:], EITHER),
        (lambda data: b'{"big": ' + b"9" * 6000 + b"," + data[1:], FAILED),
    ]
    draft.send, expect = chance.choice(shapes)
    if expect != STORED:
        draft.fails(expect)


def too_large(draft: Draft) -> None:
    if draft.chance.random() < 0.02:
        draft.raw = json.dumps({"turns": draft.turns, "note": "x" * MAX_ANSWER_BYTES})
        draft.fails()


DAMAGES: tuple[Callable[[Draft], None], ...] = (
    *(wrong_order, one_turn, most_turns),
    *(giant, control_tokens, empty_turn, nasty_characters, odd_emotion, extra_keys),
    *(wrong_role, wrong_content, missing_key, no_object),
    *(odd_number, deep, twice_the_same_key, too_large, junk),
    *(wrapped, wrapped, wrapped, cut_off, scratched),
    *(odd_stop, odd_usage, odd_head, odd_blocks, no_blocks, odd_bytes),
)
"""In the order in which they are done, so that none undoes what another did."""
