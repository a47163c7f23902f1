"""Near-duplicates: found in a batch and among what is approved, and marked on the row for whoever reviews it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Job
from brightrun.domain.ids import ConversationId
from brightrun.domain.review import ConversationFilter, Decision
from brightrun.domain.rules import MARKS
from brightrun.services.clusters import shingles
from brightrun.services.duplicates import jaccard, near_duplicates
from tests.unit.services.test_diversity import WORDS

Write = Callable[[list[str]], tuple[Job, list[ConversationId]]]
TEXT = " ".join(WORDS[:90])


def say(dsn: str, job: Job, texts: list[str]) -> list[ConversationId]:
    """Give the conversations of a job, oldest first, these texts."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        rows = connection.execute(
            "select id from conversations where job_id = %s order by created_at, id", [job.id]
        ).fetchall()
        for (key,), text in zip(rows, texts, strict=True):
            turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "Yes."}]
            connection.execute("update conversations set turns = %s where id = %s", [json.dumps(turns), key])
    return [ConversationId(str(key)) for (key,) in rows]


@pytest.fixture
def wrote(app: App, dsn: str, start: Callable[..., Job]) -> Write:
    def write(texts: list[str]) -> tuple[Job, list[ConversationId]]:
        job = start(len(texts))
        while app.batches.process_next(job.id).job.is_open:
            pass
        return job, say(dsn, job, texts)

    return write


def flagged(app: App) -> set[ConversationId]:
    chosen = ConversationFilter(flag="NEAR_DUPLICATE")
    return {ConversationId(row["id"]) for row in app.reviews.page(chosen)}


def test_a_batch_that_has_ended_is_looked_through_by_itself(
    app: App, start: Callable[..., Job], dsn: str
) -> None:
    """Nobody has to ask: with its last item, what repeats an earlier conversation is flagged."""
    job = start(3)
    for _ in range(2):
        app.batches.process_next(job.id)
    first, _ = say(dsn, job, [TEXT, TEXT])
    assert not flagged(app)
    assert not app.batches.process_next(job.id).job.is_open
    (row,) = app.reviews.page(ConversationFilter(flag="NEAR_DUPLICATE"))
    (mark,) = app.reviews.read(ConversationId(row["id"])).marks
    assert mark["other"] == first


def test_the_later_of_two_is_flagged_and_names_the_earlier(app: App, wrote: Write) -> None:
    """Rejecting what is flagged keeps one of each; a second look finds the same, and a corrected one is let go."""
    job, ids = wrote([TEXT, f"{TEXT} olo", " ".join(reversed(WORDS[:90]))])
    found = app.duplicates.mark_job(job.id)
    assert (found.looked_at, found.approved, found.marked) == (3, 0, 1)
    assert flagged(app) == {ids[1]}
    (mark,) = app.reviews.read(ids[1]).marks
    assert (mark["code"], mark["other"], mark["severity"]) == ("NEAR_DUPLICATE", ids[0], "warning")
    assert app.duplicates.mark_job(job.id) == found
    app.corrections.correct(ids[1], 1, "Something else altogether, please.", corrector="ana")
    assert flagged(app) == set()
    assert app.duplicates.mark_job(job.id).marked == 0


def test_a_look_leaves_rows_alone_that_it_does_not_change(app: App, wrote: Write, dsn: str) -> None:
    """Thousands that repeat nothing are neither locked nor written, and whoever reviews them waits for nobody."""
    job, _ = wrote([TEXT, " ".join(reversed(WORDS[:90])), TEXT])
    query = "select id, xmin::text, xmax::text from conversations where job_id = %s order by created_at, id"
    with psycopg.connect(dsn, autocommit=True) as connection:
        before = connection.execute(query, [job.id]).fetchall()
        assert app.duplicates.mark_job(job.id).marked == 1
        after = connection.execute(query, [job.id]).fetchall()
    assert before[:2] == after[:2]
    assert before[2] != after[2]


