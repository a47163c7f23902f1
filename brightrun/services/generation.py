"""One step of writing: claim to conversation, with every answer kept before it is read."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, suppress

from brightrun.domain.batch import Claim, WriterName
from brightrun.domain.errors import (
    AnswerCut,
    AnswerElsewhere,
    AnswerFault,
    AnswerRefused,
    BrightRunError,
    DatabaseFault,
    InvalidInput,
    SetupFault,
    StorageFault,
    WriterBusy,
    WriterDeclined,
    WriterFault,
    WriterRejected,
    WriterUncertain,
    WriterUnreachable,
)
from brightrun.domain.template import Prompt
from brightrun.domain.writing import Order, RawAnswer, Writer
from brightrun.events.event import Event, emit, note
from brightrun.services.answers import Errand, raw_key
from brightrun.services.errands import Errands
from brightrun.services.hands import Call, LeaseOver, Unwritten, Writing, Written
from brightrun.services.pace import Pace
from brightrun.services.spending import Spending
from brightrun.services.spool import Place, Spool

RETRY_CAP_SECONDS = 900.0
RATE_LIMIT_PATIENCE = 20
"""So many attempts of an item a rate limit gives back, over an hour and a half at least; later ones count."""
UNREACHABLE_TRIES = 5
"""A job pauses at so many calls of one item that did not get through: no item is at fault, and none fails of it."""
ELSEWHERE_SECONDS = 60.0
"""How long an item waits for the machine that keeps its answer."""

_FAULTS = (BrightRunError, LeaseOver)


class Generation:
    """Writes claimed items; knows neither the browser nor how many of it run."""

    def __init__(
        self,
        errands: Errands,
        spool: Spool,
        writers: Callable[[WriterName], Writer],
        spending: Spending,
        pace: Pace,
        *,
        retry_base: float,
        lease_margin: float,
    ) -> None:
        self._errands = errands
        self._spending = spending
        self._pace = pace
        self._spool = spool
        self._writers = writers
        self._retry_base = retry_base
        self._lease_margin = lease_margin

    def ready(self, name: WriterName) -> None:
        """Make a writer before an item is leased for it: a process takes seconds to load its client."""
        with suppress(SetupFault):  # of which its first item tells
            self._writers(name)

    def writing(self, claim: Claim, *, leased_at: float) -> Writing:
        """Bring one claimed item as far as it goes, whoever makes its call and however many others are out."""
        ledger: dict[str, object] = {"number": claim.attempt, "outcome": "failed"}
        try:
            errand = self._errands.errand(claim)
            ledger["request"] = request_of(errand.prompt, claim)
            body = yield from self._answer(claim, leased_at, errand, ledger)
            if body is None:
                return _crashed(claim, ledger)
            result: Written | Unwritten = Written(ledger, errand.finish(body, ledger))
        except _FAULTS as fault:
            result = self._unwritten(fault, claim, ledger)
        if isinstance(result, Written) or result.attempt.get("judged"):
            self._count(claim, result.attempt)
        return result

    def order(self, claim: Claim) -> Order | Unwritten:
        """Return what an item asks of a writer that answers later; or what becomes of it where it cannot be asked."""
        ledger: dict[str, object] = {"number": claim.attempt, "outcome": "failed"}
        try:
            errand = self._errands.errand(claim)
            self._spending.permit(claim, errand.prompt)
        except WriterFault as fault:
            return _not_answered(fault, claim, ledger, self._retry_base)
        except (SetupFault, InvalidInput) as fault:
            return _not_asked(fault, ledger)
        return _order(errand, claim, None)

    def receive(self, claim: Claim, body: bytes, request_id: str) -> Written | Unwritten:
        """Keep an answer that came by another way than a call, then bring its item as far as it goes.

        Raises StorageFault where it can be kept nowhere: nothing is said of the item then.
        """
        key = raw_key(claim, claim.attempt)
        self._spool.keep(key, body)
        emit(Event.ANSWER_STORED, raw_path=key)
        ledger = {"number": claim.attempt, "outcome": "stored", "raw_path": key, "request_id": request_id}
        return self._become(claim, lambda errand, ledger: body, ledger)

    def go_on(self, claim: Claim) -> Written | Unwritten | None:
        """Bring an item on whose answer is stored already; None where it is to be asked for."""
        ledger: dict[str, object] = {"number": claim.attempt, "outcome": "failed"}
        try:
            found = self._stored(claim)
        except StorageFault as fault:
            return _not_stored(fault, claim, ledger)
        if found is None:
            return None if claim.may_call else _crashed(claim, ledger)
        stored = found
        return self._become(claim, lambda errand, ledger: _reused(stored, ledger))

    def _become(
        self,
        claim: Claim,
        answer: Callable[[Errand, dict[str, object]], bytes | None],
        known: Mapping[str, object] | None = None,
    ) -> Written | Unwritten:
        """Turn an item's answer into its row, and every way in which that can fail into what becomes of the item."""
        ledger: dict[str, object] = {"number": claim.attempt, "outcome": "failed", **(known or {})}
        try:
            errand = self._errands.errand(claim)
            body = answer(errand, ledger)
            if body is None:
                return _crashed(claim, ledger)
            return Written(ledger, errand.finish(body, ledger))
        except _FAULTS as fault:
            return self._unwritten(fault, claim, ledger)

    def _unwritten(self, fault: Exception, claim: Claim, ledger: dict[str, object]) -> Unwritten:
        """Return what becomes of an item by what went wrong with it; raises what nothing is known of."""
        if isinstance(fault, AnswerFault):
            return _of_no_use(fault, claim, ledger)
        if isinstance(fault, WriterFault):
            self._pace.answered(claim.options.model, fault.limits)
            if isinstance(fault, WriterBusy) and fault.status == 429:
                self._pace.refused(claim.options.model)
            return _not_answered(fault, claim, ledger, self._retry_base)
        if isinstance(fault, StorageFault):
            return _not_stored(fault, claim, ledger)
        if isinstance(fault, SetupFault | InvalidInput):
            return _not_asked(fault, ledger)
        if isinstance(fault, LeaseOver):
            return _put_back("This machine stood still for too long.", "lease_over", claim, ledger, 0.0)
        if isinstance(fault, DatabaseFault) and fault.is_transient:
            reason = f"The database went away: {fault}"
            return _put_back(reason, "database", claim, ledger, self._retry_base)
        raise fault

    def _answer(
        self, claim: Claim, leased_at: float, errand: Errand, ledger: dict[str, object]
    ) -> Generator[Call | None, RawAnswer | None, bytes | None]:
        """Return a stored answer where there is one, else ask for one call and store before anything else."""
        found = self._stored(claim)
        if found:
            self._pace.give_back(claim.options.model)
            return _reused(found, ledger)
        if not claim.may_call:
            self._pace.give_back(claim.options.model)
            return None
        with ExitStack() as until_kept:
            place = None
            if claim.options.writer is not WriterName.DEMO:
                place = until_kept.enter_context(self._spool.place())
            raw = yield self._call(claim, leased_at, errand)
            assert raw is not None
            self._keep(claim, raw, ledger, place)
        yield None
        return raw.body

    def _call(self, claim: Claim, leased_at: float, errand: Errand) -> Call:
        """Return the call that is to be made; raises where it may not be."""
        standing = self._spending.permit(claim, errand.prompt)
        order = _order(errand, claim, standing)
        call = Call(self._writers(claim.options.writer), order, leased_at + self._lease_margin)
        if call.is_late():
            raise LeaseOver
        emit(Event.CALL_STARTED, writer=call.writer.name, model=order.model, max_tokens=order.max_tokens)
        return call

    def _keep(self, claim: Claim, raw: RawAnswer, ledger: dict[str, object], place: Place | None) -> None:
        """Store what came before anything else."""
        self._pace.answered(claim.options.model, raw.limits)
        ledger["outcome"] = "unknown"  # paid for, until its bytes are safe
        ledger["request_id"] = raw.request_id
        key = raw_key(claim, claim.attempt)
        is_spooled = not self._spool.keep(key, raw.body, place)
        ledger |= {"outcome": "stored", "raw_path": key}
        note(request_id=raw.request_id)
        emit(Event.CALL_ANSWERED, seconds=round(raw.seconds, 3), bytes=len(raw.body))
        emit(Event.ANSWER_SPOOLED if is_spooled else Event.ANSWER_STORED, raw_path=key)

    def _count(self, claim: Claim, ledger: Mapping[str, object]) -> None:
        """Let the next turns be as long as this answer, where it is a new one."""
        if claim.options.writer is WriterName.CLAUDE and ledger["number"] == claim.attempt:
            read, cached, said = (
                int(str(ledger.get(name) or 0))
                for name in ("input_tokens", "cache_write_tokens", "output_tokens")
            )
            self._pace.used(claim.options.model, read + cached, said)

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


