"""One step of writing: claim to conversation, with every answer kept before it is read."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import orjson

from brightrun import saol
from brightrun.domain.answer import accept
from brightrun.domain.batch import Claim, WriterName
from brightrun.domain.bucket import Bucket
from brightrun.domain.enrichment import Record, enrich, final_document
from brightrun.domain.errors import (
    AnswerCut,
    AnswerElsewhere,
    AnswerFault,
    AnswerRefused,
    DatabaseFault,
    InvalidInput,
    StorageFault,
    WriterBusy,
    WriterDeclined,
    WriterFault,
    WriterRejected,
    WriterUncertain,
)
from brightrun.domain.ids import ConversationKey
from brightrun.domain.quality import Assessment, assess
from brightrun.domain.scenario import Cast
from brightrun.domain.template import Prompt, TemplateVersion
from brightrun.domain.text import word_count
from brightrun.domain.writing import Answer, Order, Usage, Writer
from brightrun.events.event import Event, emit, note
from brightrun.services.scenarios import Scenarios
from brightrun.services.spending import Spending
from brightrun.services.spool import Spool
from brightrun.services.templates import Templates

KEY_SPACE = UUID("6f1c1c1e-8f0b-4b0e-9d0a-6272696768f7")
"""Business keys are derived from items, so that a step done twice writes the same files."""
RETRY_CAP_SECONDS = 900.0
RATE_LIMIT_PATIENCE = 20
"""So many attempts of an item a rate limit gives back, over an hour and a half at least; later ones count."""
ELSEWHERE_SECONDS = 60.0
"""How long an item waits for the machine that keeps its answer."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """An item that became a conversation: the ledger's entry and the row."""

    attempt: Mapping[str, object]
    conversation: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Unwritten:
    """An item that did not: what becomes of it, and the ledger's entry."""

    disposition: str
    attempt: Mapping[str, object]
    delay: float = 0.0
    refund: bool = False
    slow_down: bool = False
    reason: str | None = None
    """What is said of the item and a paused job, where it is not the attempt that is at fault."""

    @property
    def message(self) -> str:
        return self.reason or str(self.attempt.get("error_message") or "")


