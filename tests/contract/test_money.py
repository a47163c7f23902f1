"""Prices, estimates, costs and budgets over both transports: the same rows, the same dollars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path

import psycopg
import pytest

from brightrun import saol
from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import ItemStatus, Job, JobStatus, WriterName
from brightrun.domain.errors import InvalidInput, NotAllowed, NotFound, WriterUncertain
from brightrun.domain.ids import JobId
from brightrun.domain.price import Price, price_for, priced_as
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.stores import costs, prices
from tests.fakes import ScriptedWriter, envelope, options, scenarios
from tests.gateway import Gateway
from tests.storage_api import SECRET_KEY, StorageApi

MODEL = "claude-sonnet-5-5"
EACH = 0.007
"""What one answer of the scripted writer costs at 2 and 10 dollars a million."""


@pytest.fixture(params=["postgres", "supabase"])
def road(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings that lead to one database, directly and through supabase-py."""
    if request.param == "postgres":
        yield Settings(home=tmp_path, database_url=dsn, actor="ana", retry_base=0.01)
        return
    with StorageApi() as storage, Gateway(dsn, storage_url=storage.url) as gateway:
        yield Settings(
            home=tmp_path,
            supabase_url=gateway.url,
            supabase_secret_key=SECRET_KEY,
            actor="ana",
            retry_base=0.01,
        )


@pytest.fixture
def writer() -> ScriptedWriter:
    return ScriptedWriter()


@pytest.fixture
def app(road: Settings, writer: ScriptedWriter) -> Iterator[App]:
    opened = open_app(road, writers=dict.fromkeys(WriterName, writer))
    yield opened
    opened.close()


@pytest.fixture
def db(app: App) -> saol.Database:
    return app.costs._db


def start(app: App, count: int, *, budget: float | None = None, model: str = MODEL) -> Job:
    given = options(WriterName.CLAUDE, budget=budget, model=model)
    return app.batches.create(app.planner.plan(scenarios(count), given), name="money", actor="ana")


def run(app: App, job: Job) -> Job:
    for _ in range(200):
        step = app.batches.process_next(job.id)
        if not step.job.is_open:
            return step.job
    raise AssertionError("the job did not end")


def today() -> date:
    return datetime.now(UTC).date()


def price(model: str, *, days: int = -1, above: int = 0, usd: float = 3.0) -> Price:
    return Price(model, today() + timedelta(days), usd, 5 * usd, usd / 10, above)


def test_sql_and_the_app_price_every_model_alike(app: App, db: saol.Database) -> None:
    """Figures that the database adds up rest on the same price as those the app calculates."""
    for added in (
        price("m-1"),
        price("m-2-20260101"),
        price("m-2-20260601", usd=4),
        price("m-3", days=2),
        price("m-3-20260101", usd=5),
        price("m-1", days=0, usd=7),
        price("m-1", above=500, usd=9),
    ):
        app.prices.save(added, actor="ana")
    known = app.prices.all()
    names = [f"m-{n}{end}" for n, end in product((1, 2, 3, 4), ("", "-latest", "-20260101", "@20260601"))]
    for name, days, tokens in product(names, (-3, 0, 2), (0, 500, 501)):
        day = today() + timedelta(days)
        asked = {"p_model": name, "p_day": day.isoformat()}
        found = saol.agent_execute_rpc(db, "priced_as", asked).value()
        assert found == priced_as(known, name, on=day), (name, day)
        rows = saol.agent_execute_rpc(db, "price_of", asked | {"p_input_tokens": tokens}).value()
        if found is None:
            assert rows == []
        else:
            here = price_for(known, name, on=day, input_tokens=tokens)
            assert [float(row["input_usd"]) for row in rows] == [here.input_usd], (name, day, tokens)


def test_a_correction_keeps_what_was_there_before(app: App) -> None:
    """The history says who changed which figure from what to what; it cannot be rewritten."""
    app.prices.save(price("m-1", usd=3), actor="ana")
    app.prices.save(price("m-1", usd=4), actor="ben")
    app.prices.save(price("m-1", usd=4), actor="carl")
    added, corrected = reversed(app.prices.history(model="m-1"))
    assert (added.by, corrected.by) == ("ana", "ben")
    assert added.before is None
    assert added.story() == "added: in 3, out 15, cache read 0.3"
    assert corrected.story() == "corrected: in 3 → 4, out 15 → 20, cache read 0.3 → 0.4"
    assert [p.input_usd for p in app.prices.all() if p.model == "m-1"] == [4]


