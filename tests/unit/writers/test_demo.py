"""The demo writer's text: as asked, varied, and fit to be read."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brightrun.domain.writing import Order
from brightrun.writers.demo import DemoWriter, demo_turns
from tests.unit.writers.orders import CATEGORIES, CORE_ARCS, EDGE_ARCS, arc, order, persona, topic

PEOPLE = (
    persona(),
    persona("Omar Haddad", "Nurse, night shifts", "direct"),
    persona("Li Wei", "Retired", "warm"),
)
A_BEFORE_VOWEL = re.compile(r"\ba (?!one\b|uni|use|euro)[aeio]\w+", re.IGNORECASE)
AN_BEFORE_CONSONANT = re.compile(r"\ban (?!hour|hono|heir|[A-Z]{2})[bcdfghjklmnpqrstvwxz]\w+", re.IGNORECASE)


def contents(turns: list[dict[str, object]]) -> list[str]:
    return [str(turn["content"]) for turn in turns]


def feelings(turns: list[dict[str, object]]) -> list[tuple[str, float]]:
    contexts = [turn["emotional_context"] for turn in turns]
    return [(c["primary_emotion"], c["intensity"]) for c in contexts if isinstance(c, dict)]


def assert_readable(text: str) -> None:
    """No leftovers of the patterns, no doubled spaces or marks, whole sentences."""
    assert text[-1] in ".?!", text
    assert text[0].isupper(), text
    assert not re.search(r"  |[{}\[\]|<>]|\.\.|,\.| [.,;?!]", text), text
    assert not A_BEFORE_VOWEL.search(text), text
    assert not AN_BEFORE_CONSONANT.search(text), text


def core_orders(words: tuple[int, int] = (60, 150)) -> list[Order]:
    cells = list(itertools.product(PEOPLE, CORE_ARCS, CATEGORIES))
    return [
        order(persona=who, arc=arc(*what), topic=topic(about), turns=6 + 2 * (n % 3), words=words)
        for n, (who, what, about) in enumerate(cells)
    ]


@pytest.mark.parametrize("words", [(40, 120), (60, 150), (120, 260)])
def test_follows_the_order_and_reads_well(words: tuple[int, int]) -> None:
    """Every combination gets the asked turns, alternating, within the asked lengths, in clean English."""
    for each in core_orders(words):
        turns = demo_turns(each)
        assert [turn["turn_number"] for turn in turns] == list(range(1, each.prompt.turns + 1))
        assert [turn["role"] for turn in turns] == ["user", "assistant"] * (each.prompt.turns // 2)
        for number, text in enumerate(contents(turns)):
            low, high = words if number % 2 else (15, 60)
            assert low <= len(text.split()) <= high, text
            assert_readable(text)


def test_no_sentence_twice_in_a_conversation() -> None:
    """Within one conversation nobody says the same sentence again."""
    for each in core_orders():
        sentences = Counter(re.split(r"(?<=[.?!]) ", " ".join(contents(demo_turns(each)))))
        assert sentences.most_common(1)[0][1] == 1, sentences.most_common(1)


def test_a_batch_is_varied() -> None:
    """In a batch no conversation is another's copy, hardly any answer is, and openings differ."""
    batch = [contents(demo_turns(each)) for each in core_orders()]
    answers = [text for talk in batch for text in talk[1::2]]
    openings = Counter(" ".join(text.split()[:4]) for text in answers)
    assert len({tuple(talk) for talk in batch}) == len(batch)
    assert len(set(answers)) > 0.95 * len(answers)
    assert openings.most_common(1)[0][1] < 0.1 * len(answers)


def test_feelings_follow_the_arc() -> None:
    """The client starts where the arc starts, ends where it ends, and moves evenly between."""
    for each in core_orders():
        assert each.cast.arc
        felt = feelings(demo_turns(each))
        user = felt[::2]
        assert user[0][0] == each.cast.arc.starting_emotion
        assert user[-1][0] == felt[-1][0] == each.cast.arc.ending_emotion
        assert 0.75 <= user[0][1] <= 0.9
        assert 0.35 <= user[-1][1] <= 0.5
        assert [level for _, level in user] == sorted((level for _, level in user), reverse=True)


def test_persona_topic_and_arc_are_heard() -> None:
    """Who speaks, what about and with which concepts can be told from the text of a batch."""
    heard = " ".join(
        " ".join(contents(demo_turns(each))) for each in core_orders() if each.cast.persona == PEOPLE[1]
    )
    for expected in (
        "Omar",
        "a nurse",
        "being judged",
        "pro-rata rule",
        "saving for retirement",
        "one honest number",
    ):
        assert expected in heard
    assert "as a mirror" not in heard
    assert "dry humor" not in heard


def test_the_same_order_gives_the_same_bytes() -> None:
    """Writing an item again costs nothing and changes nothing; another seed gives another text."""
    writer = DemoWriter()
    one = order(persona=PEOPLE[0], arc=arc(*CORE_ARCS[0]), topic=topic())
    assert writer.write(one).body == DemoWriter().write(one).body
    other = order(persona=PEOPLE[0], arc=arc(*CORE_ARCS[0]), topic=topic(), seed=2)
    assert writer.write(one).body != writer.write(other).body


