"""From scenarios to a plan: every prompt proven and every price known before anything starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from brightrun import saol
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import CHOOSE_FOR_ME, TemplateId
from brightrun.domain.price import MILLION, Estimate, Price, approximate_tokens, price_for
from brightrun.domain.scenario import Scenario
from brightrun.domain.template import Choice, Prompt, Template
from brightrun.services.scenarios import Scenarios
from brightrun.services.templates import Templates
from brightrun.stores import prices

MAX_ITEMS = 50_000
"""Above this, one request could not carry a job; split it."""
TOKENS_PER_WORD = 1.4
"""A stated approximation for English prose inside JSON."""
TOKENS_PER_TURN = 60
"""What the JSON around one turn takes, by the same approximation."""
USER_TURN_WORDS = 40
MAX_PROBLEMS = 20

AUTO = "auto"
"""The template name that asks Bright Run to choose."""


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One scenario with the template version it will be written with, and its worst-case price."""

    scenario: Scenario
    choice: Choice
    prompt: Prompt
    reserve: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch ready to start, or the problems that keep it from starting."""

    options: JobOptions
    template_id: TemplateId
    items: Sequence[PlannedItem]
    estimate: Estimate
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()

    def templates(self) -> Counter[str]:
        """Return how many items each template will write."""
        return Counter(item.choice.template.name for item in self.items)

    def require(self) -> None:
        """Raise InvalidInput when anything keeps the batch from starting."""
        if self.problems:
            listed = "\n".join(f"- {problem}" for problem in self.problems)
            raise InvalidInput(f"The batch cannot start:\n{listed}", remedy="Nothing was created.")
        if not self.items:
            raise InvalidInput(
                "There is nothing to write.", remedy="Give at least one scenario; nothing was created."
            )


class Planner:
    """Turns scenarios and settings into a plan, without writing anything."""

    def __init__(self, db: saol.Database, templates: Templates, scenarios: Scenarios) -> None:
        self._db = db
        self._templates = templates
        self._scenarios = scenarios

    def plan(self, scenarios: Sequence[Scenario], options: JobOptions, *, template: str = AUTO) -> Plan:
        """Choose, render and price every scenario; problems are listed, not raised."""
        if len(scenarios) > MAX_ITEMS:
            raise InvalidInput(
                f"{len(scenarios):,} scenarios are more than one job may hold ({MAX_ITEMS:,}).",
                remedy="Split them into several jobs.",
            )
        options, notes = _even_turns(options)
        fixed = None if template in (AUTO, CHOOSE_FOR_ME) else self._templates.find(template)
        known = prices.all_prices(self._db) if options.writer is WriterName.CLAUDE else []
        pool = self._templates.all(active_only=True) if fixed is None else []
        items: list[PlannedItem] = []
        problems: list[str] = []
        for number, scenario in enumerate(scenarios, start=1):
            try:
                items.append(self._item(scenario, options, fixed, pool, known))
            except InvalidInput as fault:
                problems.append(f"Scenario {number} ({scenario.title()}): {fault}")
                if len(problems) >= MAX_PROBLEMS:
                    problems.append("More scenarios were not looked at.")
                    break
        return Plan(
            options=options,
            template_id=fixed.id if fixed else CHOOSE_FOR_ME,
            items=items,
            estimate=_estimate(items, options, known),
            problems=problems,
            notes=notes,
        )

    def _item(
        self,
        scenario: Scenario,
        options: JobOptions,
        fixed: Template | None,
        pool: Sequence[Template],
        known: Sequence[Price],
    ) -> PlannedItem:
        cast = self._scenarios.cast(scenario)
        choice = Choice(fixed, "Chosen by hand.") if fixed else self._templates.choose(cast, pool)
        turns = self._templates.turns_for(cast, options.turns, seed=options.seed)
        prompt = self._templates.render(choice.template.version, cast, turns=turns)
        return PlannedItem(scenario, choice, prompt, worst_case(prompt, options, known))


def worst_case(prompt: Prompt, options: JobOptions, known: Sequence[Price]) -> float:
    """Return the most one call can cost: the whole prompt in, the token limit out. Demo costs nothing."""
    if options.writer is not WriterName.CLAUDE:
        return 0.0
    tokens = approximate_tokens(prompt.system + prompt.user)
    price = price_for(known, options.model, on=datetime.now(UTC).date(), input_tokens=tokens)
    return (tokens * price.input_usd + options.max_tokens * price.output_usd) / MILLION


def _estimate(items: Sequence[PlannedItem], options: JobOptions, known: Sequence[Price]) -> Estimate:
    inputs = [approximate_tokens(i.prompt.system + i.prompt.user) for i in items]
    outputs = [min(options.max_tokens, _expected_output(i.prompt)) for i in items]
    if options.writer is not WriterName.CLAUDE:
        return Estimate(len(items), sum(inputs), sum(outputs), 0.0, 0.0, "The demo writer costs nothing.")
    expected = 0.0
    for tokens_in, tokens_out in zip(inputs, outputs, strict=True):
        price = price_for(known, options.model, on=datetime.now(UTC).date(), input_tokens=tokens_in)
        expected += (tokens_in * price.input_usd + tokens_out * price.output_usd) / MILLION
    return Estimate(
        len(items),
        sum(inputs),
        sum(outputs),
        expected,
        sum(i.reserve for i in items),
        "Approximated: 4 characters a token, and the words each template asks for.",
    )


def _expected_output(prompt: Prompt) -> int:
    pairs = prompt.turns / 2
    words = pairs * ((prompt.words_min + prompt.words_max) / 2 + USER_TURN_WORDS)
    return round(words * TOKENS_PER_WORD + prompt.turns * TOKENS_PER_TURN)


def _even_turns(options: JobOptions) -> tuple[JobOptions, list[str]]:
    """A conversation ends with the assistant, so an odd number of turns becomes the next even one."""
    if options.turns is None or options.turns % 2 == 0:
        return options, []
    turns = options.turns + 1
    note = f"{options.turns} turns became {turns}: the user begins and the assistant has the last word."
    return replace(options, turns=turns), [note]
