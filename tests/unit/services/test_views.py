"""Views: a list under a name for everybody, columns for each person, reasons that only editors change."""

from __future__ import annotations

import pytest

from brightrun.bootstrap import App
from brightrun.domain.errors import InvalidInput, NotAllowed
from brightrun.domain.review import ConversationFilter, Decision
from tests.seed import Seed, seed_conversations


def test_a_view_comes_back_as_it_was_saved(app: App) -> None:
    """A saved view is there for everybody; another one replaces it only where that is meant, and it can be removed."""
    app.views.save("Angry  and\nlong", {"status": "any", "q": "cross -calm"}, person="ana")
    with pytest.raises(NotAllowed, match="saved by ana"):
        app.views.save("ANGRY and long", {"status": "approved"}, person="ben")
    app.views.save("angry and long", {"status": "approved"}, person="ben", replaces=True)
    (view,) = app.views.all()
    assert (view.name, view.query, view.saved_by) == ("Angry and long", {"status": "approved"}, "ben")
    app.views.forget(view.name)
    app.views.forget(view.name)
    assert app.views.all() == []


@pytest.mark.parametrize("name", ["", "  \n ", "\0", "x" * 61])
def test_a_view_needs_a_usable_name(app: App, name: str) -> None:
    """A name that is empty or endless is refused and nothing is kept."""
    with pytest.raises(InvalidInput, match="name"):
        app.views.save(name, {}, person="ana")
    assert app.views.all() == []


def test_columns_are_remembered_by_person_and_list(app: App) -> None:
    """Each person sees the columns they chose, in the list's own order; whoever chose none sees the first ones."""
    known = ["scenario", "score", "status"]
    app.views.set_columns("review", ["status", "score", "gone"], person="ana")
    assert app.views.columns("review", known, person="ana") == ["score", "status"]
    assert app.views.columns("review", known, person="ben") == known
    assert app.views.columns("review", known, person="ben", first=["score"]) == ["score"]
    assert app.views.columns("review", known, person="ana", first=["scenario"]) == ["score", "status"]
    app.views.set_columns("review", [], person="ana")
    assert app.views.columns("review", known, person="ana") == known, "a list without columns is no list"


def test_reasons_are_one_list_that_two_editors_cannot_lose(app: App, dsn: str) -> None:
    """A new list takes the old one's place; the second of two editors is told, and decisions keep their reason."""
    seed_conversations(dsn, [Seed(1, status="pending_review")])
    before = app.reviews.reasons()
    app.reviews.decide_matching(ConversationFilter(), Decision.REJECTED, reviewer="ana", reason=before[0])
    assert app.reviews.set_reasons(before, " Too  dull \n\nUnsafe\nUnsafe\n") == ("Too dull", "Unsafe")
    with pytest.raises(NotAllowed):
        app.reviews.set_reasons(before, "Mine")
    assert app.reviews.reasons() == ["Too dull", "Unsafe"]
    (row,) = app.reviews.page(ConversationFilter())
    assert row["review_reason"] == before[0]


@pytest.mark.parametrize("text", ["", "\n \n", "x" * 81, "\n".join(map(str, range(41)))])
def test_an_unusable_list_of_reasons_changes_nothing(app: App, text: str) -> None:
    """No reason, too many or an endless one: refused with what is wrong, and the list stays."""
    before = app.reviews.reasons()
    with pytest.raises(InvalidInput):
        app.reviews.set_reasons(before, text)
    assert app.reviews.reasons() == before


def test_a_reason_for_rejecting_stands_in_the_list(app: App, dsn: str) -> None:
    """A reason nobody agreed on is refused by name; a note may say anything."""
    seed_conversations(dsn, [Seed(1, status="pending_review")])
    with pytest.raises(InvalidInput, match="Because"):
        app.reviews.decide_matching(ConversationFilter(), Decision.REJECTED, reviewer="ana", reason="Because")
    verdict = app.reviews.decide_matching(
        ConversationFilter(), Decision.REJECTED, reviewer="ana", reason="Unsafe", note="Because"
    )
    assert verdict.decided == 1
