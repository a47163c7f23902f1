"""The canonical form: what trainers would drop, cut or misread in silence never gets that far."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.domain.canonical import Mend, Rule, estimate_tokens, prepare
from brightrun.domain.conversation import Role, Turn
from brightrun.domain.correction import Correction, leaves_pair
from brightrun.domain.dataset import DatasetOptions
from brightrun.domain.errors import InvalidInput
from brightrun.domain.formats import SHAPES, Format, sidecar_line, verdicts_by_format
from brightrun.domain.report import Survey
from brightrun.domain.spreadsheet import csv_head, csv_turns
from brightrun.domain.training import conversation
from tests.unit.domain.material import TALK, row

HARD = 'one\u2028two\u2029three\x85four "five" 🙂 \\ six\nseven'
PLAIN = DatasetOptions()
NOW = datetime(2026, 12, 2, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<[|"), min_size=1).filter(
    str.strip
)


def bad(*said: tuple[object, object]) -> Any:
    return row(messages=[{"role": role, "content": content} for role, content in said])


PITFALLS = [
    ([], Rule.NO_MESSAGES),
    ([("user", "a")], Rule.NO_ASSISTANT),
    ([("assistant", "a"), ("user", "b"), ("assistant", "c")], Rule.ASSISTANT_FIRST),
    ([("user", "a"), ("assistant", "b"), ("user", "c")], Rule.TRAILING_USER),
    ([("user", "a"), ("user", "b"), ("assistant", "c")], Rule.SAME_ROLE_TWICE),
    ([("user", "a"), ("system", "s"), ("assistant", "c")], Rule.SYSTEM_PLACE),
    ([("system", "a"), ("system", "s"), ("user", "u"), ("assistant", "c")], Rule.SYSTEM_PLACE),
    ([("human", "a"), ("assistant", "c")], Rule.UNKNOWN_ROLE),
    ([("user", "a"), ("assistant", "")], Rule.EMPTY_CONTENT),
    ([("user", "a"), ("assistant", " \n")], Rule.EMPTY_CONTENT),
    ([("user", "a"), ("assistant", "\0")], Rule.EMPTY_CONTENT),
    ([("user", "a"), ("assistant", None)], Rule.EMPTY_CONTENT),
    ([("user", "a"), ("assistant", 7)], Rule.NOT_TEXT),
    ([("user", "a"), ("assistant", [{"type": "image", "url": "x"}])], Rule.NOT_TEXT),
    ([("user", "a"), ("assistant", "c<|im_end|>")], Rule.CONTROL_TOKEN),
    ([("user", "[INST] a"), ("assistant", "c")], Rule.CONTROL_TOKEN),
    ([("user", "a"), ("assistant", "c</s>")], Rule.CONTROL_TOKEN),
    ([("user", "a"), ("assistant", "<start_of_turn>c")], Rule.CONTROL_TOKEN),
    ([("user", "a\ud83d"), ("assistant", "c")], Rule.HALF_CHARACTER),
]


@pytest.mark.parametrize(("said", "rule"), PITFALLS)
def test_what_would_ruin_a_training_run_is_named_and_left_out(said: Any, rule: Rule) -> None:
    """Each shape that trainers drop, cut, misread or die of is named by its rule, and no row comes of it."""
    prepared = prepare(bad(*said), PLAIN)
    assert rule in {breach.rule for breach in prepared.breaches}
    assert prepared.rows == ()
    assert all(breach.sentence().endswith(".") for breach in prepared.breaches)


def test_what_is_mended_is_counted() -> None:
    """Text in blocks, control characters and decomposed letters become what loaders read, and are counted."""
    prepared = prepare(
        bad(
            ("user", [{"type": "text", "text": "Where"}, {"type": "text", "text": "?"}]),
            ("assistant", "Cafe\u0301\0."),
        ),
        PLAIN,
    )
    (made,) = prepared.rows
    assert [m["content"] for m in made.messages] == ["Where?", "Café."]
    assert prepared.mends == (Mend.FLATTENED, Mend.CLEANED)


def test_a_trailing_question_is_dropped_only_on_request() -> None:
    """With the option, everything before the unanswered turn leaves; without it, nothing does."""
    prepared = prepare(
        bad(("user", "a"), ("assistant", "b"), ("user", "c")), DatasetOptions(drop_trailing_user=True)
    )
    assert [m["content"] for m in prepared.rows[0].messages] == ["a", "b"]
    assert prepared.mends == (Mend.TRAILING_USER_DROPPED,)


def test_the_system_text_goes_into_the_first_turn_on_request() -> None:
    """For templates without a system role, the system text stands in front of the first question."""
    (made,) = prepare(row("Hello?", "Yes.", system="Be kind."), DatasetOptions(merge_system=True)).rows
    assert made.messages[0] == {"role": "user", "content": "Be kind.\n\nHello?"}


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8), st.integers(64, 400))
def test_a_long_conversation_is_cut_between_exchanges(pairs: list[tuple[str, str]], limit: int) -> None:
    """Every part stands by itself, nothing is lost or doubled, and a part is over length only as one exchange."""
    whole = row(*(text for pair in pairs for text in pair), system="Be kind.")
    expected = prepare(whole, PLAIN).rows[0]
    parts = prepare(whole, DatasetOptions(split_tokens=limit)).rows
    assert [m for part in parts for m in part.spoken] == list(expected.spoken)
    assert len({part.id for part in parts}) == len(parts)
    for part in parts:
        assert prepare(part, PLAIN).breaches == ()
        assert part.system == "Be kind."
        assert estimate_tokens(part.messages) <= limit or len(part.spoken) == 2


@pytest.mark.parametrize("options", [{"validation": 0.6}, {"test": -0.1}, {"split_tokens": 3}])
def test_shares_and_lengths_that_make_no_sense_are_refused(options: dict[str, float]) -> None:
    """A split without training rows, or a cut after every word, is refused with a remedy."""
    with pytest.raises(InvalidInput):
        DatasetOptions(**options)  # type: ignore[arg-type]


def test_a_training_line_holds_training_columns_only() -> None:
    """Trainers see messages, an id and who wrote them; everything else stands in the sidecar under the same id."""
    (data,) = SHAPES[Format.MESSAGES].encode(row())
    line, side = json.loads(data), json.loads(sidecar_line(row()))
    assert set(line) == {"id", "writer", "messages"}
    assert [m["content"] for m in line["messages"]] == list(TALK)
    assert side["id"] == line["id"]
    assert (side["reviewer"], side["decision"], side["quality_score"]) == ("ana", "approved", 8.5)


RESERVED = {"images", "labels", "input_ids", "text", "tools", "metadata"}


@pytest.mark.parametrize("chosen", list(SHAPES))
def test_a_line_is_one_line_to_every_reader(chosen: Format) -> None:
    """Unusual line ends inside a text never cut its line in two, and no column is one a trainer takes for another."""
    made = row(
        HARD,
        "Yes.",
        first_messages=[{"role": "user", "content": HARD}, {"role": "assistant", "content": "No."}],
    )
    written = list(SHAPES[chosen].encode(made))
    assert written
    for line in written:
        assert len(line.decode("utf-8").splitlines()) == 1
        assert line.endswith(b"\n")
        assert HARD in _texts(json.loads(line))
        assert not RESERVED & set(json.loads(line))


def _texts(data: Any) -> list[str]:
    if isinstance(data, str):
        return [data]
    inner = data.values() if isinstance(data, dict) else data if isinstance(data, list) else []
    return [text for part in inner for text in _texts(part)]


def test_words_that_fail_a_nova_job_keep_a_row_out_of_that_file_alone() -> None:
    """Bedrock's reserved words cost a row its place in Bedrock's file, and the report counts it."""
    made = row("User: who am I?", "You.")
    assert list(SHAPES[Format.BEDROCK].encode(made)) == []
    assert list(SHAPES[Format.MESSAGES].encode(made))
    survey = Survey()
    survey.add(made, prepare(made, PLAIN))
    assert survey.to_json()["bedrock_reserved"] == 1


def cells(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'"])
def test_no_cell_of_the_csv_is_a_formula(start: str) -> None:
    """A text that a spreadsheet would run is shown as text, and gives back its exact self."""
    text = f'{start}HYPERLINK("http://leak.invalid")'
    (first, _) = cells(csv_head() + csv_turns(row(text, "Fine.")))
    assert first["content"] == f"'{text}"


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
        min_size=2,
        max_size=4,
    )
)
def test_every_text_comes_back_from_the_csv(texts: list[str]) -> None:
    """Commas, quotes, line ends and any alphabet survive the way through a spreadsheet's file."""
    found = [c["content"] for c in cells(csv_head() + csv_turns(row(*texts)))]
    guards = ("=", "+", "-", "@", "\t", "\r", "'")
    assert [c[1:] if c.startswith("'") and c[1:].startswith(guards) else c for c in found] == texts