def test_what_repeats_an_approved_one_of_another_batch_is_flagged(app: App, wrote: Write) -> None:
    """A batch is held against all that is approved; what was rejected elsewhere or here is no reason."""
    _, (first,) = wrote([TEXT])
    job, ids = wrote([TEXT, "Quite another thing, in a few words."])
    assert app.duplicates.mark_job(job.id).marked == 0
    app.reviews.decide([app.reviews.seen(first)], Decision.APPROVED, reviewer="ana")
    found = app.duplicates.mark_job(job.id)
    assert (found.approved, found.marked) == (1, 1)
    assert "an approved conversation" in str(app.reviews.read(ids[0]).marks[0]["message"])


def test_a_mark_is_no_change_of_the_conversation(app: App, wrote: Write) -> None:
    """Whoever was reading decides as before; reading answers again sees no difference and keeps the mark."""
    job, ids = wrote([TEXT, TEXT])
    before = app.reviews.read(ids[1])
    app.duplicates.mark_job(job.id)
    after = app.reviews.read(ids[1])
    assert (after.row_version, after.version, after.status) == (
        before.row_version,
        before.version,
        before.status,
    )


def test_the_database_and_the_rules_know_the_same_marks(dsn: str) -> None:
    """A code that marks a row is one of the named rules."""
    with psycopg.connect(dsn) as connection:
        (codes,) = connection.execute("select public.mark_codes()").fetchone() or ([],)
    assert set(codes) == set(MARKS)


def test_a_set_of_one_text_is_looked_through_in_little_time_and_every_copy_found() -> None:
    """Where everything is the same, nobody waits for each to be held against all, and only the first is let be."""
    texts = [(f"t{n:04d}", TEXT) for n in range(400)]
    found = near_duplicates(texts)
    assert {later for _, later, _ in found} == {key for key, _ in texts[1:]}
    assert len(found) <= 400 * 20


def test_short_texts_are_found_again_too() -> None:
    """Fewer words than a shingle has, none at all, or in any script: the same text is the same, and no other is."""
    short = [
        "",
        "Yes.",
        "No.",
        "Thank you so much",
        "Thank you so very much",
        "謝謝",
        "Grüße",
        "one two",
        "two one",
    ]
    texts = [(f"{copy}{n}", text) for copy in "ab" for n, text in enumerate(short)]
    assert [pair[:2] for pair in near_duplicates(texts)] == [(f"a{n}", f"b{n}") for n in range(len(short))]


def test_no_text_is_mixed_with_the_one_beside_it() -> None:
    """Thousands are sketched at a time: a copy is found wherever it stands, and neighbours do not count as one text."""
    chosen = random.Random(4)
    texts = [(f"t{n:04d}", " ".join(chosen.choices(WORDS, k=1 + n % 40))) for n in range(2_300)]
    copies = [(f"c{n}", texts[n][1]) for n in (0, 38, 39, 998, 999, 1_000, 1_999, 2_299)]
    found = {(one, other): alike for one, other, alike in near_duplicates([*texts, *copies])}
    assert {other for _, other in found} >= {key for key, _ in copies}
    told = dict([*texts, *copies])
    for (one, other), alike in found.items():
        assert alike == jaccard(frozenset(shingles(told[one])), frozenset(shingles(told[other]))) >= 0.8


@pytest.mark.parametrize("likeness", [0.5, 0.6, 0.8, 0.9])
def test_copies_are_found_among_many_that_are_somewhat_alike(likeness: float) -> None:
    """Where every text shares its half with the others, as a template makes them, no copy is lost among them."""
    chosen = random.Random(3)
    texts = [
        (f"t{n:04d}", f"{' '.join(WORDS[:40])} {' '.join(chosen.choices(WORDS, k=60))}") for n in range(300)
    ]
    copies = [(f"{key}c", text.replace(text.split()[-1], "changed")) for key, text in texts[:40]]
    exact = {
        (one[0], other[0])
        for place, one in enumerate([*texts, *copies])
        for other in [*texts, *copies][place + 1 :]
        if jaccard(frozenset(shingles(one[1])), frozenset(shingles(other[1]))) >= likeness
    }
    assert len(exact) >= 10
    assert {pair[:2] for pair in near_duplicates([*texts, *copies], likeness=likeness)} == exact
