"""From scenarios to a plan: every prompt proven and every price known before anything starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from brightrun import saol
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.budget import check_budget
from brightrun.domain.errors import InvalidInput
from brightrun.domain.estimate import Estimate, Terms
from brightrun.domain.ids import CHOOSE_FOR_ME, TemplateId, TemplateVersionId
from brightrun.domain.part import Delivery
from brightrun.domain.price import Tariff, dollars
from brightrun.domain.scenario import Scenario
from brightrun.domain.template import Choice, Prompt, Template, TemplateVersion
from brightrun.services.estimates import Estimator
from brightrun.services.scenarios import Scenarios
from brightrun.services.templates import Templates
from brightrun.stores import prices

MAX_ITEMS = 50_000
"""Above this, one request could not carry a job; split it."""
MAX_PROBLEMS = 20

AUTO = "auto"
"""The template name that asks Bright Run to choose."""


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """One scenario with the template version it will be written with."""

    scenario: Scenario
    choice: Choice
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Plan:
    """A batch ready to start, or the problems that keep it from starting."""

    options: JobOptions
    template_id: TemplateId
    items: Sequence[PlannedItem]
    estimate: Estimate
    terms: Mapping[TemplateVersionId, Terms] = field(default_factory=dict)
    """What the prompts of each template version keep to."""
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()
    left_out: Sequence[str] = ()
    """Scenarios that cannot be written and were left out for that, each with its reason."""
    unseen: int = 0
    """Scenarios that nobody looked at any more: there were problems enough before."""

    def faulty(self) -> str:
        """Return how many scenarios cannot be written, in words."""
        number = len(self.problems) + len(self.left_out)
        least = "At least " if self.unseen else ""
        return f"{least}{number:,} scenario{'s' * (number != 1)}"

    def faults(self) -> list[str]:
        """Return what is wrong with each of them, and how many were not looked at."""
        unseen = [f"{self.unseen:,} more were not looked at."] if self.unseen else []
        return [*self.problems, *self.left_out, *unseen]

    def cautions(self) -> list[str]:
        """Return what would be paid for and not be had, or asked for and not be paid, in sentences."""
        unread = ", ".join(self.unread())
        same = f"No template used reads {unread}: prompts that differ in nothing else are the same."
        return [*filter(None, [self._lasts()]), *([same] if unread else [])]

    def unread(self) -> list[str]:
        """Return the variables of its scenarios that no template reads which is to write one of those that have it."""
        versions = {item.choice.template.version.id: item.choice.template.version for item in self.items}
        reads = {key: {*version.required, *version.optional} for key, version in versions.items()}
        given = dict.fromkeys(
            (item.choice.template.version.id, name) for item in self.items for name in item.scenario.variables
        )
        read = {name for key, name in given if name in reads[key]}
        return list(dict.fromkeys(name for _, name in given if name not in read))

    def _lasts(self) -> str:
        """Return how far its budget is expected to go, in words; empty where that is to the end."""
        budget, estimate = self.options.budget, self.estimate
        if budget is None or not estimate.worst_usd:
            return ""
        most, each = estimate.worst_usd / estimate.items, estimate.expected_usd / estimate.items
        if budget < most:
            return (
                f"A budget of {dollars(budget)} lets nothing be written: before each call {dollars(most)} are held back, "
                "the most it can cost."
            )
        number, rounds = _spread_of(budget, most, each, estimate.items)
        told = []
        if number < estimate.items:
            told.append(
                f"A budget of {dollars(budget)} is expected to last for about {number:,} of {estimate.items:,}: before "
                f"each call {dollars(most)} are held back."
            )
        if rounds > 1 and self.options.delivery is Delivery.OVERNIGHT:
            told.append(
                f"Overnight it lets about {int(budget / most):,} be out at once, and the next ones when those are back: "
                f"about {rounds:,} rounds, each of which may take a day."
            )
        return " ".join(told)

    def templates(self) -> Counter[str]:
        """Return how many items each template will write."""
        return Counter(item.choice.template.name for item in self.items)

    def require(self) -> None:
        """Raise InvalidInput when anything keeps the batch from starting."""
        if self.problems:
            listed = "\n".join(f"- {problem}" for problem in self.faults())
            raise InvalidInput(f"The batch cannot start:\n{listed}", remedy="Nothing was created.")
        if not self.items:
            raise InvalidInput(
                "There is nothing to write.", remedy="Give at least one scenario; nothing was created."
            )


class Planner:
    """Turns scenarios and settings into a plan, without writing anything."""

    def __init__(
        self, db: saol.Database, templates: Templates, scenarios: Scenarios, estimator: Estimator
    ) -> None:
        self._db = db
        self._templates = templates
        self._scenarios = scenarios
        self._estimator = estimator

    def plan(
        self,
        scenarios: Sequence[Scenario],
        options: JobOptions,
        *,
        template: str = AUTO,
        choices: Sequence[Choice] | None = None,
        leave_out: bool = False,
    ) -> Plan:
        """Choose, render and price every scenario; problems are listed, not raised.

        leave_out: what cannot be written is left out instead of keeping the others from starting.
        choices: the template of each scenario, where that is decided; else `template` is for all of them.
        Raises InvalidInput for what concerns all of them: too many, a budget no job may have, or a model without
        a price.
        """
        if options.budget is not None:
            check_budget(options.budget)
        if len(scenarios) > MAX_ITEMS:
            raise InvalidInput(
                f"{len(scenarios):,} scenarios are more than one job may hold ({MAX_ITEMS:,}).",
                remedy="Split them into several jobs.",
            )
        options, notes = _even_turns(options)
        fixed = None if template in (AUTO, CHOOSE_FOR_ME) else self._templates.find(template)
        known = prices.all_prices(self._db) if options.writer is WriterName.CLAUDE else []
        if options.writer is WriterName.CLAUDE:
            Tariff(known, options.model, on=prices.today(self._db))
        pool = self._templates.all(active_only=True) if fixed is None and choices is None else []
        decided: Sequence[Choice | None] = choices or [_by_hand(fixed)] * len(scenarios)
        items: list[PlannedItem] = []
        faults: list[str] = []
        unseen = 0
        for number, (scenario, choice) in enumerate(zip(scenarios, decided, strict=True), start=1):
            try:
                items.append(self._item(scenario, options, choice, pool))
            except InvalidInput as fault:
                faults.append(f"Scenario {number} ({self._scenarios.title(scenario)}): {fault}")
                if len(faults) >= MAX_PROBLEMS and not leave_out:
                    unseen = len(scenarios) - number
                    break
        parts = [(item.choice.template.version, item.prompt) for item in items]
        estimate, terms = self._estimator.estimate(parts, options, known)
        return Plan(
            options=options,
            template_id=fixed.id if fixed else CHOOSE_FOR_ME,
            items=items,
            estimate=estimate,
            terms=terms,
            problems=() if leave_out else faults,
            notes=notes,
            left_out=faults if leave_out else (),
            unseen=unseen,
        )

    def price(self, version: TemplateVersion, prompt: Prompt, options: JobOptions) -> Estimate:
        """Return what one conversation by this prompt would cost; raises InvalidInput for an unpriced model."""
        return self._price([(version, prompt)], options)

    def price_of_preview(self, plan: Plan, number: int) -> Estimate:
        """Return what a plan's first items alone will cost, written at once as a preview is."""
        parts = [(item.choice.template.version, item.prompt) for item in plan.items[:number]]
        return self._price(parts, replace(plan.options, delivery=Delivery.DIRECT))

    def _price(self, parts: Sequence[tuple[TemplateVersion, Prompt]], options: JobOptions) -> Estimate:
        known = prices.all_prices(self._db) if options.writer is WriterName.CLAUDE else []
        return self._estimator.estimate(parts, options, known)[0]

    def _item(
        self,
        scenario: Scenario,
        options: JobOptions,
        choice: Choice | None,
        pool: Sequence[Template],
    ) -> PlannedItem:
        cast = self._scenarios.cast(scenario)
        choice = choice or self._templates.choose(cast, pool)
        turns = self._templates.turns_for(cast, options.turns, seed=options.seed)
        prompt = self._templates.render(choice.template.version, cast, turns=turns)
        return PlannedItem(scenario, choice, prompt)


