"""Correcting over both transports: PostgreSQL directly, and supabase-py over a gateway."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.conversation import Conversation
from brightrun.domain.errors import Conflict
from brightrun.domain.ids import ConversationId
from brightrun.domain.review import ConversationFilter, Decision, Seen
from tests.contract.hosted import opened_hosted
from tests.fakes import scenarios

AWKWARD = 'O\'Brien said "no"; {brace} ${dollar}\n\tback\\slash, 100 % 🙂 naïve <b>x</b> \u202eturned\u202c'


@pytest.fixture(params=["postgres", "supabase"])
def app(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> Iterator[App]:
    if request.param == "postgres":
        opened = open_app(Settings(home=tmp_path, database_url=dsn, actor="ana"))
        yield opened
        opened.close()
        return
    with opened_hosted(dsn, tmp_path) as opened:
        yield opened


@pytest.fixture
def conversation(app: App) -> Conversation:
    plan = app.planner.plan(scenarios(1), JobOptions(WriterName.DEMO, "demo", 8000))
    app.batches.process_next(app.batches.create(plan, name="To correct", actor="ana").id)
    return app.reviews.read(ConversationId(app.reviews.page(ConversationFilter())[0]["id"]))


def test_a_correction_is_the_same_on_both_roads(app: App, conversation: Conversation) -> None:
    """The text arrives letter by letter, the version counts up, the original is kept, and it waits again."""
    app.reviews.decide(
        [Seen(conversation.id, conversation.row_version)], Decision.APPROVED, reviewer="ana", note=AWKWARD
    )
    done = app.corrections.correct(conversation.id, 2, AWKWARD, corrector="ana", note=AWKWARD)
    assert (done.version, done.was_decided) == (2, True)
    now = app.reviews.read(conversation.id)
    assert (now.turns[1].content, now.status.value, now.version) == (AWKWARD, "pending_review", 2)
    (kept,) = app.corrections.of(conversation.id)
    assert (kept.before, kept.after.content, kept.note) == (conversation.turns[1], AWKWARD, AWKWARD)
    app.corrections.mark(conversation.id, 4, train=False, corrector="ben")
    assert [t.train for t in app.reviews.read(conversation.id).turns[:4]] == [True, True, True, False]


def test_of_people_who_save_at_once_one_is_first_and_the_others_are_told(
    app: App, conversation: Conversation
) -> None:
    """Whatever the order: one text stands, every other person hears who was first, nothing is half done."""
    people = ["ana", "ben", "cleo", "dan"]
    told: list[str] = []
    won: list[str] = []

    def save(person: str, seen: Conversation) -> None:
        try:
            if Random(person + str(seen.row_version)).random() < 0.3:
                verdict = app.reviews.decide(
                    [Seen(seen.id, seen.row_version)], Decision.NEEDS_REVISION, reviewer=person
                )
                (won if verdict.decided else told).append(person)
                return
            app.corrections.correct(
                seen.id,
                2,
                f"{person} on {seen.row_version}",
                corrector=person,
                row_version=seen.row_version,
            )
            won.append(person)
        except Conflict:
            told.append(person)

    for _ in range(12):
        seen = app.reviews.read(conversation.id)
        threads = [threading.Thread(target=save, args=(person, seen)) for person in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(won) == 1, won
        assert len(told) == len(people) - 1
        now = app.reviews.read(conversation.id)
        assert now.row_version > seen.row_version
        if now.version > seen.version:
            assert now.version == seen.version + 1
            assert now.turns[1].content == f"{won[0]} on {seen.row_version}"
        won.clear()
        told.clear()
    corrections = app.corrections.of(conversation.id)
    assert [c.version for c in corrections] == list(range(2, 2 + len(corrections)))
    for earlier, later in pairwise(corrections):
        assert later.before.content == earlier.after.content, "a correction was made on a text nobody saw"


def test_writing_again_is_the_same_on_both_roads(app: App, conversation: Conversation) -> None:
    """The child knows its parent and the note, letter by letter, and the parent finds its child."""
    job = app.revisions.start(app.revisions.plan(conversation.id, AWKWARD), actor="ben")
    while app.batches.process_next(job.id).job.is_open:
        continue
    (again,) = app.revisions.of(conversation.id)
    assert again.conversation_id
    child = app.reviews.read(again.conversation_id)
    assert child.scenario.revision
    assert (child.scenario.revision.parent_id, child.scenario.revision.note) == (conversation.id, AWKWARD)
    assert again.note == AWKWARD