class Generation:
    """Writes claimed items; knows neither the browser nor how many of it run."""

    def __init__(
        self,
        db: saol.Database,
        templates: Templates,
        scenarios: Scenarios,
        files: Bucket,
        spool: Spool,
        writers: Callable[[WriterName], Writer],
        *,
        retry_base: float,
        lease_margin: float,
    ) -> None:
        self._db = db
        self._templates = templates
        self._scenarios = scenarios
        self._files = files
        self._spool = spool
        self._writers = writers
        self._retry_base = retry_base
        self._lease_margin = lease_margin
        self._spending = Spending(db)

    def write(self, claim: Claim, *, leased_at: float) -> Written | Unwritten:
        """Bring one claimed item as far as it goes; `leased_at` is the `uptime` before it was claimed."""
        ledger: dict[str, object] = {"number": claim.attempt, "outcome": "failed"}
        try:
            version = self._templates.version(claim.template_version_id)
            cast = self._scenarios.cast(claim.scenario)
            turns = self._templates.turns_for(cast, claim.options.turns, seed=claim.options.seed)
            prompt = self._templates.render(version, cast, turns=turns)
            ledger["request"] = _request(prompt, claim)
            writer = self._writers(claim.options.writer)
            body = self._answer(claim, leased_at, prompt, cast, writer, ledger)
            if body is None:
                return _crashed(claim, ledger)
            return self._read(claim, body, writer, version, cast, prompt, ledger)
        except _LeaseOver:
            return _put_back("This machine stood still for too long.", "lease_over", ledger, 0.0)
        except WriterFault as fault:
            return _not_answered(fault, claim, ledger, self._retry_base)
        except AnswerElsewhere as fault:
            ledger |= {"outcome": "skipped", "error_code": "answer_elsewhere", "error_message": str(fault)}
            return Unwritten("retry" if claim.may_call else "failed", ledger, delay=ELSEWHERE_SECONDS)
        except StorageFault as fault:
            return _not_stored(fault, ledger)
        except DatabaseFault as fault:
            if not fault.is_transient:
                raise
            return _put_back(f"The database went away: {fault}", "database", ledger, self._retry_base)
        except InvalidInput as fault:
            ledger |= {"error_code": "invalid_input", "error_message": str(fault)}
            return Unwritten("failed", ledger)

    def _answer(
        self,
        claim: Claim,
        leased_at: float,
        prompt: Prompt,
        cast: Cast,
        writer: Writer,
        ledger: dict[str, object],
    ) -> bytes | None:
        """Return a stored answer where there is one, else call once and store before anything else."""
        found = self._stored(claim)
        if found:
            ledger["number"], ledger["raw_path"], body = found
            ledger["outcome"] = "stored"
            emit(Event.ANSWER_REUSED, of_attempt=found[0], raw_path=found[1])
            return body
        if not claim.may_call:
            return None
        if claim.options.writer is not WriterName.DEMO:
            self._spool.require_store()
        standing = self._spending.permit(claim, prompt)
        if uptime() - leased_at > self._lease_margin:
            raise _LeaseOver  # another worker may have the item by the time an answer came
        options = claim.options
        order = Order(prompt, cast, options.model, options.max_tokens, options.seed, standing)
        emit(Event.CALL_STARTED, writer=writer.name, model=order.model, max_tokens=order.max_tokens)
        raw = writer.write(order)
        ledger["outcome"] = "unknown"  # paid for, until its bytes are safe
        ledger["request_id"] = raw.request_id
        key = raw_key(claim, claim.attempt)
        is_spooled = not self._spool.keep(key, raw.body)
        ledger |= {"outcome": "stored", "raw_path": key}
        note(request_id=raw.request_id)
        emit(Event.CALL_ANSWERED, seconds=round(raw.seconds, 3), bytes=len(raw.body))
        emit(Event.ANSWER_SPOOLED if is_spooled else Event.ANSWER_STORED, raw_path=key)
        return raw.body

    def _stored(self, claim: Claim) -> tuple[int, str, bytes] | None:
        """Return the newest answer of an earlier attempt; raises AnswerElsewhere where it is out of reach."""
        for earlier in claim.answers:
            key = raw_key(claim, earlier.number)
            body = self._spool.find(key)
            if body is not None:
                return earlier.number, key, body
            if earlier.is_stored:
                raise AnswerElsewhere(
                    f"Its answer of attempt {earlier.number} is paid for and waits on the machine"
                    f" {earlier.worker.split(':')[0]}.",
                    remedy="Start Bright Run there, and it is uploaded; it is not bought again by itself.",
                    key=key,
                )
        return None

    def _read(
        self,
        claim: Claim,
        body: bytes,
        writer: Writer,
        version: TemplateVersion,
        cast: Cast,
        prompt: Prompt,
        ledger: dict[str, object],
    ) -> Written | Unwritten:
        """Parse, assess and enrich a stored answer: pure, so that it may be done again for nothing."""
        try:
            answer = writer.read(body)
            usage = self._usage(claim, answer)
            emit(Event.ANSWER_READ, model=answer.model, **usage)
            ledger |= usage
            turns = accept(answer)
        except AnswerFault as fault:
            return _of_no_use(fault, claim, ledger)
        assessment = assess(turns, cast=cast, prompt=prompt)
        template = self._templates.of_version(version)
        record = Record(
            key=ConversationKey(str(uuid5(KEY_SPACE, claim.item_id))),
            item_id=claim.item_id,
            job_id=claim.job_id,
            created_at=claim.claimed_at.isoformat(),
            cast=cast,
            prompt=prompt,
            turns=tuple(turns),
            assessment=assessment,
            writer=claim.options.writer.value,
            model=answer.model,
            template_key=template.template_key,
            template_version=version.version,
        )
        return Written(ledger, self._store_documents(record, ledger))

    def _store_documents(self, record: Record, ledger: Mapping[str, object]) -> dict[str, object]:
        """Write the final and enriched files and return the row; both files can be derived again."""
        final, enriched = document_keys(record.key)
        self._files.put(final, orjson.dumps(final_document(record)), overwrite=True, durable=False)
        self._files.put(enriched, orjson.dumps(enrich(record)), overwrite=True, durable=False)
        return _row(record) | {
            "raw_path": ledger["raw_path"],
            "final_path": final,
            "enriched_path": enriched,
            "enrichment_status": "completed",
            "cost_usd": ledger.get("cost_usd", 0),
        }

    def _usage(self, claim: Claim, answer: Answer) -> dict[str, object]:
        usage = answer.usage
        if usage is None or (claim.options.writer is WriterName.CLAUDE and usage == Usage()):
            return {"stop_reason": answer.stop_reason}  # an unknown cost is not nothing
        return {
            "cost_usd": self._spending.cost(claim, usage),
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "stop_reason": answer.stop_reason,
        }


def raw_key(claim: Claim, number: int) -> str:
    """Return the write-once key of one attempt's answer."""
    return f"raw/{claim.job_id}/{claim.item_id}-{number}.json"


def document_keys(key: ConversationKey) -> tuple[str, str]:
    """Return the keys of the final and the enriched document of a conversation."""
    return f"final/{key}.json", f"enriched/{key}.json"


def _request(prompt: Prompt, claim: Claim) -> dict[str, object]:
    return {
        "system": prompt.system,
        "user": prompt.user,
        "model": claim.options.model,
        "max_tokens": claim.options.max_tokens,
    }