def request_of(prompt: Prompt, claim: Claim) -> dict[str, object]:
    """Return what the ledger keeps of a call."""
    return {
        "system": prompt.system,
        "user": prompt.user,
        "model": claim.options.model,
        "max_tokens": claim.options.max_tokens,
    }


def _order(errand: Errand, claim: Claim, standing: int | None) -> Order:
    options = claim.options
    return Order(
        errand.prompt,
        errand.cast,
        options.model,
        options.max_tokens,
        options.seed,
        standing,
        errand.shape,
    )


def _reused(found: tuple[int, str, bytes], ledger: dict[str, object]) -> bytes:
    """Go on from the answer of an earlier attempt."""
    ledger |= {"number": found[0], "raw_path": found[1], "outcome": "stored"}
    emit(Event.ANSWER_REUSED, of_attempt=found[0], raw_path=found[1])
    return found[2]


def _put_back(reason: str, code: str, claim: Claim, ledger: dict[str, object], delay: float) -> Unwritten:
    """Put an item back that is not at fault; an answer that is stored is gone on from."""
    if ledger["number"] != claim.attempt:  # what an earlier attempt used and cost stays as it is on record
        ledger = {"number": claim.attempt, "outcome": "skipped"}
    if ledger["outcome"] != "stored":
        ledger |= {"error_code": code, "error_message": reason}
    return Unwritten("retry", ledger, delay=delay, refund=True, reason=reason)


