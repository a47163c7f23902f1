"""The figures of the insight page are the same on both roads, and closed to everybody but the app's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from brightrun import saol
from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.insight import Scope
from brightrun.domain.review import Decision, Seen
from brightrun.services.reviews import Reviews
from tests.gateway import Gateway
from tests.planting import plant
from tests.storage_api import SECRET_KEY, StorageApi

FUNCTIONS = ("decisions", "scores", "costs", "reviewers", "coverage")


@pytest.fixture
def roads(dsn: str, tmp_path: Path) -> Iterator[tuple[App, App]]:
    """The same database, over psycopg and over supabase-py."""
    with StorageApi() as storage, Gateway(dsn, storage_url=storage.url) as gateway:
        direct = open_app(Settings(home=tmp_path / "a", database_url=dsn))
        hosted = open_app(
            Settings(home=tmp_path / "b", supabase_url=gateway.url, supabase_secret_key=SECRET_KEY)
        )
        yield direct, hosted
        direct.close()
        hosted.close()


def decide(app: App, seen: Seen, decision: Decision, reviewer: str) -> None:
    now = app.reviews.read(seen.id).row_version
    app.reviews.decide([Seen(seen.id, now)], decision, reviewer=reviewer, reason="Repetitive")


@pytest.mark.parametrize("scope", [Scope(), Scope(writer="claude", since=date(2026, 1, 1))])
def test_both_roads_tell_the_same(roads: tuple[App, App], dsn: str, scope: Scope) -> None:
    """Every figure is one and the same, whichever road leads to the database."""
    direct, hosted = roads
    rows = plant(
        dsn,
        [
            {
                "persona": f"p{n % 3}",
                "topic": f"t{n % 2}",
                "score": n / 4,
                "writer": "claude" if n % 2 else "demo",
            }
            for n in range(40)
        ],
    )
    for n, seen in enumerate(rows):
        decide(direct, seen, Decision.APPROVED if n % 3 else Decision.REJECTED, "ana")
        if n < 12:
            decide(direct, seen, Decision.APPROVED if n % 4 else Decision.REJECTED, "bo")
    for name in FUNCTIONS:
        first = getattr(direct.insight, name)(scope)
        assert first == getattr(hosted.insight, name)(scope), name
    assert direct.insight.reviewers(scope).agreements


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_nobody_else_may_ask(dsn: str, role: str) -> None:
    """A visitor with the publishable key, or a signed-in one, gets no figure and no decision."""
    seen = plant(dsn, [{"persona": "p", "topic": "t", "score": 5, "writer": "demo"}] * 2)
    with closing(saol.connect_postgres(dsn)) as db:
        Reviews(db).decide(seen, Decision.APPROVED, reviewer="ana")
    with psycopg.connect(dsn) as connection:
        connection.execute(f"set role {role}")
        for name in FUNCTIONS:
            told = refused_or_told(connection, f"select public.insight_{name}('{{}}')")
            # what has no row is nobody's: Row Level Security is asked where there is one
            assert told is None or (role == "authenticated" and told == {"lines": [], "writers": []}), name
        assert refused_or_told(connection, "select to_jsonb(f) from private.figures f") is None


def refused_or_told(connection: psycopg.Connection[Any], query: LiteralString) -> object:
    """Return what a query tells; None where it is refused."""
    try:
        with connection.transaction():
            row = connection.execute(query).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return row and row[0]
