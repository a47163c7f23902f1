"""Filters: one meaning for lists, counts and decisions, whatever is combined."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun import saol
from brightrun.bootstrap import App
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import InvalidInput
from brightrun.domain.review import ConversationFilter, Decision
from brightrun.stores.conversations import SORTS
from tests.seed import Seed, seed_conversations


@pytest.fixture
def sixty(app: App, tmp_path: Path) -> App:
    """Sixty imported conversations of different words, lengths, models and tiers."""
    path = tmp_path / "sixty.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for number in range(60):
            words = " ".join(["more"] * (number % 7 + 1))
            talk = [
                {"role": "user", "content": f"About\nitem{number}, if you please?"},
                {"role": "assistant", "content": f"Colour{number % 3} it is: {words}."},
            ]
            entry = {"messages": talk * (1 + number % 2), "model": f"model-{number % 4}"}
            file.write(json.dumps(entry | {"tier": ("scenario", "edge_case")[number % 2]}) + "\n")
    app.imports.take(path, actor="ana")
    return app


@pytest.mark.parametrize(
    ("pairs", "number"),
    [
        (["text=colour1"], 20),
        (["text=item7"], 1),
        (['text="item7 if you"'], 1),
        (["text=colour1 -item1"], 19),
        (["text=' or 1=1 --"], 0),
        (["model=model-2"], 15),
        (["model=model-2", "tier=edge_case"], 0),
        (["min_turns=3"], 30),
        (["max_turns=2", "tier=scenario"], 30),
        (["min_words=9", "max_words=9"], 5),
        (["since=2000-01-01", "until=2999-01-01"], 60),
        (["until=2000-01-01"], 0),
        (["flag=REPEATED_TURN"], 21),  # of thirty that repeat a turn, those whose turn is long enough to be told
        (["blocked=yes"], 0),
        (["blocked=no", "writer=import"], 60),
        (["writer=demo"], 0),
    ],
)  # fmt: skip
def test_each_filter_finds_what_it_says(sixty: App, pairs: list[str], number: int) -> None:
    """Every condition, alone and with others, counts, lists and decides on the same conversations."""
    chosen = ConversationFilter.parse(pairs)
    assert sixty.reviews.count(chosen) == number
    assert len(sixty.reviews.page(chosen, limit=100)) == number
    assert sixty.reviews.decide_matching(chosen, Decision.NEEDS_REVISION, reviewer="ana").decided == number


@pytest.mark.parametrize("sort", SORTS)
def test_pages_tell_every_conversation_once_in_their_order(sixty: App, sort: str) -> None:
    """Read page by page, from either end, a list holds every match once and in one order."""
    chosen = ConversationFilter(tier="scenario")
    whole = [row["id"] for row in sixty.reviews.page(chosen, sort=sort, limit=100)]
    assert len(set(whole)) == 30
    for size in (1, 4, 7):
        parts = [
            row["id"]
            for offset in range(0, 30, size)
            for row in sixty.reviews.page(chosen, sort=sort, limit=size, offset=offset)
        ]
        assert parts == whole
    column = {"n": "created_at", "o": "created_at", "b": "quality_score", "w": "quality_score"}.get(
        sort[0], "word_count"
    )
    values = [row[column] for row in sixty.reviews.page(chosen, sort=sort, limit=100)]
    assert values == sorted(values, reverse=sort in ("newest", "best", "longest"))


@pytest.mark.parametrize(
    "pair",
    [
        *(
            "colour=red",
            "status=perfect",
            "min_score=eleven",
            "min_score=11",
            "since=yesterday",
            "job=1",
            "x",
        ),
        "blocked=perhaps",
    ],
)
def test_a_filter_that_cannot_be_read_is_named(pair: str) -> None:
    """A misspelt key or an impossible value is refused; it never widens what is decided on."""
    with pytest.raises(InvalidInput, match=pair.split("=")[0]):
        ConversationFilter.parse([pair])


def test_a_key_that_is_given_twice_is_refused() -> None:
    """Who gives a key two values decides on nothing until it is clear which of them is meant, under any of its names."""
    for pairs in (["tier=scenario", "tier=template"], ["persona=a", "persona_key=b"]):
        with pytest.raises(InvalidInput, match="is given twice"):
            ConversationFilter.parse(pairs)


def test_what_nothing_can_match_is_refused() -> None:
    """A finding that is none and bounds the wrong way round say so, instead of finding nothing."""
    for pairs, said in (
        (["flag=near_duplicates"], "Did you mean NEAR_DUPLICATE"),
        (["flag=bogus"], "Findings are"),
        (["min_score=8", "max_score=3"], "min_score 8 is above max_score 3"),
        (["min_words=9", "max_words=8"], "the other way round"),
    ):
        with pytest.raises(InvalidInput) as refused:
            ConversationFilter.parse(pairs)
        assert said in f"{refused.value} {refused.value.remedy}"


def test_what_to_write_instead_is_said() -> None:
    """Whoever gets a filter wrong is told its values; whoever looks for signs, that only words are looked for."""
    for pair, said in {"status=perfect": "approved", "job=af52": "whole id", "text=😀 %_": "emoji"}.items():
        with pytest.raises(InvalidInput) as refused:
            ConversationFilter.parse([pair])
        assert said in refused.value.remedy
    assert not ConversationFilter.parse(["text=שלום"]).is_wordless


def test_the_database_refuses_a_condition_it_does_not_know(app: App) -> None:
    """A filter with an unknown key matches nothing and says so, in every function that takes one."""
    for function in ("count_conversations", "matching_conversations"):
        result = saol.agent_execute_rpc(app.reviews._db, function, {"p_filter": {"colour": "red"}})
        assert not result.success


@given(text=st.text(max_size=60))
def test_any_search_is_only_a_search(text: str) -> None:
    """Whatever is typed into the search is a value: a filter of it is made or refused, nothing else."""
    chosen = ConversationFilter(text=text)
    assert chosen.to_json() == {"text": text}


def test_words_of_a_long_turn_are_found_and_break_nothing(app: App, tmp_path: Path) -> None:
    """A turn of a megabyte of different words is stored, and its first words are found."""
    content = "needle " + " ".join(f"w{number}" for number in range(150_000))
    talk = [{"role": "user", "content": content}, {"role": "assistant", "content": "Yes."}]
    (tmp_path / "l.jsonl").write_text(json.dumps({"messages": talk}))
    app.imports.take(tmp_path / "l.jsonl", actor="ana")
    assert app.reviews.count(ConversationFilter(text="needle", status=ConversationStatus.PENDING_REVIEW)) == 1


@pytest.mark.parametrize("is_indexed", [False, True])
def test_words_are_found_between_signs(app: App, tmp_path: Path, is_indexed: bool) -> None:
    """Whoever looks for leaked markup, addresses or amounts finds them by their words, as they stand or in part."""
    said = "<script>alert(1)</script> and/or https://example.com/way, 10-15 at bob@mail.org &amp; -7 well-known 3.5"
    talk = [{"role": "user", "content": said}, {"role": "assistant", "content": "Yes."}]
    (tmp_path / "s.jsonl").write_text(json.dumps({"messages": talk}))
    app.imports.take(tmp_path / "s.jsonl", actor="ana")
    if is_indexed:
        app.reviews.index_texts()
    asked = (
        *("script", "<script>", "alert", "<script>alert(1)", "or", "and/or", "example", "example.com"),
        *("https://example.com/way", "15", "10-15", "bob", "bob@mail.org", "amp", "&amp;", "7", "3.5"),
        *("well-known", "known", '"well known"', "script -harbour"),
    )
    assert [text for text in asked if app.reviews.count(ConversationFilter(text=text)) != 1] == []
    for text in ("-script", "yes -script", "example.net", "scrip"):
        assert app.reviews.count(ConversationFilter(text=text)) == 0, text


def test_a_search_finds_what_has_not_been_indexed_yet(app: App, tmp_path: Path) -> None:
    """Words written or changed a moment ago are found, and words that are gone are not, indexed or not."""
    talk = [{"role": "user", "content": "About the harbour."}, {"role": "assistant", "content": "Yes."}]
    (tmp_path / "h.jsonl").write_text(json.dumps({"messages": talk}))
    app.imports.take(tmp_path / "h.jsonl", actor="ana")
    harbour, meadow = ConversationFilter(text="harbour"), ConversationFilter(text="meadow")
    assert app.reviews.count(harbour) == 1
    db = app.reviews._db
    talk[0]["content"] = "About the meadow."
    saol.agent_update(
        db, "conversations", {"turns": talk}, where=[("writer", "eq", "import")], returning=False
    ).require()
    for _ in range(2):
        assert (app.reviews.count(harbour), app.reviews.count(meadow)) == (0, 1)
        app.reviews.index_texts()
    assert app.reviews.index_texts() == 0


def test_a_search_never_takes_every_text_apart(app: App, dsn: str) -> None:
    """With thousands of indexed conversations a search goes by the index; only texts that are due are read."""
    seed_conversations(dsn, [Seed(number, words=2) for number in range(2_000)])
    app.reviews.index_texts()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze public.conversations, public.conversation_texts")
        found = connection.execute('select public.filter_condition(\'{"text": "matter"}\')').fetchone()
        assert found
        plan = connection.execute(
            f"explain (format json) select count(*) from public.conversations c where {found[0]}"  # type: ignore[arg-type]
        ).fetchone()
    assert plan
    scans = [node for node in nodes(plan[0][0]["Plan"]) if "words_of" in str(node.get("Filter"))]
    assert [node["Node Type"] for node in scans] == ["Subquery Scan"], scans


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a plan's nodes, the outer ones first."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)
