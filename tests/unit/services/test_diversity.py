"""How varied a set is: people differ, patterns do not, and what is nearly the same is found."""

from __future__ import annotations

import gzip
import json
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from sacrebleu.metrics.bleu import BLEU

from brightrun.bootstrap import open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.diversity import Diversity, Figure
from brightrun.services.diversity import measure
from brightrun.services.duplicates import near_duplicates
from brightrun.stores.diversity import Said
from tests.conftest import SHARED

PEOPLE = SHARED / "star_conversations.jsonl.gz"
WORDS = [
    f"{first}{last}"
    for first in "bcdfghjklmnprst"
    for last in ("olo", "ane", "ury", "ith", "emp", "ora", "ade")
]


def said(number: int, answers: Sequence[str], asked: str = "") -> Said:
    return Said(f"{number:06d}", "\n".join([asked, *answers]), answers)


def varied(count: int, seed: int = 1) -> list[Said]:
    chosen = random.Random(seed)
    return [said(n, [" ".join(chosen.choices(WORDS, k=40)) for _ in range(3)]) for n in range(count)]


def figures(found: Diversity) -> dict[Figure, float]:
    return {tell.figure: tell.value for tell in found.tells}


def test_a_pattern_with_names_filled_in_is_called_templated() -> None:
    """Conversations that differ in a name and a number sound alike, and the figures say so."""
    made = [
        said(
            n,
            [
                f"Thank you for asking, {WORDS[n]}. I hear that this is hard for you.",
                f"Let us look at point {n}.",
            ],
        )
        for n in range(60)
    ]
    found = measure(made)
    assert found.is_templated
    assert {t.figure for t in found.tells if t.warns and t.limit.counts} >= {
        *(Figure.GZIP, Figure.SELF_BLEU),
    }
    assert "sound alike" in found.story()


def test_different_texts_are_varied() -> None:
    """Texts that have nothing in common but their language warn of nothing."""
    found = measure(varied(60))
    assert (found.warnings, found.is_templated, list(found.duplicates)) == (0, False, [])
    assert 0.5 < figures(found)[Figure.VENDI] <= 1.0


def test_too_few_conversations_say_nothing() -> None:
    """Of a handful no figure is given, and the sentence says why; none at all is no error."""
    assert "too few" in measure(varied(5)).story()
    assert measure([]).tells == ()


def test_answers_said_twice_and_empty_ones_are_counted() -> None:
    """The share of repeated answers is what it says, whatever the white space, and empty texts hurt nothing."""
    made = [said(n, ["The same   answer." if n % 2 else f"Another {WORDS[n]} {n}", ""]) for n in range(40)]
    repeated = figures(measure(made))[Figure.REPEATED]
    assert repeated == pytest.approx((20 + 40) / 80)


def test_likeness_of_answers_is_what_sacrebleu_says_of_each_against_all_others() -> None:
    """Counting each answer's words once gives the very figure of the library, with copies and empty answers too."""
    chosen = random.Random(4)
    answers = [" ".join(chosen.choices(WORDS[:12], k=chosen.randrange(9))) for _ in range(38)]
    answers += [answers[0], "Well, it is 3.5% - isn't it?"]
    scores = [
        BLEU(effective_order=True).sentence_score(answer, answers[:place] + answers[place + 1 :]).score
        for place, answer in enumerate(answers)
    ]
    found = figures(measure([said(n, [answer]) for n, answer in enumerate(answers)]))
    assert found[Figure.SELF_BLEU] == pytest.approx(statistics.mean(scores) / 100)
    assert 0.1 < found[Figure.SELF_BLEU] < 0.9


def test_planted_copies_are_found_and_nothing_else() -> None:
    """Of 2,000 texts 100 are altered copies: each is found with its original, and no pair that is not alike."""
    chosen = random.Random(7)
    texts = [(f"t{n}", " ".join(chosen.choices(WORDS, k=200))) for n in range(1_900)]
    planted = set()
    for n in range(100):
        tokens = texts[n][1].split()
        tokens[chosen.randrange(len(tokens))] = "changed"
        texts.append((f"c{n}", " ".join(tokens)))
        planted.add((f"t{n}", f"c{n}"))
    found = {(one, other) for one, other, _ in near_duplicates(texts)}
    assert {tuple(sorted(pair)) for pair in found} == {tuple(sorted(pair)) for pair in planted}


@pytest.mark.shared
@pytest.mark.skipif(not PEOPLE.exists(), reason="the shared data folder is not beside the checkout")
def test_people_are_not_called_templated() -> None:
    """A thousand conversations of people at one task are varied enough, as their published figures say."""
    with gzip.open(PEOPLE, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    random.Random(3).shuffle(rows)
    people = []
    for number, row in enumerate(rows):
        turns = [turn for turn in row["messages"] if turn["role"] != "system"]
        answers = [turn["content"] for turn in turns if turn["role"] == "assistant"]
        people.append(Said(f"{number:06d}", "\n".join(turn["content"] for turn in turns), answers))
    found = measure(people)
    assert not found.is_templated
    assert figures(found)[Figure.VENDI] == pytest.approx(0.654, abs=0.05)
    assert figures(found)[Figure.GZIP] == pytest.approx(4.1, abs=0.5)


def test_the_demo_writer_is_called_templated(dsn: str, tmp_path: Path) -> None:
    """What the demo writer makes by rule is told from what people say, however much its words vary."""
    app = open_app(Settings(home=tmp_path, database_url=dsn, actor="ana"))
    axes = app.scenarios.axes()
    space = app.spaces.space(
        {
            "persona": [p.persona_key for p in axes.personas],
            "topic": [t.topic_key for t in axes.topics],
            "arc": [axes.arcs[0].arc_key],
        }
    )
    plan = app.planner.plan(app.spaces.choose(space).scenarios, JobOptions(WriterName.DEMO, "demo", 16_000))
    job = app.batches.create(plan, name="demo", actor="ana")
    while app.batches.process_next(job.id).job.is_open:
        pass
    assert app.diversity.of_job(job.id).is_templated
    assert app.diversity.of_approved().total == 0
    app.close()


def test_a_set_that_dwells_on_one_combination_is_told() -> None:
    """Combinations used evenly come to one; a set in which one is nearly all warns, where there are two at all."""
    made = varied(60)
    even = [replace(one, cell=f"cell {n % 6}") for n, one in enumerate(made)]
    bent = [replace(one, cell="one" if n else "other") for n, one in enumerate(made)]
    assert figures(measure(even))[Figure.COVERAGE] == pytest.approx(1.0)
    (tell,) = [tell for tell in measure(bent).tells if tell.figure is Figure.COVERAGE]
    assert tell.warns
    assert Figure.COVERAGE not in figures(measure(made))
