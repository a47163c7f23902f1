"""What stands between an item and a call that costs money, and what the call cost."""

from __future__ import annotations

import threading
import time
from datetime import UTC, date

from brightrun import saol
from brightrun.domain.batch import Assignment, Claim, WriterName
from brightrun.domain.errors import InvalidInput, WriterRejected
from brightrun.domain.estimate import Terms
from brightrun.domain.ids import JobId, TemplateVersionId
from brightrun.domain.price import Price, Tariff, cost_of
from brightrun.domain.template import Prompt
from brightrun.domain.writing import Answer, Usage
from brightrun.services.estimates import most_tokens
from brightrun.stores import costs, prices

PRICES_KEPT_SECONDS = 5.0
JOBS_KEPT = 200


class Spending:
    """Reads prices every few seconds and a job's terms once, so that it costs a step nothing; safe between threads."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db
        self._prices: tuple[float, list[Price]] = (0.0, [])
        self._tariffs: dict[tuple[str, date], Tariff] = {}
        self._terms: dict[JobId, dict[TemplateVersionId, Terms]] = {}
        self._lock = threading.Lock()

    def permit(self, claim: Claim, prompt: Prompt) -> int | None:
        """Let a call be made, and return how much of its message stands still; None for no caching.

        Raises WriterRejected where its model has no price any more, and InvalidInput where the prompt has
        outgrown what is reserved for it.
        """
        if claim.options.writer is not WriterName.CLAUDE:
            return None
        try:
            self._tariff(claim)
        except InvalidInput as fault:
            raise WriterRejected(fault.message, remedy=fault.remedy, code="unpriced") from fault
        terms = self._terms_of(claim.job_id).get(claim.template_version_id)
        if (
            terms is None or most_tokens(prompt) > terms.input_bound
        ):  # adjusted elsewhere since they were read?
            terms = self._terms_of(claim.job_id, anew=True).get(claim.template_version_id)
        if terms is None:
            return None
        if most_tokens(prompt) > terms.input_bound:
            raise InvalidInput(
                "Its prompt has grown since the job was made, so the call could cost more than is reserved.",
                remedy="A persona, an arc or a topic was made longer: put this scenario into a new job.",
            )
        return terms.standing

    def cost(self, assignment: Assignment, usage: Usage, *, is_batched: bool = False) -> float:
        """Return the dollars a call cost; raises InvalidInput where its model has no price any more."""
        if assignment.options.writer is not WriterName.CLAUDE:
            return 0.0
        total = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        price = self._tariff(assignment).price(total)
        return cost_of(usage, price) * (price.batch_factor if is_batched else 1.0)

    def used(self, assignment: Assignment, answer: Answer) -> dict[str, object]:
        """Return what an answer used and cost, by column of the ledger."""
        usage = answer.usage
        if usage is None or (assignment.options.writer is WriterName.CLAUDE and usage == Usage()):
            return {"stop_reason": answer.stop_reason}  # an unknown cost is not nothing
        return {
            "cost_usd": self.cost(assignment, usage, is_batched=answer.is_batched),
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "stop_reason": answer.stop_reason,
        }

    def _tariff(self, assignment: Assignment) -> Tariff:
        call = (assignment.options.model, assignment.claimed_at.astimezone(UTC).date())
        with self._lock:
            read_at, known = self._prices
            if not known or time.monotonic() - read_at > PRICES_KEPT_SECONDS:
                known = prices.all_prices(self._db)
                self._prices = (time.monotonic(), known)
                self._tariffs.clear()
            tariff = self._tariffs.get(call)
            if tariff is None:
                tariff = self._tariffs[call] = Tariff(known, call[0], on=call[1])
        return tariff

    def _terms_of(self, job_id: JobId, *, anew: bool = False) -> dict[TemplateVersionId, Terms]:
        with self._lock:
            known = None if anew else self._terms.get(job_id)
        if known is None:
            known = costs.terms(self._db, job_id)
            with self._lock:
                if len(self._terms) >= JOBS_KEPT:
                    self._terms.clear()
                self._terms[job_id] = known
        return known
