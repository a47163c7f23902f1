"""The figures of the insight page against the same ones counted by hand."""

from __future__ import annotations

import math
import time
from collections import Counter
from datetime import UTC, date, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brightrun.bootstrap import App
from brightrun.domain.batch import WriterName
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import InvalidInput, WriterUncertain
from brightrun.domain.ids import JobId
from brightrun.domain.insight import Dimension, Scope
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.domain.scaffolding import Kind
from brightrun.services import statistics
from tests.fakes import ScriptedWriter, envelope, options
from tests.planting import fill, plant
from tests.unit.services.test_reviews import Start

ALL = Scope()
EVERYWHERE = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
DECISIONS = st.sampled_from([None, Decision.APPROVED, Decision.REJECTED, Decision.NEEDS_REVISION])
WRITTEN = st.lists(
    st.fixed_dictionaries(
        {
            "persona": st.sampled_from([None, "david_chen", "jennifer_martinez"]),
            "topic": st.sampled_from(["debt", "saving"]),
            "model": st.sampled_from(["demo", "claude-sonnet-5-5"]),
            "score": st.integers(0, 100).map(lambda tenth: tenth / 10),
            "decision": DECISIONS,
            "reason": st.sampled_from([None, "Repetitive", "Unsafe"]),
        }
    ),
    max_size=40,
)


def clear(dsn: str) -> None:
    """Start an example of a property anew, on the same database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("truncate public.conversations cascade")


def decide(app: App, seen: Seen, decision: Decision, *, by: str = "ana", reason: str | None = None) -> str:
    """Decide on a conversation as it is now; returns the operation."""
    current = app.reviews.read(seen.id)
    verdict = app.reviews.decide([Seen(seen.id, current.row_version)], decision, reviewer=by, reason=reason)
    assert verdict.decided == 1
    return verdict.operation_id


def finish(app: App, job: JobId) -> JobId:
    """Go on with a job until nothing of it is open, whatever the writer does; returns its id."""
    while (step := app.batches.process_next(job)).job.is_open:
        time.sleep(min(step.again_in, 0.05))
    return job


def rows_of(app: App, job: JobId) -> list[dict]:
    """Return the conversations of a job as the list shows them."""
    return app.reviews.page(ConversationFilter(job_id=job))


def approved_of(app: App) -> int:
    """Return how many of the only template version are approved, as its costs say."""
    (version,) = app.costs.by_version()
    return version.cost.approved


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The interval as a textbook has it."""
    z, share = 1.959963984540054, hits / total
    middle = share + z * z / (2 * total)
    reach = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (middle - reach) / (1 + z * z / total), (middle + reach) / (1 + z * z / total)


@EVERYWHERE
@given(rows=WRITTEN)
def test_rates_and_reasons_are_what_one_would_count_by_hand(app: App, dsn: str, rows: list[dict]) -> None:
    """For any conversations and decisions, every group has the counts, the rate and the reasons of its rows."""
    clear(dsn)
    for seen, row in zip(plant(dsn, rows), rows, strict=True):
        if row["decision"]:
            decide(app, seen, row["decision"], reason=row["reason"])
    found = app.insight.decisions(ALL)
    for dimension, key in (
        (Dimension.PERSONA, "persona"),
        (Dimension.TOPIC, "topic"),
        (Dimension.MODEL, "model"),
    ):
        groups = {group.value: group for group in found.groups[dimension]}
        assert set(groups) == {row[key] for row in rows}
        for value, group in groups.items():
            mine = [row for row in rows if row[key] == value]
            counts = Counter(row["decision"] for row in mine)
            assert group.written == len(mine)
            assert group.approved == counts[Decision.APPROVED]
            assert group.decided == len(mine) - counts[None]
            rejected = [row["reason"] or "" for row in mine if row["decision"] is Decision.REJECTED]
            assert dict(group.reasons) == dict(Counter(rejected))
            if group.rate is None:
                assert not group.decided
            else:
                assert (group.rate.low, group.rate.high) == pytest.approx(
                    wilson(group.approved, group.decided), abs=1e-9
                )


