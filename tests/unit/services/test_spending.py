"""Between an item and a paid call: no price, no call; nothing outgrows what is reserved for it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, JobStatus, StepOutcome, WriterName
from brightrun.domain.scenario import Scenario, Tier
from brightrun.services.templates import TemplateDraft
from brightrun.writers.claude import ClaudeWriter
from tests.fakes import ScriptedWriter, options, scenarios
from tests.messages_api import KEY, MessagesApi
from tests.messages_api.billing import every_token

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
    app.batches._generation._spending._prices = (0.0, [])  # a minute later
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


class TestAgainstTheMessagesApi:
    @pytest.fixture
    def api(self) -> Iterator[MessagesApi]:
        with MessagesApi(bill=every_token) as running:
            yield running

    @pytest.fixture
    def real(self, dsn: str, tmp_path: Path, api: MessagesApi) -> Iterator[App]:
        settings = Settings(home=tmp_path, database_url=dsn, retry_base=0.01, actor="ana")
        claude = ClaudeWriter(KEY, api.url, timeout=10)
        opened = open_app(settings, writers={WriterName.CLAUDE: claude})
        yield opened
        opened.close()
        claude.close()

    @pytest.mark.parametrize("seed", range(6))
    def test_two_workers_never_spend_more_than_the_budget(
        self, real: App, api: MessagesApi, seed: int
    ) -> None:
        """With the dearest answers there can be, each token a byte and all of them cached, a budget still holds."""
        chance = random.Random(seed)
        given = options(WriterName.CLAUDE, max_tokens=chance.randrange(300, 2000))
        rows = [
            Scenario(
                Tier.SCENARIO, variables={"scenario": chance.choice(("tea ", "\ufdfa", "漢 ")) * 40 + str(n)}
            )
            for n in range(8)
        ]
        plan = real.planner.plan(rows, given)
        budget = plan.estimate.worst_usd * chance.uniform(0.1, 1.1)
        plan = real.planner.plan(rows, options(WriterName.CLAUDE, max_tokens=given.max_tokens, budget=budget))
        job = real.batches.create(plan, name="budget", actor="ana")

        def work() -> None:
            while real.batches.process_next(job.id).job.is_open:
                continue

        workers = [threading.Thread(target=work) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        ended = real.batches.get(job.id)
        assert ended.money.reserved == 0
        assert ended.money.spent + ended.money.possible <= budget + 1e-9
        if ended.counts.queued:
            assert ended.status is JobStatus.PAUSED
            outlook = real.budgets.outlook(job.id)
            assert outlook.is_stuck, "it stopped only because the next call does not fit"
        assert ended.counts.completed + ended.counts.failed == len(api.requests)
