"""Judging: conversations read and scored by Claude, as a batch with price, budget, retries and ledger of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from brightrun import saol
from brightrun.domain.batch import Claim, Job, JobKind, JobOptions, WriterName
from brightrun.domain.budget import check_budget
from brightrun.domain.calibration import Agreement, Calibration
from brightrun.domain.errors import Conflict, InvalidInput, NotAllowed
from brightrun.domain.estimate import Estimate, Terms
from brightrun.domain.ids import CHOOSE_FOR_ME, NO_TEMPLATE, ConversationId, TemplateVersionId
from brightrun.domain.insight import Scope
from brightrun.domain.judging import (
    RUBRIC_VERSION,
    SYSTEM,
    Subject,
    Verdict,
    dimensions_of,
    judge_prompt,
    marks_of,
    read_scores,
)
from brightrun.domain.person import Action
from brightrun.domain.price import Tariff
from brightrun.domain.review import ConversationFilter
from brightrun.domain.scenario import Scenario
from brightrun.domain.standard import STANDARD, Standard
from brightrun.domain.template import Prompt, TemplateVersion
from brightrun.domain.writing import Shape
from brightrun.events.event import Event, emit
from brightrun.services import statistics
from brightrun.services.answers import Errand, Reader
from brightrun.services.estimates import Estimator
from brightrun.services.rights import needs
from brightrun.services.scenarios import Scenarios
from brightrun.services.spending import Spending
from brightrun.stores import batches, prices
from brightrun.stores import verdicts as store

MAX_ITEMS = 10_000
MAX_TOKENS = 4_000
"""Ample for five scores with a passage and a sentence each."""
PRICE_TRIES = 5

_RUBRIC = TemplateVersion(
    id=NO_TEMPLATE,
    template_id=CHOOSE_FOR_ME,
    version=RUBRIC_VERSION,
    system_text=SYSTEM,
    user_text="",
    dataset_system_text="",
    required=(),
    optional=(),
    words_min=0,
    words_max=0,
    created_by="",
    created_at=datetime(2026, 11, 25, tzinfo=UTC),
)
"""The rubric where an estimate wants to know what prompts have in common."""


@dataclass(frozen=True, slots=True)
class JudgePlan:
    """What would be judged and what it will cost."""

    options: JobOptions
    subjects: Sequence[tuple[Subject, Scenario]]
    estimate: Estimate
    terms: Mapping[TemplateVersionId, Terms]
    again: bool = False

    def require(self) -> None:
        """Raise InvalidInput where there is nothing to judge."""
        if not self.subjects and self.again:
            raise InvalidInput(
                "There is nothing to judge: all that matches is on its way to a verdict of this model, or nothing matches.",
                remedy="A batch of verdicts that has not ended holds them: brightrun status lists it. Resume or cancel it.",
            )
        if not self.subjects:
            raise InvalidInput(
                "There is nothing to judge: all that matches has a verdict of this model, or is on its way to one.",
                remedy="Choose another filter or model, or ask for it again.",
            )


class Judging:
    """Price, budget, retries and the ledger are those of any batch; an answer that is stored is read, not bought."""

    def __init__(
        self,
        db: saol.Database,
        scenarios: Scenarios,
        estimator: Estimator,
        spending: Spending,
        reader: Callable[[WriterName], Reader],
        *,
        standard: Standard = STANDARD,
        max_attempts: int = 5,
    ) -> None:
        self._db = db
        self._scenarios = scenarios
        self._estimator = estimator
        self._spending = spending
        self._reader = reader
        self._floor = standard.judge_floor
        self._max_attempts = max_attempts

    def plan(self, chosen: ConversationFilter, options: JobOptions, *, again: bool = False) -> JudgePlan:
        """Price the verdicts a filter asks for; what has one already, or is on its way to one, is left out.

        Raises NotAllowed for the demo writer, and InvalidInput for a model without a price or a budget no job may have.
        """
        if options.budget is not None:
            check_budget(options.budget)
        if options.writer is not WriterName.CLAUDE:
            raise NotAllowed(
                "The demo writer judges nothing: a verdict made up by rule says nothing about a conversation.",
                remedy="Set ANTHROPIC_API_KEY; Claude judges then.",
            )
        options = replace(options, max_tokens=min(options.max_tokens, MAX_TOKENS), turns=None)
        known = prices.all_prices(self._db)
        Tariff(known, options.model, on=prices.today(self._db))
        texts = store.to_judge(
            self._db, chosen, model=options.model, rubric=RUBRIC_VERSION, again=again, limit=MAX_ITEMS + 1
        )
        if len(texts) > MAX_ITEMS:
            raise InvalidInput(
                f"More than {MAX_ITEMS:,} conversations match.",
                remedy="Judge them in parts: narrow the filter.",
            )
        prompts = [self._prompt(text) for text in texts]
        estimate, terms = self._estimator.estimate([(_RUBRIC, p) for p in prompts], options, known)
        return JudgePlan(options, [(t.subject, t.scenario) for t in texts], estimate, terms, again)

    @needs(Action.RUN_BATCH)
    def start(self, plan: JudgePlan, *, name: str, actor: str) -> Job:
        """Accept a plan as a batch that judges; raises Conflict where somebody else was first."""
        plan.require()
        for _ in range(PRICE_TRIES):
            seen = prices.mark(self._db)
            created = batches.create(
                self._db,
                self._job_row(plan, name, actor),
                self._item_rows(plan),
                _estimate_row(plan),
                seen=seen,
                kind=JobKind.JUDGE,
            )
            if created is not None:
                emit(Event.JOB_CREATED, job=created.id, items=len(plan.subjects), actor=actor, kind="judge")
                return created
        raise Conflict("The price table is being changed.", remedy="Look at the price again, then start it.")

    def errand(self, claim: Claim) -> Errand:
        """Return what the judge is asked for a claimed item, and how its answer becomes a verdict."""
        assert claim.subject
        text = store.text(self._db, claim.subject)
        if text is None:
            raise InvalidInput("The conversation that was to be judged is gone.")
        cast = self._scenarios.cast(replace(text.scenario, revision=None))
        asked = dimensions_of(cast)

        def finish(body: bytes, ledger: dict[str, object]) -> Mapping[str, object]:
            answer = self._reader(claim.options.writer)(body)
            used = self._spending.used(claim, answer)
            emit(Event.ANSWER_READ, model=answer.model, **used)
            ledger |= used
            scores = read_scores(answer, text.turns, asked)
            return {
                "model": claim.options.model,
                "rubric": RUBRIC_VERSION,
                "scores": [score.to_json() for score in scores],
                "lowest": min(score.score for score in scores),
                "is_doubtful": any(score.turn is None for score in scores),
                "raw_path": ledger["raw_path"],
                "marks": marks_of(scores, self._floor),
            }

        return Errand(judge_prompt(text.turns, cast), cast, Shape.VERDICT, finish)

    def of(self, conversation_id: ConversationId) -> list[Verdict]:
        """Return every verdict on a conversation, newest first."""
        return store.of_conversation(self._db, conversation_id)

    def calibration(self, scope: Scope) -> Calibration:
        """Return how far verdicts and reviewers say the same of the same text."""
        data = store.calibration(self._db, scope)
        said: dict[str, dict[tuple[str, str], int]] = {}
        for row in data["counts"]:
            judged = "rejected" if int(row["score"]) <= self._floor else "approved"
            decided = "approved" if row["is_approved"] else "rejected"
            pairs = said.setdefault(str(row["dimension"]), {})
            pairs[judged, decided] = pairs.get((judged, decided), 0) + int(row["times"])
        overall = _agreement(said.pop("all", {}))
        return Calibration(
            verdicts=int(data["verdicts"]),
            doubtful=int(data["doubtful"]),
            floor=self._floor,
            overall=overall,
            dimensions={name: _agreement(pairs) for name, pairs in said.items()},
        )

    def _prompt(self, text: store.Text) -> Prompt:
        return judge_prompt(text.turns, self._scenarios.cast(replace(text.scenario, revision=None)))

    def _job_row(self, plan: JudgePlan, name: str, actor: str) -> dict[str, object]:
        options = plan.options
        return {
            "name": name[:255],
            "template_id": CHOOSE_FOR_ME,
            "writer": options.writer.value,
            "model": options.model,
            "max_tokens": options.max_tokens,
            "budget_usd": options.budget,
            "max_attempts": self._max_attempts,
            "created_by": actor,
        }

    def _item_rows(self, plan: JudgePlan) -> list[dict[str, object]]:
        tariff = Tariff(prices.all_prices(self._db), plan.options.model, on=prices.today(self._db))
        reserve = tariff.ceiling(plan.terms[NO_TEMPLATE].input_bound, plan.options.max_tokens)
        return [
            {
                "position": position,
                "parameters": replace(scenario, revision=None).to_json() | {"judging": subject.to_json()},
                "fingerprint": _fingerprint(subject),
                "reserve_usd": reserve,
            }
            for position, (subject, scenario) in enumerate(plan.subjects, start=1)
        ]


def _estimate_row(plan: JudgePlan) -> dict[str, object]:
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


def _fingerprint(subject: Subject) -> str:
    """Never that of a scenario: what is judged is not planned."""
    return hashlib.sha256(f"judge {subject.conversation_id} {subject.version}".encode()).hexdigest()


def _agreement(said: Mapping[tuple[str, str], int]) -> Agreement:
    alike = sum(times for (judged, decided), times in said.items() if judged == decided)
    return Agreement(sum(said.values()), alike, dict(said), statistics.kappa(said))