@EVERYWHERE
@given(rows=WRITTEN)
def test_the_score_is_judged_by_every_pair_it_can_order(app: App, dsn: str, rows: list[dict]) -> None:
    """The share of (approved, rejected) pairs in which the approved one scores higher, ties counted half."""
    clear(dsn)
    for seen, row in zip(plant(dsn, rows), rows, strict=True):
        if row["decision"]:
            decide(app, seen, row["decision"])
    scores = app.insight.scores(ALL)
    good = [row["score"] for row in rows if row["decision"] is Decision.APPROVED]
    bad = [row["score"] for row in rows if row["decision"] is Decision.REJECTED]
    assert (scores.count("approved"), scores.count("rejected")) == (len(good), len(bad))
    if min(len(good), len(bad)) < 10:
        assert scores.area is None
        assert "nothing can be said" in scores.sentence()
    else:
        wins = sum((g > b) + (g == b) / 2 for g in good for b in bad)
        assert scores.area == pytest.approx(wins / len(good) / len(bad))


DEEDS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(["ana", "bo", "cy"]),
        st.sampled_from([*Decision, "undo"]),
        st.integers(0, 30),
    ),
    max_size=25,
)


@EVERYWHERE
@given(deeds=DEEDS)
def test_agreement_counts_what_stands_and_nothing_undone(app: App, dsn: str, deeds: list[tuple]) -> None:
    """Through any decisions, undoings and undoings of undoings, two people's last words are compared once a row."""
    clear(dsn)
    rows = plant(dsn, [{}] * 4)
    said: list[dict] = []
    for place, person, decision, back in deeds:
        if decision != "undo":
            operation = decide(app, rows[place], decision, by=person)
            said.append({"row": place, "who": person, "what": decision, "op": operation, "stands": True})
            continue
        if not said:
            continue
        taken = said[back % len(said)]
        latest = [one for one in said if one["row"] == taken["row"]][-1]
        undone, kept = app.reviews.undo(taken["op"], reviewer=person)
        assert (undone, kept) == ((1, 0) if taken is latest else (0, 1))
        if undone:
            flip = taken
            while flip:
                flip["stands"] = not flip["stands"]
                flip = flip.get("undid")
            with psycopg.connect(dsn) as connection:
                (operation,) = connection.execute(
                    "select operation_id from reviews where undoes = %s", (taken["op"],)
                ).fetchone()
            said.append({"row": taken["row"], "who": person, "what": None, "op": str(operation),
                         "stands": True, "undid": taken})  # fmt: skip
    words: dict[int, dict[str, str]] = {}
    for one in said:
        if one["what"] and one["stands"] and one["what"] is not Decision.PENDING_REVIEW:
            words.setdefault(one["row"], {})[one["who"]] = one["what"].value
    expected: dict[tuple[str, str], Counter] = {}
    for by in words.values():
        people = sorted(by)
        for at, first in enumerate(people):
            for second in people[at + 1 :]:
                expected.setdefault((first, second), Counter())[by[first], by[second]] += 1
    desks = app.insight.reviewers(ALL)
    standing = Counter(
        one["who"]
        for one in said
        if one["what"] and one["stands"] and one["what"] is not Decision.PENDING_REVIEW
    )
    assert {p.name: p.decisions for p in desks.people} == dict(standing)
    found = {(pair.first, pair.second): pair for pair in desks.agreements}
    assert set(found) == set(expected)
    for people, table in expected.items():
        pair = found[people]
        assert pair.rows == table.total()
        assert pair.alike == sum(times for (a, b), times in table.items() if a == b)
        assert pair.kappa == pytest.approx(kappa_by_hand(table)) if pair.kappa is not None else True
        assert (pair.kappa is None) == (kappa_by_hand(table) is None)
    ever = Scope(since=date.min)
    assert (desks, app.insight.scores(ALL)) == (app.insight.reviewers(ever), app.insight.scores(ever))


def kappa_by_hand(table: Counter) -> float | None:
    """Observed agreement against what the two people's own shares would give by chance."""
    total = table.total()
    observed = sum(times for (a, b), times in table.items() if a == b) / total
    first, second = Counter(), Counter()
    for (a, b), times in table.items():
        first[a] += times
        second[b] += times
    chance = sum(first[word] * second[word] for word in first) / total**2
    return None if chance == 1 else (observed - chance) / (1 - chance)