def job_row(plan: Plan, name: str, actor: str) -> dict[str, object]:
    """Return what a job is, by column."""
    options = plan.options
    return {
        "name": name,
        "template_id": plan.template_id,
        "writer": options.writer.value,
        "model": options.model,
        "max_tokens": options.max_tokens,
        "turns": options.turns,
        "seed": options.seed,
        "stop_on_error": options.stop_on_error,
        "retry_cut": options.retry_cut,
        "budget_usd": options.budget,
        "created_by": actor,
    }


def item_rows(plan: Plan, tariff: Tariff | None) -> list[dict[str, object]]:
    """Return a plan's items, by column, each with the most that one call for it can cost by a tariff."""
    return [
        {
            "position": position,
            "parameters": item.scenario.to_json(),
            "fingerprint": item.scenario.fingerprint(),
            "template_version_id": item.choice.template.version.id,
            "template_choice": item.choice.reason,
            "reserve_usd": reserve,
        }
        for position, (item, reserve) in enumerate(
            zip(plan.items, _reserves(plan, tariff), strict=True), start=1
        )
    ]


def tariff_of(db: saol.Database, options: JobOptions) -> Tariff | None:
    """Return today's prices of a job's model; None where its writer costs nothing. Raises InvalidInput for no price."""
    if options.writer is not WriterName.CLAUDE:
        return None
    return Tariff(prices.all_prices(db), options.model, on=prices.today(db))


def estimate_row(plan: Plan) -> dict[str, object]:
    """Return what a plan was expected to cost and what its prompts keep to, by column."""
    estimate = plan.estimate
    return {
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "expected_usd": estimate.expected_usd,
        "high_usd": estimate.high_usd,
        "worst_usd": estimate.worst_usd,
        "basis": estimate.method,
        "terms": {version: asdict(terms) for version, terms in plan.terms.items()},
    }


def _spread_of(budget: float, most: float, each: float, items: int) -> tuple[int, int]:
    """Return how many items are expected to fit a budget that holds back `most` for each that is out, and in how many rounds."""
    left, done, rounds = budget, 0, 0
    while done < items and left >= most:
        out = min(int(left / most), items - done)
        left, done, rounds = left - out * each, done + out, rounds + 1
    return done, rounds


def _reserves(plan: Plan, tariff: Tariff | None) -> list[float]:
    """Return the most that one call for each item can cost; without a tariff, nothing."""
    if tariff is None:
        return [0.0] * len(plan.items)
    dearest = {
        version: tariff.ceiling(terms.input_bound, plan.options.max_tokens)
        for version, terms in plan.terms.items()
    }
    return [dearest[item.choice.template.version.id] for item in plan.items]


def _even_turns(options: JobOptions) -> tuple[JobOptions, list[str]]:
    """A conversation ends with the assistant, so an odd number of turns becomes the next even one."""
    if options.turns is None or options.turns % 2 == 0:
        return options, []
    turns = options.turns + 1
    note = f"{options.turns} messages became {turns}: the user begins and the assistant has the last word."
    return replace(options, turns=turns), [note]


def _by_hand(template: Template | None) -> Choice | None:
    return Choice(template, "Chosen by hand.") if template else None
