"""Reading an answer: forgiving about its wrapping, strict about its shape, never a crash."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.domain.answer import accept, parse_turns
from brightrun.domain.conversation import MAX_TURNS, Turn
from brightrun.domain.errors import AnswerCut, AnswerFault, AnswerIncomplete, AnswerRefused, AnswerUnreadable
from brightrun.domain.writing import Answer, Usage

TURNS = [
    {"role": "user", "content": "May I ask?"},
    {"role": "assistant", "content": 'Of course: "yes" {really}.'},
]
PLAIN = json.dumps({"turns": TURNS})


def answer(text: str, **changes: Any) -> Answer:
    made = Answer(text=text, model="m", stop_reason="end_turn", usage=Usage(10, 10))
    return replace(made, **changes)


def said(found: list[Turn]) -> list[str]:
    return [turn.content for turn in found]


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        json.dumps(TURNS),
        json.dumps({"messages": TURNS}),
        f"```json\n{PLAIN}\n```",
        f"Here it is:\n```\n{PLAIN}\n```\nI hope it helps.",
        f"Sure! {PLAIN} Anything else?",
        f"  \n{json.dumps({'turns': TURNS}, indent=2)}\n",
        f"\ufeff{PLAIN}",
        f"I fill the {{gaps}} [1] as you asked: {PLAIN}",
        f"Here are the turns: {json.dumps(TURNS)}. Enjoy!",
        f"```json {PLAIN}```",
        f"```JSON\n{PLAIN}",
        PLAIN.replace("}]}", "},\n ] , }"),
        PLAIN[:-1] + ', "notes": "a, ]",}',
    ],
)
def test_wrapping_is_forgiven(text: str) -> None:
    """JSON alone, in a code fence or inside prose becomes the same turns."""
    assert said(parse_turns(text)) == ["May I ask?", 'Of course: "yes" {really}.']


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("I would rather not.", "not JSON"),
        (PLAIN[: len(PLAIN) // 2], "not JSON"),
        ('{"turns": []}', "empty"),
        ('{"talk": []}', "no list of turns"),
        ('{"turns": {"role": "user"}}', "no list of turns"),
        ('{"turns": ["hello"]}', "Turn 1 is no object"),
        ('{"turns": [{"role": "human", "content": "hello"}]}', "role 'human'"),
        ('{"turns": [{"role": "user", "content": 7}]}', "Turn 1 has no text"),
        ('{"turns": [{"role": "user"}]}', "Turn 1 has no text"),
        ('{"turns": NaN}', "not JSON"),
        ("__import__('os').system('true')", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"turns": ' + "9" * 5000 + "}", "not JSON"),
        (json.dumps({"turns": [TURNS[0]] * (MAX_TURNS + 1)}), "are allowed"),
        (json.dumps([{"role": "user", "content": "🙂" * 500_001}], ensure_ascii=False), "bytes"),
        ('{"turns": [{"role": ["user"], "content": "hello"}]}', "Turn 1 has the role none"),
        (f'{{"turns": {json.dumps(TURNS)}, "more": [{json.dumps(TURNS)}', "not JSON"),
        ("null", "neither an object nor a list"),
    ],
)
def test_what_cannot_be_used_is_named(text: str, reason: str) -> None:
    """An answer that is no conversation is refused with what is wrong, and never evaluated."""
    with pytest.raises(AnswerUnreadable, match=reason):
        parse_turns(text)


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ('{"turns": [\n  {"role" "user"}]}', "line 2, column 11", "expecting ':' delimiter"),
        ('Sure {so}!\n\n```json\n{"turns": [\n{"role": user}]}\n```', "line 5, column 10", "expecting value"),
        ('{"turns": [{"role": "user", "content": "it bre', "line 1, column 40", "unterminated string"),
        ('{"a": "NaN and 1e999",\n "b": 1e999}', "line 2, column 7", "out of range"),
        ('{"turns": [1,\n -Infinity]}', "line 2, column 2", "-Infinity is no JSON number"),
        ("Well:\n" + '[{"x":' * 200_000, "line 2, column 1", "nested too deeply"),
    ],
)
def test_the_first_fault_is_named_with_its_place(text: str, place: str, what: str) -> None:
    """A person finds the fault in the raw answer: its line and column count from the answer's start."""
    with pytest.raises(AnswerUnreadable, match="not JSON at") as caught:
        parse_turns(text)
    assert place in str(caught.value)
    assert what in str(caught.value)