def _row(record: Record) -> dict[str, object]:
    scenario = record.cast.scenario
    assessment: Assessment = record.assessment
    text = record.turns[0].content if record.turns else ""
    return {
        "conversation_id": record.key,
        "name": scenario.title(),
        "model": record.model,
        "tier": scenario.tier.value,
        "persona_key": scenario.persona_key,
        "arc_key": scenario.arc_key,
        "topic_key": scenario.topic_key,
        "parameters": scenario.to_json(),
        "system_text": record.prompt.dataset_system,
        "turns": [turn.to_json() for turn in record.turns],
        "turn_count": len(record.turns),
        "word_count": sum(word_count(turn.content) for turn in record.turns),
        "first_words": " ".join(text.split())[:160],
        "quality_score": assessment.score,
        "has_blockers": bool(assessment.blockers),
        "flags": list(assessment.flags),
        **_reports(assessment),
    }


def _reports(assessment: Assessment) -> dict[str, Any]:
    data = assessment.to_json()
    return {
        "quality": {"score": data["score"], "breakdown": data["breakdown"]},
        "validation": {"blockers": data["blockers"], "warnings": data["warnings"]},
    }


class _LeaseOver(Exception):
    """Too little of the lease is left for a call."""


def uptime() -> float:
    """Return seconds that pass while this machine sleeps too, where its system counts them."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def _put_back(reason: str, code: str, ledger: dict[str, object], delay: float) -> Unwritten:
    """Put an item back that is not at fault; an answer that is stored is gone on from."""
    if ledger["outcome"] != "stored":
        ledger |= {"error_code": code, "error_message": reason}
    return Unwritten("retry", ledger, delay=delay, refund=True, reason=reason)


def _crashed(claim: Claim, ledger: dict[str, object]) -> Unwritten:
    reason = (
        f"Its worker vanished {claim.crashes} times in {claim.tries - 1} attempts, and no answer was stored."
    )
    ledger |= {"outcome": "skipped", "error_code": "crashed", "error_message": reason}
    return Unwritten("failed", ledger)


def _not_stored(fault: StorageFault, ledger: dict[str, object]) -> Unwritten:
    """Pause the job whose answers cannot be stored; one that was kept is not at fault and is gone on from."""
    reason = f"The answer store is not usable: {fault}"
    if ledger["outcome"] == "stored":
        reason += " The answer that came is safe; it is gone on from, and nothing is paid for again."
    else:
        lost = " The answer that came could be kept nowhere." if ledger["outcome"] == "unknown" else ""
        reason += lost
        ledger |= {"error_code": "storage", "error_message": reason}
    return Unwritten("pause", ledger, reason=reason)


def _of_no_use(fault: AnswerFault, claim: Claim, ledger: dict[str, object]) -> Unwritten:
    """Fail the item whose answer is useless; a cut one is bought once more where that was allowed."""
    ledger |= {"judged": True, "error_code": fault.code, "error_message": str(fault)}
    if isinstance(fault, AnswerRefused):
        ledger |= {"refusal_category": fault.category, "refusal_explanation": fault.explanation}
    if isinstance(fault, AnswerCut) and claim.options.retry_cut:
        return Unwritten("retry", ledger)
    return Unwritten("failed", ledger)


def _not_answered(
    fault: WriterFault, claim: Claim, ledger: dict[str, object], retry_base: float
) -> Unwritten:
    """Turn a writer's fault into what failure-model demands of the item and the job."""
    ledger |= {"error_code": fault.code, "error_message": str(fault), "request_id": fault.request_id}
    note(request_id=fault.request_id)
    emit(Event.CALL_FAILED, error_code=fault.code, status=fault.status, retry_after=fault.retry_after)
    if isinstance(fault, WriterRejected):
        return Unwritten("pause", ledger)
    if isinstance(fault, WriterDeclined):
        return Unwritten("failed", ledger)
    delay = _delay(fault.retry_after, claim.tries, retry_base)
    if isinstance(fault, WriterUncertain):
        ledger["outcome"] = "unknown"
        return Unwritten("retry", ledger, delay=delay)
    assert isinstance(fault, WriterBusy)
    is_limit = fault.status == 429
    refund = is_limit and claim.tries <= RATE_LIMIT_PATIENCE
    return Unwritten("retry", ledger, delay=delay, refund=refund, slow_down=is_limit)


def _delay(asked: float | None, tries: int, base: float) -> float:
    """Return the seconds a server asked for, or a little more; without a word of it 2^n times the base.

    A server that keeps asking for less than it needs is asked less often from the sixth time on.
    """
    if asked is None:
        return _jittered(base * 2.0 ** min(tries - 1, 16))
    return _jittered(max(asked, base * 2.0 ** min(max(tries - 5, 0), 16)))


def _jittered(seconds: float) -> float:
    """Return up to a quarter more, capped."""
    return min(seconds * (1 + random.random() / 4), RETRY_CAP_SECONDS)