def test_the_report_says_how_long_the_rows_are() -> None:
    """Rows over each length are counted, and what stands on which side."""
    survey = Survey()
    for _ in range(3):
        made = row("Hello?", "word " * 1200)
        survey.add(made, prepare(made, PLAIN))
    report = survey.to_json()
    assert report["tokens"]["over"] == {"1024": 3, "2048": 0, "4096": 0, "8192": 0}
    assert report["splits"] == {"train": 3, "validation": 0, "test": 0}


SIX = (
    *TALK,
    "And if I am late with it by a day or two?",
    "A day costs ten cents, so nothing to lose sleep over.",
)


def encoded(chosen: Format, made: Any) -> list[Any]:
    return [json.loads(line) for line in SHAPES[chosen].encode(made)]


def test_an_answer_kept_out_of_training_is_kept_out_wherever_a_format_can() -> None:
    """OpenAI's weight is 0, no completion and no pair is made of it; it stays in what later answers follow."""
    made = row(*SIX, system="You help.", skipped=frozenset({1}))
    (openai,) = encoded(Format.OPENAI, made)
    assert [m.get("weight") for m in openai["messages"]] == [None, None, 0, None, 1, None, 1]
    completions = encoded(Format.PROMPT_COMPLETION, made)
    assert [line["completion"][0]["content"] for line in completions] == [SIX[3], SIX[5]]
    assert SIX[1] in [m["content"] for m in completions[0]["prompt"]]
    pairs = conversation(made)["training_pairs"]
    assert [pair["target_response"] for pair in pairs] == [SIX[3], SIX[5]]
    first = [
        {"role": m["role"], "content": f"{m['content']} Before." if n % 2 else m["content"]}
        for n, m in enumerate(made.spoken)
    ]
    chosen = encoded(Format.DPO, replace(made, first_messages=first))
    assert [line["chosen"][0]["content"] for line in chosen] == [SIX[3], SIX[5]]
    assert json.loads(sidecar_line(made))["skipped"] == [3]
    assert "skipped" not in json.loads(sidecar_line(row(*SIX)))


