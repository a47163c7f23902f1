"""What insight keeps of the score and of reviewers, so that nobody waits for a million decisions to be counted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.insight import Scope
from brightrun.domain.review import Decision
from tests.faults.states import MISADDED
from tests.planting import plant
from tests.unit.services.test_insight import ALL, decide

EVER = Scope(since=date.min)
CHANGES = "select count(*) from private.figure_changes"


@pytest.fixture
def sql(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def told(app: App, scope: Scope = ALL) -> tuple[object, object]:
    return app.insight.scores(scope), app.insight.reviewers(scope)


def require_right(app: App, sql: psycopg.Connection[Any]) -> None:
    """What is kept is what counting says, and is the same over all days as over none."""
    assert told(app) == told(app, EVER)
    assert sql.execute(MISADDED).fetchall() == []


def noted(sql: psycopg.Connection[Any]) -> int:
    (number,) = sql.execute(CHANGES).fetchone() or (0,)
    return int(number)


def test_a_pace_is_the_pause_before_each_decision_and_a_break_is_none(
    app: App, dsn: str, sql: psycopg.Connection[Any]
) -> None:
    """Ten, twenty and two seconds make ten; six minutes at lunch and what a colleague does meanwhile count for nothing."""
    rows = plant(dsn, [{}] * 6)
    begun = datetime(2026, 3, 2, 11, 59, tzinfo=UTC)
    seconds = {0: "ana", 3: "bo", 10: "ana", 30: "ana", 390: "ana", 392: "ana"}
    for row, (second, reviewer) in zip(rows, seconds.items(), strict=True):
        sql.execute(
            "insert into reviews (conversation_id, version, decision, previous_status, reviewer, operation_id, created_at)"
            " values (%s, 1, 'approved', 'pending_review', %s, %s, %s)",
            [row.id, reviewer, uuid4(), begun + timedelta(seconds=second)],
        )
    found = {person.name: person for person in app.insight.reviewers(ALL).people}
    assert (found["ana"].timed, found["ana"].median_seconds) == (3, 10)
    assert (found["bo"].timed, found["bo"].median_seconds) == (0, None)
    sql.execute("delete from conversations where id = %s", [rows[-1].id])
    (ana, _) = app.insight.reviewers(ALL).people
    assert (ana.timed, ana.median_seconds) == (2, 15)
    require_right(app, sql)


def test_what_has_been_counted_is_read_and_not_counted_again(
    app: App, dsn: str, sql: psycopg.Connection[Any]
) -> None:
    """The first who looks counts what was decided since; the second reads it, and who may not write counts alone."""
    first, second = plant(dsn, [{"score": 7}, {"score": 8}])
    decide(app, first, Decision.APPROVED)
    assert noted(sql)
    before = told(app)
    assert noted(sql) == 0
    sql.execute("delete from private.told_figures")
    assert told(app) == before, "read from what is kept, not counted"
    decide(app, second, Decision.REJECTED)
    for scope in ("{}", '{"since": "0001-01-01"}'):
        with sql.transaction():
            sql.execute("set transaction read only")
            (scores,) = sql.execute("select insight_scores(%s)", [scope]).fetchone() or (None,)
        assert [(row["score"], row["status"]) for row in scores] == [(7, "approved"), (8, "rejected")]
    assert noted(sql), "who may not write keeps nothing"


@pytest.mark.parametrize("is_first", [True, False])
def test_a_decision_made_while_figures_are_added_up_is_in_them_afterwards(
    app: App, dsn: str, is_first: bool
) -> None:
    """Whichever of the two ends first, the next who looks finds the conversation decided on, once."""
    decided, other = plant(dsn, [{"score": 7}, {"score": 8}])
    decide(app, decided, Decision.APPROVED)
    approve = "update conversations set status = 'approved' where id = %s"
    with psycopg.connect(dsn) as deciding, psycopg.connect(dsn) as counting:
        if is_first:
            deciding.execute(approve, [other.id])
        counting.execute("select insight_scores('{}')")
        if not is_first:
            deciding.execute(approve, [other.id])
        deciding.commit()
        meanwhile = app.insight.scores(ALL)
        counting.commit()
    assert meanwhile.count("approved") == app.insight.scores(ALL).count("approved") == 2


def test_more_changes_than_one_look_counts_are_told_all_the_same(
    app: App, dsn: str, sql: psycopg.Connection[Any]
) -> None:
    """After a long night nobody waits for all of it: it is counted apart, until later looks have kept it."""
    rows = plant(dsn, [{"score": n} for n in range(8)])
    for row in rows:
        decide(app, row, Decision.APPROVED if row is rows[0] else Decision.REJECTED)
    before = app.insight.scores(ALL)
    sql.execute("insert into private.figure_changes select id from conversations, generate_series(1, 6000)")
    left = []
    while noted(sql):
        assert app.insight.scores(ALL) == before
        left.append(noted(sql))
        assert len(left) < 5
    assert left == [28_000, 8_000, 0], "a look keeps what twenty thousand changes are about"
    require_right(app, sql)


def test_an_installation_that_was_moved_is_counted_from_the_beginning(
    app: App, dsn: str, sql: psycopg.Connection[Any]
) -> None:
    """Rows that arrive with triggers asleep noted nothing: whoever finds nothing kept counts everything."""
    sql.execute("set session_replication_role = replica")
    (row, *_) = plant(dsn, [{"score": 6}] * 3)
    decide(app, row, Decision.APPROVED)
    before = told(app)
    for table in ("figures", "told_figures", "figure_changes"):
        sql.execute(f"delete from private.{table}")  # type: ignore[arg-type]
    assert told(app) == before
    require_right(app, sql)
    assert noted(sql) == 0


def test_what_is_gone_is_told_of_no_more(app: App, dsn: str, sql: psycopg.Connection[Any]) -> None:
    """A deleted conversation takes its score and its decisions along."""
    gone, left = plant(dsn, [{"score": 6}, {"score": 7}])
    for row in (gone, left):
        decide(app, row, Decision.APPROVED)
        decide(app, row, Decision.REJECTED, by="bo")
    (pair,) = app.insight.reviewers(ALL).agreements
    assert pair.rows == 2
    sql.execute("delete from conversations where id = %s", [gone.id])
    (pair,) = app.insight.reviewers(ALL).agreements
    assert pair.rows == 1
    assert app.insight.scores(ALL).count("rejected") == 1
    sql.execute("truncate conversations cascade")
    assert app.insight.scores(ALL).bands == []
    assert app.insight.reviewers(ALL).people == []