def test_it_never_passes_for_a_model() -> None:
    """Whatever model the job names, the answer says demo, costs nothing and reports no tokens."""
    writer = DemoWriter()
    body = writer.write(order(topic=topic(), model="claude-opus-5-5")).body
    assert json.loads(body)["writer"] == "demo"
    assert writer.read(body).model == "demo"
    usage = writer.read(body).usage
    assert usage
    assert usage.output_tokens == 0
    assert b"claude" not in body


@pytest.mark.parametrize("number", range(3))
def test_difficult_arcs_have_their_own_course(number: int) -> None:
    """Crisis, hostility and panic keep to the asked length, and are not met with ordinary advice."""
    for about, turns in itertools.product(CATEGORIES, (8, 12)):
        each = order(
            persona=PEOPLE[0], arc=arc(*EDGE_ARCS[number], category="edge"), topic=topic(about), turns=turns
        )
        talk = contents(demo_turns(each))
        for text in talk[1::2]:
            assert 60 <= len(text.split()) <= 150
            assert_readable(text)


def test_a_crisis_gets_help_and_no_financial_advice() -> None:
    """A person in despair is asked whether they are safe, given a number to call, and told nothing of funds."""
    for about in CATEGORIES:
        each = order(
            persona=PEOPLE[0], arc=arc(*EDGE_ARCS[0], category="edge"), topic=topic(about), words=(80, 220)
        )
        answers = " ".join(contents(demo_turns(each))[1::2])
        assert "are you safe" in answers
        assert "988" in answers
        assert not re.search(r"fund|401|interest|budget|tax|invest|list of|scale", answers), answers


@pytest.mark.parametrize("happy", ["true", "false"])
def test_free_variables_are_woven_in(happy: str) -> None:
    """A row of any CSV is spoken by its own person, and the talk ends as the row asks."""
    row = {
        "scenario": "You are Nora Quist and would like to move your dental cleaning.\nYour card number is 4471.",
        "domain": "dentist",
        "ends_happily": happy,
        "assistant_role": "Help the user move their appointment.",
        "favorite_day": "Tuesday",
    }
    turns = demo_turns(order(variables=row, words=(40, 120), seed=4))
    said = " ".join(contents(turns)[::2])
    assert "I am Nora Quist and would like to move my dental cleaning." in said
    assert "My card number is 4471." in said
    assert "The favorite day is Tuesday." in said
    assert "you are Nora Quist and would like to move your dental cleaning" in contents(turns)[1]
    assert feelings(turns)[-1][0] == ("satisfaction" if happy == "true" else "disappointment")
    refused = re.search(r"I am sorry|Unfortunately", contents(turns)[-3])
    assert bool(refused) == (happy == "false")
    for text in contents(turns):
        assert_readable(text)


def test_instructions_to_crowd_workers_are_not_spoken() -> None:
    """Text meant for whoever filled in the scenario does not end up in anybody's mouth."""
    row = {
        "scenario": "Come up with your own scenario! About you: - Your name: Ann Lee - Today is Monday.",
        "task": "a_b",
    }
    said = " ".join(contents(demo_turns(order(variables=row, words=(30, 90)))))
    assert "My name is Ann Lee." in said
    assert "Today is Monday." in said
    assert "Come up with" not in said


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=12), st.text(max_size=80), max_size=5),
    st.sampled_from([2, 4, 8, 14]),
    st.booleans(),
)
def test_any_text_in_a_scenario_can_be_written(
    variables: dict[str, str], turns: int, scaffolded: bool
) -> None:
    """Whatever stands in a CSV or a persona, the writer answers with valid, ordered turns."""
    odd = next(iter(variables.values()), "")
    each = order(
        persona=persona(name=odd, occupation=odd) if scaffolded else None,
        topic=topic(category=odd, key=odd) if scaffolded else None,
        variables=variables,
        turns=turns,
    )
    body = DemoWriter().write(each).body
    written = json.loads(DemoWriter().read(body).text)["turns"]
    assert len(written) == turns
    for turn in written:
        assert turn["content"].strip()
        assert not re.search(r"  |\{\w+\}|\x00", turn["content"])


@pytest.mark.parametrize("turns", [2, 4, 20, 40])
@pytest.mark.parametrize("words", [(5, 15), (100, 105), (200, 400)])
def test_unusual_lengths_are_kept(turns: int, words: tuple[int, int]) -> None:
    """Very short, very long and very narrow answers come in the asked length too."""
    for scaffolding in (
        {"topic": topic(), "arc": arc(*CORE_ARCS[3])},
        {"variables": {"request": "Book a table."}},
    ):
        for text in contents(demo_turns(order(turns=turns, words=words, **scaffolding)))[1::2]:  # type: ignore[arg-type]
            assert words[0] <= len(text.split()) <= words[1], text


def test_it_takes_the_seconds_it_is_told() -> None:
    """With a delay the bar can be watched moving, and the delay is reported."""
    assert DemoWriter(seconds=0.05).write(order(topic=topic())).seconds >= 0.05
    assert "demo" in DemoWriter().check()