@pytest.mark.parametrize(
    ("before", "now", "trained", "number"),
    [
        (("Why?", "No."), ("Why?", "Because."), True, 1),
        (("Why?", "No."), ("Why?", "No."), True, 0),
        (("Why?", "No."), ("How?", "Because."), True, 0),
        (("Why?", "No."), ("Why?", "Because."), False, 0),
        (("Why?", " "), ("Why?", "Because."), True, 0),
        (("Why?", "No.<|im_end|>"), ("Why?", "Because."), True, 0),
    ],
)
def test_pairs_are_promised_where_the_file_holds_them(
    before: tuple[str, str], now: tuple[str, str], trained: bool, number: int
) -> None:
    """What is asked before freezing and what is written say the same, also of first answers no trainer could take."""
    roles = (Role.USER, Role.ASSISTANT)
    changes = [
        Correction(n + 2, n + 1, Turn(role, before[n]), Turn(role, now[n], train=trained), "ana", None, NOW)
        for n, role in enumerate(roles)
        if before[n] != now[n] or (role is Role.ASSISTANT and not trained)
    ]
    first = [{"role": role.value, "content": text} for role, text in zip(roles, before, strict=True)]
    made = replace(row(*now, skipped=frozenset() if trained else frozenset({1})), first_messages=first)
    assert len(encoded(Format.DPO, made)) == number
    assert leaves_pair(changes) is (number > 0)


@pytest.mark.parametrize("chosen", [f for f, shape in SHAPES.items() if not shape.can_skip])
def test_where_a_format_cannot_skip_what_follows_the_last_trained_answer_is_cut(chosen: Format) -> None:
    """A last answer that is kept out of training is in no line; one in the middle is counted and said."""
    (line,) = SHAPES[chosen].encode(row(*SIX, skipped=frozenset({1, 5})))
    assert SIX[5].encode() not in line
    assert SIX[3].encode() in line
    made = row(*SIX, skipped=frozenset({1, 5}))
    assert made.skipped_within == 1
    assert (
        "1 before a trained answer are trained all the same" in verdicts_by_format(1)[Format.MESSAGES.value]
    )
    assert set(verdicts_by_format(0)) == {f.value for f in Format} - {"folder", "zip"}


def test_verdicts_follow_their_answers_into_parts_and_merged_texts() -> None:
    """Cutting a conversation or merging its system text moves no verdict to another answer."""
    made = row(*SIX, system="You help.", skipped=frozenset({3}))
    parts = prepare(made, DatasetOptions(split_tokens=64)).rows
    kept = [line for part in parts for line in encoded(Format.PROMPT_COMPLETION, part)]
    assert [line["completion"][0]["content"] for line in kept] == [SIX[1], SIX[5]]
    (merged,) = prepare(made, DatasetOptions(merge_system=True)).rows
    (openai,) = encoded(Format.OPENAI, merged)
    assert [m.get("weight") for m in openai["messages"]] == [None, 1, None, 0, None, 1]


def test_a_conversation_of_skipped_answers_only_is_left_out_by_name() -> None:
    """Where nothing would be trained, nothing leaves, and the rule says why."""
    prepared = prepare(row(skipped=frozenset({1, 3})), PLAIN)
    assert [breach.rule for breach in prepared.breaches] == [Rule.ALL_SKIPPED]
    assert not prepared.rows
