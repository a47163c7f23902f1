"""Between an item and a paid call: no price, no call; nothing outgrows what is reserved for it."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus, StepOutcome, WriterName
from brightrun.domain.budget import at_least
from brightrun.domain.errors import InvalidInput
from brightrun.domain.scenario import Scenario, Tier
from brightrun.services.templates import TemplateDraft
from tests.fakes import ScriptedWriter, options, scenarios

Start = Callable[..., Job]


def change(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def test_a_model_that_lost_its_price_pauses_the_job_before_the_call(
    app: App, start: Start, writer: ScriptedWriter, dsn: str
) -> None:
    """Without a price nothing is called, nothing fails, and the job says what to do; with one it goes on."""
    job = start(2, options(WriterName.CLAUDE))
    now = next(p for p in app.prices.in_force() if p.model == "claude-sonnet-5-5")
    change(dsn, "delete from prices where model = 'claude-sonnet-5-5'")
    assert app.batches.process_next(job.id).outcome is StepOutcome.PAUSED
    paused = app.batches.get(job.id)
    assert "no price" in (paused.pause_reason or "")
    assert "brightrun prices set" in (paused.pause_reason or "")
    assert (writer.calls, paused.counts.queued, paused.money.spent) == (0, 2, 0)
    app.prices.save(now, actor="ana")
    app.batches.resume(job.id, actor="ana")
    app.steps._generation._spending._prices = (0.0, [])  # a minute later
    while app.batches.process_next(job.id).job.is_open:
        continue
    assert app.batches.get(job.id).counts.completed == 2


def test_a_prompt_that_outgrew_its_reserve_is_not_sent(app: App, writer: ScriptedWriter, dsn: str) -> None:
    """A persona made longer after the job was started cannot make a call dearer than what is reserved for it."""
    axes = app.scenarios.axes()
    arc = next(a for a in axes.arcs if a.tier is Tier.TEMPLATE)
    one = Scenario(arc.tier, axes.personas[0].persona_key, arc.arc_key, axes.topics[0].topic_key)
    plan = app.planner.plan([one], options(WriterName.CLAUDE))
    job = app.batches.create(plan, name="grown", actor="ana")
    change(dsn, "update personas set financial_background = repeat('Grown. ', 200)")
    app.scenarios.refresh()
    step = app.batches.process_next(job.id)
    assert step.outcome is StepOutcome.FAILED
    assert "has grown" in step.message
    assert (writer.calls, step.job.money.spent, step.job.money.possible) == (0, 0, 0)


def test_only_what_is_worth_it_is_sent_with_a_mark(app: App, start: Start, writer: ScriptedWriter) -> None:
    """The seed's short prompts are sent as they are; a long standing beginning carries its length."""
    job = start(2, options(WriterName.CLAUDE))
    app.batches.process_next(job.id)
    app.templates.publish(
        TemplateDraft(
            template_key="long",
            name="Long",
            tier=Tier.SCENARIO,
            system_text="Every word of this stands still. " * 200,
            user_text="{{ scenario }} Write exactly {{ turns }} turns.",
            required=("scenario",),
        ),
        actor="ana",
    )
    plan = app.planner.plan(scenarios(2), options(WriterName.CLAUDE), template="long")
    app.batches.process_next(app.batches.create(plan, name="long", actor="ana").id)
    assert [order.standing for order in writer.orders] == [None, 0]


def test_a_budget_that_helps_nothing_is_refused_with_what_does(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """Typing the used-up budget again says what one more call takes, and changes nothing; that amount goes on."""
    worst = app.planner.plan(scenarios(3), options(WriterName.CLAUDE)).estimate.worst_usd / 3
    job = start(3, options(WriterName.CLAUDE, budget=worst + 0.001))
    while app.batches.process_next(job.id).job.is_open:
        continue
    paused = app.batches.get(job.id)
    outlook = app.budgets.outlook(job.id)
    assert (paused.status, outlook.is_stuck) == (JobStatus.PAUSED, True)
    assert paused.money.budget is not None
    log = app.batches.log_text(job.id)
    with pytest.raises(InvalidInput, match="no further call can be made") as refused:
        app.budgets.set(job.id, paused.money.budget, actor="ana")
    amount = at_least(outlook.needed_for_next)
    assert f"With {amount} one more can be made" in refused.value.remedy
    assert app.batches.get(job.id) == paused
    assert app.batches.log_text(job.id) == log
    assert app.budgets.set(job.id, float(amount.lstrip("$")), actor="ana").is_open