def test_history_also_knows_what_was_done_past_the_app(app: App, dsn: str) -> None:
    """A price somebody changes or removes with SQL stands in the history; the history itself stays."""
    app.prices.save(price("m-1"), actor="ana")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update prices set output_usd = 99 where model = 'm-1'")
        connection.execute("delete from prices where model = 'm-1'")
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("delete from price_changes")
    assert [change.story() for change in app.prices.history(model="m-1")] == [
        "removed: in 3, out 99, cache read 0.3",
        "corrected: out 15 → 99",
        "added: in 3, out 15, cache read 0.3",
    ]


def test_a_slip_is_removed_and_stands_in_the_history(app: App) -> None:
    """A model that does not exist is gone again; the history says who removed it, and a second time is told."""
    slip = price("m-1", days=30, usd=300)
    app.prices.save(slip, actor="ana")
    app.prices.remove(slip, actor="ben")
    assert not [p for p in app.prices.all() if p.model == "m-1"]
    newest = app.prices.history(model="m-1")[0]
    assert (newest.by, newest.story()) == ("ben", "removed: in 300, out 1500, cache read 30")
    with pytest.raises(NotFound, match="any more"):
        app.prices.remove(slip, actor="ben")


def test_a_dearer_price_that_comes_back_is_reserved_for(app: App) -> None:
    """Removing today's price leaves yesterday's in force: what waits reserves by it."""
    now = next(p for p in app.prices.in_force() if p.model == MODEL)
    cheaper = replace(now, effective_from=today(), input_usd=now.input_usd / 4, output_usd=now.output_usd / 4)
    app.prices.save(replace(cheaper, cache_read_usd=cheaper.input_usd / 10), actor="ana")
    job = start(app, 2)
    before = app.budgets.outlook(job.id).worst_usd
    app.prices.remove(cheaper, actor="ana")
    assert app.budgets.outlook(job.id).worst_usd >= before * 4 - 1e-9


def test_the_only_price_of_an_open_batch_stays(app: App) -> None:
    """A batch that waits is not left without a price; once it has ended, the price can go."""
    only = next(p for p in app.prices.in_force() if p.model == MODEL)
    job = start(app, 1)
    with pytest.raises(NotAllowed, match="1 open batch needs"):
        app.prices.remove(only, actor="ana")
    app.batches.cancel(job.id, actor="ana")
    app.prices.remove(only, actor="ana")
    assert not app.prices.has(MODEL)


def test_a_price_is_not_saved_over_one_that_nobody_has_seen(app: App, db: saol.Database) -> None:
    """Of two people who change the table at once, the second one's change is made on what the first left."""
    seen = prices.mark(db)
    app.prices.save(price("m-1"), actor="ana")
    assert not prices.set_price(db, price("m-1", usd=5), factor=1, seen=seen, actor="ben")
    assert prices.remove_price(db, price("m-1"), factor=1, seen=seen, actor="ben") == ("changed", 0)
    assert prices.set_price(db, price("m-1", usd=5), factor=1, seen=prices.mark(db), actor="ben")


def test_a_dearer_price_is_reserved_for_at_once(app: App) -> None:
    """A job that waits reserves by the new price, under whatever name it uses the model; others stay as they are."""
    waiting = [
        start(app, 2),
        start(app, 2, model=f"{MODEL}-20260901"),
        start(app, 2, model=f"{MODEL}-latest"),
    ]
    other = start(app, 2, model="claude-opus-5-5")
    before = [app.budgets.outlook(job.id).worst_usd for job in (*waiting, other)]
    now = next(p for p in app.prices.in_force() if p.model == MODEL)
    dearer = Price(MODEL, today(), now.input_usd * 3, now.output_usd * 2, now.cache_read_usd)
    app.prices.save(dearer, actor="ana")
    after = [app.budgets.outlook(job.id).worst_usd for job in (*waiting, other)]
    for old, new in zip(before[:3], after[:3], strict=True):
        assert new == pytest.approx(old * 3, rel=1e-4)
        assert new >= old * 3 - 1e-9
    assert after[3] == before[3]
    cheaper = Price(MODEL, today(), 0.1, 0.1, 0.1)
    app.prices.save(cheaper, actor="ana")
    assert [app.budgets.outlook(job.id).worst_usd for job in (*waiting, other)] == after, "never lowered"