@settings(deadline=None)  # the first example waits for the library
@given(
    table=st.dictionaries(
        st.tuples(st.sampled_from("arn"), st.sampled_from("arn")), st.integers(0, 500), min_size=1
    )
)
def test_kappa_is_the_textbooks(table: dict[tuple[str, str], int]) -> None:
    """Cohen's kappa of any table of counts is (observed - chance) / (1 - chance)."""
    counts = Counter({pair: times for pair, times in table.items() if times})
    expected = kappa_by_hand(counts) if counts else None
    found = statistics.kappa(table)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-9))


def test_a_second_person_who_decided_in_bulk_is_not_denied(app: App, dsn: str) -> None:
    """Two people did decide on the same versions: what is said is why that tells nothing of agreement.

    What was sent back to the queue since is counted, and the words say so: it was not undone.
    """
    seen = plant(dsn, [{} for _ in range(3)])
    for one in seen:
        decide(app, one, Decision.APPROVED, by="ana")
    app.reviews.decide_matching(
        ConversationFilter(status=ConversationStatus.APPROVED),
        Decision.REJECTED,
        reviewer="bo",
        reason="Repetitive",
    )
    decide(app, seen[0], Decision.PENDING_REVIEW, by="ana")
    desks = app.insight.reviewers(ALL)
    assert "decided on one by one by two people" in desks.agreement_sentence()
    assert desks.sentence().startswith("2 people made 6 decisions that were not undone")


def test_what_one_person_said_in_bulk_and_one_by_one_is_told_apart(app: App, dsn: str) -> None:
    """A sweep over a filter is not pace, and the score is judged without it too."""
    single = plant(dsn, [{"score": n / 10} for n in range(40)])
    for n, seen in enumerate(single):
        decide(app, seen, Decision.APPROVED if n % 2 else Decision.REJECTED)
    plant(dsn, [{"score": 9, "persona": "swept"} for _ in range(30)])
    app.reviews.decide_matching(ConversationFilter(persona_key="swept"), Decision.APPROVED, reviewer="ana")
    scores = app.insight.scores(ALL)
    assert scores.in_bulk == 30
    assert scores.area_single == pytest.approx(0.525)
    assert scores.area == pytest.approx((20 * 20 * 0.525 + 30 * 20) / (50 * 20))
    (ana,) = app.insight.reviewers(ALL).people
    assert (ana.decisions, ana.in_bulk, ana.timed) == (70, 30, 39)
    assert ana.median_seconds is not None
    assert 0 < ana.median_seconds < 5


def test_only_a_pair_that_the_numbers_carry_stands_out(app: App, dsn: str) -> None:
    """Twelve of fifteen rejected where elsewhere a fifth is: named with its multiple; two of two: never."""
    rows = [{"persona": "p1", "topic": "t1"}] * 15 + [{"persona": "p2", "topic": "t2"}] * 100
    rows += [{"persona": "p3", "topic": "t3"}] * 2
    for n, seen in enumerate(plant(dsn, rows)):
        is_bad = n < 12 if n < 15 else n < 35 if n < 115 else True
        decide(app, seen, Decision.REJECTED if is_bad else Decision.APPROVED)
    decisions = app.insight.decisions(ALL)
    assert [(lift.first_label, lift.second_label) for lift in decisions.lifts] == [("p1", "t1")]
    (lift,) = decisions.lifts
    assert (lift.rejected, lift.decided) == (12, 15)
    assert lift.times == pytest.approx((12 / 15) / (22 / 102))
    assert lift.low > 1
    assert "p1 × t1 is rejected 3.7 times as often" in lift.sentence()
    assert decisions.compared == 2