def _crashed(claim: Claim, ledger: dict[str, object]) -> Unwritten:
    reason = (
        f"Its worker vanished {claim.crashes} times in {claim.tries - 1} attempts, and no answer was stored."
    )
    ledger |= {"outcome": "skipped", "error_code": "crashed", "error_message": reason}
    return Unwritten("failed", ledger)


def _not_asked(fault: SetupFault | InvalidInput, ledger: dict[str, object]) -> Unwritten:
    """Fail the item that cannot be asked for; what this machine lacks is one message, not two hundred failures."""
    if isinstance(fault, SetupFault):
        ledger |= {"error_code": "setup", "error_message": str(fault)}
        return Unwritten("pause", ledger)
    ledger |= {"error_code": "invalid_input", "error_message": str(fault)}
    return Unwritten("failed", ledger)


def _not_stored(fault: StorageFault, claim: Claim, ledger: dict[str, object]) -> Unwritten:
    """Pause the job whose answers cannot be stored; one that was kept is not at fault and is gone on from."""
    if isinstance(fault, AnswerElsewhere):
        ledger |= {"outcome": "skipped", "error_code": "answer_elsewhere", "error_message": str(fault)}
        return Unwritten("retry" if claim.may_call else "failed", ledger, delay=ELSEWHERE_SECONDS)
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
    if isinstance(fault, WriterUnreachable):
        if claim.tries >= UNREACHABLE_TRIES:
            return Unwritten(
                "pause", ledger, reason=f"{fault} Then resume the job: nothing has failed of it."
            )
        return Unwritten("retry", ledger, delay=delay, refund=True, slow_down=True)
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