def test_a_job_never_reserves_by_a_price_that_changed_meanwhile(app: App) -> None:
    """A plan made before a price was corrected starts with the reserves of the new price."""
    plan = app.planner.plan(scenarios(2), options(WriterName.CLAUDE))
    dearer = Price(MODEL, today(), 200, 1000, 20)
    app.prices.save(dearer, actor="ana")
    job = app.batches.create(plan, name="late", actor="ana")
    assert app.budgets.outlook(job.id).worst_usd >= 50 * plan.estimate.worst_usd


def test_what_a_job_cost_is_told_by_item_template_and_approved_conversation(
    app: App, writer: ScriptedWriter
) -> None:
    """Spent counts every answer that arrived, useless ones too; what may have been spent stands apart."""
    writer._acts = [
        WriterUncertain("Cut.", code="connection_broken"),
        None,
        envelope("no conversation at all"),
        None,
        None,
    ]
    job = run(app, start(app, 4))
    assert (job.counts.completed, job.counts.failed) == (3, 1)
    first = app.reviews.page(ConversationFilter(job_id=job.id))[0]
    app.reviews.decide([Seen(first["id"], first["row_version"])], Decision.APPROVED, reviewer="ana")

    money = app.costs.of_job(job.id)
    assert money.cost.spent_usd == pytest.approx(4 * EACH)
    assert (money.cost.calls, money.cost.unknown_calls) == (5, 1)
    assert money.cost.possible_usd == job.money.possible > 0
    assert money.cost.per_conversation == pytest.approx(4 * EACH / 3)
    assert money.cost.per_approved == pytest.approx(4 * EACH)
    assert (money.usage.input_tokens, money.usage.output_tokens) == (4000, 2000)
    assert money.reserved_usd == 0
    assert sum(row.cost.spent_usd for row in money.templates) == pytest.approx(money.cost.spent_usd)
    assert money.estimate is not None
    assert 0 < money.estimate.expected_usd <= money.estimate.high_usd <= money.estimate.worst_usd

    (row,) = app.costs.by_version()
    assert (row.model, row.cost.approved, row.cost.completed) == (MODEL, 1, 3)
    assert row.cost.per_approved == pytest.approx(4 * EACH)
    by_item = {item.position: app.costs.ledger(item.id) for item in app.batches.items(job.id)}
    assert sum(e.cost_usd for entries in by_item.values() for e in entries) == pytest.approx(4 * EACH)
    assert sum(e.possible_usd for entries in by_item.values() for e in entries) == money.cost.possible_usd


def test_what_caching_saves_is_the_same_for_a_job_and_for_its_calls(app: App, writer: ScriptedWriter) -> None:
    """The job's saving is the sum of its calls', at the price of their day and their size of prompt."""
    app.prices.save(price(MODEL, days=-40, above=3000, usd=8), actor="ana")
    writer._acts = [_using(0, 2500, 900), _using(2500, 0, 900), _using(2500, 0, 100)]
    job = run(app, start(app, 3))
    entries = [e for item in app.batches.items(job.id) for e in app.costs.ledger(item.id)]
    assert [round(e.saved_usd, 6) for e in entries] == [-0.005, 0.018, 0.00475]
    money = app.costs.of_job(job.id)
    assert money.saved_usd == pytest.approx(sum(e.saved_usd for e in entries))
    assert (money.usage.cache_read_tokens, money.usage.cache_write_tokens) == (5000, 2500)


def test_history_gives_the_middle_and_the_longest_tenth_of_a_templates_answers(
    app: App, db: saol.Database, writer: ScriptedWriter
) -> None:
    """Only whole answers of that model count, by the turns they have; another model has its own history."""
    writer._acts = [*(_using(0, 0, 500, out=600 * n) for n in range(1, 11)), envelope("useless")]
    job = run(app, start(app, 11))
    assert job.counts.completed == 10
    version = app.batches.items(job.id)[0].template_version_id
    template = app.templates.version(version).template_id
    found = costs.output_history(db, MODEL, [version])
    assert set(found) == {version, template}
    assert (found[version].answers, found[version].p50, found[version].p90) == (10, 550, pytest.approx(910))
    assert found[template] == found[version]
    assert costs.output_history(db, "claude-opus-5-5", [version]) == {}


