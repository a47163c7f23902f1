"""Plans: what a batch would be and cost, before anything exists."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import WriterName
from brightrun.domain.errors import InvalidInput
from brightrun.domain.part import Delivery
from brightrun.domain.price import MILLION
from brightrun.services.plans import MAX_ITEMS
from tests.fakes import options, scenarios


def test_the_estimate_is_tokens_times_price(app: App) -> None:
    """The expected cost follows from the tokens it names and the price table; the worst case is above it."""
    given = options(WriterName.CLAUDE)
    plan = app.planner.plan(scenarios(5), given)
    price = next(p for p in app.prices.in_force() if p.model == given.model and not p.above_input_tokens)
    estimate = plan.estimate
    cost = (estimate.input_tokens * price.input_usd + estimate.output_tokens * price.output_usd) / MILLION
    assert estimate.items == 5
    assert estimate.expected_usd == pytest.approx(cost)
    assert estimate.worst_usd >= 5 * given.max_tokens * price.output_usd / MILLION > estimate.expected_usd
    assert estimate.method


def test_the_demo_costs_nothing_and_says_so(app: App) -> None:
    """A demo batch shows no cost, not an unknown one."""
    estimate = app.planner.plan(scenarios(3), options()).estimate
    assert (estimate.expected_usd, estimate.worst_usd) == (0, 0)
    assert "demo" in estimate.method.lower()


def test_an_unpriced_model_is_refused_with_the_remedy(app: App) -> None:
    """A model without a price is never taken for free."""
    with pytest.raises(InvalidInput) as caught:
        app.planner.plan(scenarios(1), options(WriterName.CLAUDE, model="claude-unknown-9")).require()
    assert "price" in str(caught.value).lower()


def test_a_plan_names_every_problem_and_creates_nothing(app: App) -> None:
    """Scenarios that cannot be written are listed by number, the others do not start without them."""
    mixed = [*scenarios(1), scenarios(1)[0].__class__(variables={"weather": "rain"})]
    plan = app.planner.plan(mixed, options())
    assert len(plan.items) == 1
    assert plan.problems[0].startswith("Scenario 2")
    with pytest.raises(InvalidInput, match="Scenario 2"):
        plan.require()
    assert app.batches.count() == 0


def test_a_variable_that_no_template_reads_is_named(app: App) -> None:
    """Whoever varies something that changes no prompt learns it before paying for the same prompt several times."""
    given = scenarios(2)
    assert app.planner.plan(given, options()).cautions() == []
    seasons = [
        replace(one, variables={**one.variables, "season": season})
        for one in given
        for season in ("spring", "autumn")
    ]
    plan = app.planner.plan(seasons, options())
    assert len({item.prompt for item in plan.items}) == 2
    (caution,) = plan.cautions()
    assert caution.startswith("No template used reads season:")


def test_a_budget_that_will_not_last_is_said_to(app: App) -> None:
    """Before a batch starts it is known whether its money buys nothing, a part, or all of it."""
    claude = options(WriterName.CLAUDE)
    estimate = app.planner.plan(scenarios(20), claude).estimate
    most = estimate.worst_usd / 20

    def told(budget: float) -> list[str]:
        return app.planner.plan(scenarios(20), replace(claude, budget=budget)).cautions()

    assert "lets nothing be written" in told(most * 0.9)[0]
    assert told(estimate.worst_usd) == []
    between = most + estimate.expected_usd / 20 * 4.5
    assert between < estimate.expected_usd
    assert "is expected to last for about 5 of 20:" in told(between)[0]
    just_short = most + estimate.expected_usd / 20 * 18.5
    assert just_short > estimate.expected_usd, "what the last one may cost is held back too"
    assert "is expected to last for about 19 of 20:" in told(just_short)[0]
    assert told(most + estimate.expected_usd) == []


def test_a_budget_that_makes_many_nights_of_one_is_said_to(app: App) -> None:
    """Overnight, a budget below the worst case lets few be out at once: that it takes days is known before the start."""
    night = options(WriterName.CLAUDE, delivery=Delivery.OVERNIGHT)
    estimate = app.planner.plan(scenarios(20), night).estimate
    most = estimate.worst_usd / 20

    def told(budget: float) -> list[str]:
        return app.planner.plan(scenarios(20), replace(night, budget=budget)).cautions()

    (caution,) = told(most * 3.5 + estimate.expected_usd)
    assert "rounds, each of which may take a day" in caution
    assert "be out at once" in caution
    assert told(estimate.worst_usd * 1.001) == []


def test_what_was_not_looked_at_is_no_problem_of_its_own(app: App) -> None:
    """After twenty problems the rest is not looked at: the count says at least, and the end says how many."""
    blank = scenarios(1)[0].__class__(variables={"weather": "rain"})
    plan = app.planner.plan([blank] * 30, options())
    assert plan.faulty() == "At least 20 scenarios"
    assert plan.faults()[-1] == "10 more were not looked at."
    assert app.planner.plan([blank], options()).faulty() == "1 scenario"
    unseen = scenarios(1)[0].__class__(variables={"scenario": "\u200b"})
    assert app.planner.plan([unseen], options()).faulty() == "1 scenario", "a sign nobody sees says nothing"
    with pytest.raises(InvalidInput, match="10 more were not looked at"):
        plan.require()


def test_what_cannot_be_written_can_be_left_out(app: App) -> None:
    """Of a long file nobody has to mend twenty blank rows first: the others start, and each left out is named."""
    blank = scenarios(1)[0].__class__(variables={"weather": "rain"})
    plan = app.planner.plan([*scenarios(2), *[blank] * 30], options(), leave_out=True)
    plan.require()
    assert (len(plan.items), len(plan.left_out), plan.problems) == (2, 30, ())
    assert plan.left_out[-1].startswith("Scenario 32")
    with pytest.raises(InvalidInput, match="nothing to write"):
        app.planner.plan([blank], options(), leave_out=True).require()


def test_too_many_scenarios_are_refused(app: App) -> None:
    """A job has an upper size, said with the number that was given."""
    with pytest.raises(InvalidInput, match=f"{MAX_ITEMS + 1:,}"):
        app.planner.plan(scenarios(1) * (MAX_ITEMS + 1), options())


@pytest.mark.parametrize("budget", [math.inf, math.nan, -5.0, 0.0, 1e-9, 1e30])
def test_a_budget_no_job_may_have_is_refused(app: App, budget: float) -> None:
    """A slip of the hand never becomes a job without a limit, or an error of the database."""
    with pytest.raises(InvalidInput, match=r"0.000001 at least, and \$10,000,000 at most"):
        app.planner.plan(scenarios(1), replace(options(), budget=budget))


def test_odd_turns_become_even_with_a_note(app: App) -> None:
    """An odd number of messages is rounded up, and the plan says so."""
    plan = app.planner.plan(scenarios(1), options(turns=5))
    assert plan.options.turns == 6
    assert plan.notes