def test_an_even_field_has_nobody_standing_out(app: App, dsn: str) -> None:
    """Where every pair is rejected alike, no pair is accused."""
    rows = [{"persona": f"p{n % 6}", "topic": f"t{n // 6 % 6}"} for n in range(720)]
    for n, seen in enumerate(plant(dsn, rows)):
        decide(app, seen, Decision.REJECTED if n // 36 % 4 == 0 else Decision.APPROVED)
    decisions = app.insight.decisions(ALL)
    assert decisions.compared == 36
    assert not decisions.lifts
    assert "clearly more often" in decisions.lift_sentence()


def test_cost_counts_failures_and_keeps_the_demo_apart(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """An approved conversation bears what was paid for the refused one; the demo's line never joins the sum."""
    writer.will(envelope("", "refusal"))
    paid = finish(app, start(3, options(WriterName.CLAUDE)).id)
    demo = finish(app, start(2).id)
    assert app.batches.get(paid).counts.failed == 1
    first = rows_of(app, paid)[0]
    decide(app, Seen(first["id"], 1), Decision.APPROVED)
    costs = app.insight.costs(ALL)
    (line,) = costs.paid
    assert (line.items, line.written, line.approved, line.decided) == (3, 2, 1, 1)
    assert line.spent == pytest.approx(3 * 0.007)
    assert line.per_approved == pytest.approx(3 * 0.007)
    assert (costs.demo[0].items, costs.demo[0].spent) == (2, 0)
    assert "1 approved conversation, $0.0210 each" in costs.sentence()
    assert "1 more still waits" in costs.sentence()
    assert app.insight.costs(Scope(writer="demo")).paid == []
    assert app.insight.costs(Scope(job_id=demo)).paid == []


def test_what_a_call_without_an_answer_may_have_cost_is_told_apart(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """The most that an unanswered call can have cost is named, and is never part of the price of a conversation."""
    writer.will(WriterUncertain("The line broke.", code="connection"))
    job = finish(app, start(1, options(WriterName.CLAUDE)).id)
    decide(app, Seen(rows_of(app, job)[0]["id"], 1), Decision.APPROVED)
    (line,) = app.insight.costs(ALL).paid
    assert (line.items, line.approved) == (1, 1)
    assert line.spent == pytest.approx(0.007)
    assert line.possible > 0
    assert "more may have been spent on unanswered calls" in app.insight.costs(ALL).sentence()


def test_the_ledger_is_added_up_alike_here_and_on_the_page_of_templates(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """Two roads to the same money, by version over all jobs and by scope, end at the same sums."""
    writer.will(envelope("", "refusal"))
    for count, name in ((3, WriterName.CLAUDE), (2, WriterName.DEMO), (1, WriterName.CLAUDE)):
        finish(app, start(count, options(name)).id)
    theirs = {
        (cost.writer, cost.model): (cost.cost.items, cost.cost.spent_usd) for cost in app.costs.by_version()
    }
    ours = {(line.writer, line.model): (line.items, line.spent) for line in app.insight.costs(ALL).lines}
    assert ours == {key: (items, pytest.approx(spent)) for key, (items, spent) in theirs.items()}


def test_a_decision_made_while_the_ledger_is_added_up_is_in_it_afterwards(
    app: App, start: Start, dsn: str
) -> None:
    """Whichever of the two ends first, the next who looks finds the conversation approved."""
    job = finish(app, start(2).id)
    for is_first, key in zip((True, False), [row["id"] for row in rows_of(app, job)], strict=True):
        before = approved_of(app)
        with psycopg.connect(dsn) as deciding, psycopg.connect(dsn) as counting:
            counting.execute("delete from private.job_totals")
            counting.commit()
            approve = "update conversations set status = 'approved' where id = %s"
            if is_first:
                deciding.execute(approve, [key])
                counting.execute("select from total_jobs()")
                deciding.commit()
                counting.commit()
            else:
                counting.execute("select from total_jobs()")
                deciding.execute(approve, [key])
                deciding.commit()
                counting.commit()
        assert approved_of(app) == before + 1


def test_what_has_been_added_up_is_read_and_not_counted_again(app: App, start: Start, dsn: str) -> None:
    """A job that ended is counted by the first who looks; the second reads it, until something about it changes."""
    job = finish(app, start(2).id)
    kept = "select count(*) from private.kept_jobs()"
    with psycopg.connect(dsn, autocommit=True) as connection:
        seen = [connection.execute(kept).fetchone()]
        app.costs.by_version()
        seen.append(connection.execute(kept).fetchone())
        decide(app, Seen(rows_of(app, job)[0]["id"], 1), Decision.APPROVED)
        seen.append(connection.execute(kept).fetchone())
        connection.execute("begin read only")
        (approved,) = connection.execute("select sum(approved) from total_jobs()").fetchone() or (None,)
        connection.execute("rollback")
    assert seen == [(0,), (1,), (0,)]
    assert approved == 1, "who may not write counts, and keeps nothing"


def test_deeds_side_by_side_leave_one_row_a_kind(app: App, start: Start, dsn: str) -> None:
    """Decisions, their undoing and the end of jobs leave the figures of decisions folded, each kind once."""
    job = finish(app, start(6).id)
    for number, row in enumerate(rows_of(app, job)[:4]):
        operation = decide(app, Seen(row["id"], 1), Decision.REJECTED, reason="Repetitive")
        if number % 2:
            app.reviews.undo(operation, reviewer="ana")
    finish(app, start(1).id)
    with psycopg.connect(dsn, autocommit=True) as connection:
        rows = connection.execute("select is_folded, number from decision_kinds").fetchall()
    assert all(is_folded and number > 0 for is_folded, number in rows if number)
    assert sum(number for _, number in rows) == 7


def test_coverage_shows_planned_written_and_approved_of_each_combination(app: App) -> None:
    """A cell says how far its combination got; what nobody planned is counted as possible only."""
    axes = app.scenarios.axes()
    persona, topics = axes.personas[0].persona_key, [t.topic_key for t in axes.topics[:2]]
    arc = next(a.arc_key for a in axes.arcs if a.category == "core")
    plan = app.planner.plan(app.scenarios.product([persona], [arc], topics), options())
    job = app.batches.create(plan, name="cells", actor="ana")
    app.batches.process_next(job.id)
    (row,) = rows_of(app, job.id)
    decide(app, Seen(row["id"], 1), Decision.APPROVED)
    coverage = app.insight.coverage(ALL)
    cells = {(c.persona, c.arc, c.topic): (c.planned, c.written, c.approved) for c in coverage.cells}
    done = row["topic_key"]
    other = next(key for key in topics if key != done)
    assert cells == {(persona, arc, done): (1, 1, 1), (persona, arc, other): (1, 0, 0)}
    assert coverage.possible == len(axes.personas) * len(axes.arcs) * len(axes.topics)
    assert "2 were planned, 1 written, and 1 have something approved" in coverage.sentence()
    app.scaffolding.offer(Kind.PERSONA, persona, active=False)
    app.scaffolding.offer(Kind.PERSONA, axes.personas[1].persona_key, active=False)
    after = app.insight.coverage(ALL)
    assert after.cells == coverage.cells, "what is not offered any more is still written"
    assert list(after.keys["persona"]) == [
        p.persona_key for p in axes.personas if p is not axes.personas[1]
    ], "of what nobody planned only what is offered is missing"


def test_what_was_planned_follows_whatever_becomes_of_items(app: App, start: Start, dsn: str) -> None:
    """Cancelled, changed, taken out or gone with its job: coverage of everything says what counting the items says."""
    kept, counted = (
        "select * from count_plans('{}')",
        """select * from count_plans('{"since": "0001-01-01"}')""",
    )
    deeds = [
        'update batch_items set parameters = parameters || \'{"persona_key": "another"}\' where position = 2',
        "delete from batch_items where position = 3 and status = 'queued'",
        "delete from batch_jobs where name = 'gone'",
        "truncate batch_items cascade",
    ]
    seen = []
    with psycopg.connect(dsn, autocommit=True) as connection:

        def look() -> None:
            told = [sorted(connection.execute(query).fetchall(), key=str) for query in (kept, counted)]
            assert told[0] == told[1]
            seen.append(sum(number for *_, number in told[0]))

        job, gone = start(5), start(3)
        look()
        app.batches.process_next(job.id)
        look()
        app.batches.cancel(job.id, actor="ana")
        look()
        finish(app, start(4).id)
        look()
        connection.execute("update batch_jobs set name = 'gone' where id = %s", [gone.id])
        for deed in deeds:
            connection.execute(deed)
            look()
    assert seen == [8, 8, 4, 8, 8, 7, 5, 0]


def test_a_scope_is_about_its_days_writer_and_job_only(app: App, dsn: str) -> None:
    """The first and the last day count whole, in UTC; other writers and days do not."""
    days = [
        datetime(2026, 3, day, hour, 30, tzinfo=UTC).isoformat()
        for day, hour in ((1, 23), (2, 0), (3, 23), (4, 0))
    ]
    plant(dsn, [{"at": day, "writer": "demo" if n % 2 else "claude"} for n, day in enumerate(days)])
    assert app.insight.decisions(Scope(since=date(2026, 3, 2), until=date(2026, 3, 3))).total.written == 2
    assert app.insight.decisions(Scope(since=date(2026, 3, 2))).total.written == 3
    assert app.insight.decisions(Scope(until=date(2026, 3, 3), writer="claude")).total.written == 2
    with pytest.raises(InvalidInput, match="after the last"):
        Scope(since=date(2026, 3, 3), until=date(2026, 3, 2))


def test_nothing_written_is_said_in_words_everywhere(app: App) -> None:
    """On an empty database no figure is invented and no sentence breaks."""
    decisions = app.insight.decisions(ALL)
    assert decisions.sentence() == "None of 0 conversations has been decided on."
    assert decisions.reason_sentence() == "Nothing has been rejected."
    assert "ten decisions" in decisions.lift_sentence()
    assert app.insight.scores(ALL).area is None
    assert "on record" in app.insight.costs(ALL).sentence()
    assert app.insight.reviewers(ALL).sentence() == "Nobody has decided on anything here."
    assert "0 were planned" in app.insight.coverage(ALL).sentence()


def test_what_comes_back_is_bounded_however_many_values_there_are(app: App, dsn: str) -> None:
    """Seventy personas and thirty wordings of a reason come back as fifty and thirteen, with the rest counted."""
    seen = plant(dsn, [{"persona": f"p{n:02}", "topic": "t"} for n in range(70)])
    for one in seen:
        decide(app, one, Decision.REJECTED)
    # Reasons as an earlier list of them may have left them.
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update conversations set review_reason = 'because ' || substr(persona_key, 2)::int % 30"
        )
    decisions = app.insight.decisions(ALL)
    assert len(decisions.groups[Dimension.PERSONA]) == 50
    assert decisions.left_out[Dimension.PERSONA] == 20
    assert len(decisions.total.reasons) == 13
    assert sum(decisions.total.reasons.values()) == 70


def test_odd_rows_change_no_sentence(app: App, dsn: str) -> None:
    """Imports without a scenario, a persona that is gone, an endless name and a dear call: every figure still stands."""
    fill(dsn, 120, job=40)
    plant(dsn, [{"writer": "import", "model": "import"} for _ in range(5)])
    before = app.insight.coverage(ALL)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update personas set name = repeat('long ', 2000) where persona_key < 'm'")
        connection.execute(
            "update conversations set persona_key = 'gone', model = repeat('m', 4000)"
            " where id = (select id from conversations where status = 'approved' order by id limit 1)"
        )
        connection.execute(
            "update attempts set cost_usd = 1e6 where id = (select id from attempts order by id limit 1)"
        )
        connection.execute("update templates set is_active = false")
    decisions = app.insight.decisions(ALL)
    names = [group.label for groups in decisions.groups.values() for group in groups]
    assert max(map(len, names)) <= 120
    assert {"No persona", "gone"} <= {group.label for group in decisions.groups[Dimension.PERSONA]}
    assert "Import" in {group.label for group in decisions.groups[Dimension.WRITER]}
    assert all(len(lift.sentence()) < 500 for lift in decisions.lifts)
    assert sum(line.spent for line in app.insight.costs(ALL).writers) > 1e6
    after = app.insight.coverage(ALL)
    assert sum(c.written for c in after.cells) == sum(c.written for c in before.cells)
    assert sum(c.persona is None for c in after.cells) == sum(c.persona is None for c in before.cells) + 1