def test_a_budget_can_be_raised_and_the_job_goes_on(app: App) -> None:
    """A job that its budget stopped says what is left and what it needs, and goes on with that and no less."""
    job = run(app, start(app, 5, budget=0.06))
    assert job.status is JobStatus.PAUSED
    outlook = app.budgets.outlook(job.id)
    assert outlook.is_stuck
    assert outlook.waiting == job.counts.queued > 0
    assert outlook.left_usd == pytest.approx(0.06 - job.money.spent)
    with pytest.raises(NotAllowed, match="may cost") as caught:
        app.batches.resume(job.id, actor="ana")
    assert f"brightrun resume {job.id[:8]} --budget" in caught.value.remedy

    for budget in (0.0, -1.0, float("nan"), job.money.spent - 0.001, 1e12):
        with pytest.raises(InvalidInput):
            app.budgets.set(job.id, budget, actor="ana")
    assert app.batches.get(job.id).status is JobStatus.PAUSED

    one_more = app.budgets.set(job.id, outlook.needed_for_next + 1e-6, actor="ana")
    assert one_more.status is JobStatus.PROCESSING
    again = run(app, one_more)
    assert again.status is JobStatus.PAUSED
    assert again.counts.completed >= job.counts.completed + 1

    ended = run(app, app.budgets.set(job.id, app.budgets.outlook(job.id).needed_for_all + 1e-6, actor="ana"))
    assert (ended.status, ended.counts.completed) == (JobStatus.COMPLETED, 5)
    assert ended.money.spent == pytest.approx(5 * EACH)
    assert "Budget set from" in app.batches.log_text(job.id)
    with pytest.raises(NotAllowed):
        app.budgets.set(job.id, 100, actor="ana")


def test_a_job_without_a_budget_is_given_one_only_while_it_stands(app: App) -> None:
    """A claim that is just being made could not know of a budget that did not exist a moment ago."""
    job = start(app, 3)
    app.batches.process_next(job.id)
    with pytest.raises(NotAllowed, match="while it runs"):
        app.budgets.set(job.id, 1, actor="ana")
    app.batches.pause(job.id, actor="ana")
    assert app.budgets.set(job.id, 0.02, actor="ana").money.budget == 0.02
    assert run(app, job).status is JobStatus.PAUSED


def test_unknown_jobs_are_named(app: App) -> None:
    """Money of a job that is not there is an error and not nothing."""
    nobody = JobId("11111111-2222-3333-4444-555555555555")
    for ask in (app.costs.of_job, app.budgets.outlook, lambda job: app.budgets.set(job, 1, actor="ana")):
        with pytest.raises(Exception, match="no batch job"):
            ask(nobody)


def test_a_price_is_looked_up_as_often_for_a_long_list_as_for_a_short_one(
    app: App, writer: ScriptedWriter
) -> None:
    """A step asks for no price and no term of its job that it has asked for before."""
    job = start(app, 6)
    app.batches.process_next(job.id)
    asked: list[str] = []
    transport = app.costs._db.transport
    select = transport.select

    def noted(table: object, *rest: object) -> object:
        asked.append(table.name)  # type: ignore[attr-defined]
        return select(table, *rest)  # type: ignore[arg-type]

    transport.select = noted  # type: ignore[method-assign, assignment]
    for _ in range(4):
        app.batches.process_next(job.id)
    assert not {"prices", "job_estimates"} & set(asked)
    assert app.batches.items(job.id, status=ItemStatus.COMPLETED)


def _using(read: int, write: int, fresh: int, out: int = 500) -> object:
    """An answer of the demo's kind that reports this usage."""
    usage = {
        "input_tokens": fresh,
        "output_tokens": out,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write,
    }

    def act(order: object) -> object:
        text = ScriptedWriter().read(ScriptedWriter()._demo.write(order).body).text  # type: ignore[arg-type]
        return envelope(text, usage=usage)(order)  # type: ignore[arg-type]

    return act