def test_a_line_break_inside_a_text_is_kept() -> None:
    """A raw line break in a string is a slip that leaves no doubt about the text."""
    assert said(parse_turns('[{"role": "user", "content": "one\ntwo"}]')) == ["one\ntwo"]


def test_a_piece_of_a_broken_answer_is_no_answer() -> None:
    """What lies inside JSON that breaks off later is never taken for the conversation."""
    inner = json.dumps({"turns": TURNS})
    for text in (
        f'{{"drafts": [{inner}], "turns": [{{"role"',
        f'[{inner}, {{"role": ',
        f'{{"a": {inner} "b"}}',
    ):
        with pytest.raises(AnswerUnreadable, match="not JSON at"):
            parse_turns(text)


@pytest.mark.parametrize(
    "text",
    [
        "```" + "\n" * 1_900_000,
        "``` `" * 380_000,
        "{" + '\\"' * 900_000,
        '{"a":"' + '\\"' * 900_000,
        '{"a":' * 380_000,
        "[" * 1_900_000,
        "{" + "," * 1_900_000,
        "[1" + ", " * 900_000,
        '{"turns": [' + "9" * 1_900_000,
        "[" + "9e9," * 400_000 + "1e999]",
        "{" + '"' * 1_900_000,
    ],
    ids=range(11),
)
def test_no_text_takes_long(text: str) -> None:
    """Two megabytes made to be slow are read in the time of two megabytes."""
    started = time.monotonic()
    with pytest.raises(AnswerUnreadable):
        parse_turns(text)
    assert time.monotonic() - started < 5


def test_characters_no_database_holds_are_taken_out() -> None:
    """NUL and other control characters vanish, half characters become a visible mark, the rest stays."""
    text = json.dumps({"turns": [{"role": "user", "content": "a\0b\x07 c\ud83d d\u2028e 🙂\n"}]})
    assert said(parse_turns(text)) == ["ab c\ufffd d\u2028e 🙂"]


def test_an_emotion_outside_its_range_is_left_out() -> None:
    """A feeling's intensity is a number from 0 to 1, or it is not there."""
    contexts = [0.5, 1, 1.5, -1, "high", True, None]
    listed = [
        {"role": "user", "content": "x", "emotional_context": {"primary_emotion": "joy", "intensity": i}}
        for i in contexts
    ]
    found = [turn.emotion.intensity if turn.emotion else "none" for turn in parse_turns(json.dumps(listed))]
    assert found == [0.5, 1.0, None, None, None, None, None]


def test_an_emotion_without_a_name_is_left_out() -> None:
    """What says nothing is no feeling."""
    contexts = [{"primary_emotion": name} for name in ("", "\0", None, 7)] + ["joy"]
    listed = [{"role": "user", "content": "x", "emotional_context": context} for context in contexts]
    assert [turn.emotion for turn in parse_turns(json.dumps(listed))] == [None] * 5


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded"])
def test_a_cut_answer_is_never_taken_for_whole(reason: str) -> None:
    """An answer cut at the token limit is refused even when what is there happens to be valid JSON."""
    with pytest.raises(AnswerCut):
        accept(answer(PLAIN, stop_reason=reason))


def test_a_refusal_says_its_category() -> None:
    """A refusal is told apart from a broken answer, with the reason the model gave."""
    with pytest.raises(AnswerRefused, match="cyber") as caught:
        accept(answer("", stop_reason="refusal", refusal_category="cyber", refusal_explanation="no"))
    assert (caught.value.code, caught.value.category, caught.value.explanation) == ("refusal", "cyber", "no")


@pytest.mark.parametrize("reason", ["pause_turn", "tool_use", None, "something_new"])
def test_any_other_stop_is_incomplete(reason: str | None) -> None:
    """A stop reason that means no end is not an end."""
    with pytest.raises(AnswerIncomplete, match="incomplete"):
        accept(answer(PLAIN, stop_reason=reason))


@given(st.text(max_size=400))
def test_no_text_crashes_the_reader(text: str) -> None:
    """Whatever a model writes becomes turns or one documented error."""
    try:
        found = parse_turns(text)
    except AnswerFault:
        return
    assert found


SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["turns", "role", "content", "x"]), inner)
    ),
    max_leaves=15,
)


@given(SHAPES)
def test_no_json_crashes_the_reader(data: Any) -> None:
    """Any JSON of any shape becomes turns or one documented error."""
    try:
        found = parse_turns(json.dumps(data))
    except AnswerFault:
        return
    assert all(isinstance(turn.content, str) for turn in found)
