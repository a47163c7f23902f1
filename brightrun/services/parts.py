"""Overnight jobs: items handed over to Message Batches in parts, looked for, and collected."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from brightrun import saol
from brightrun.domain.batch import Claim, JobStatus, Step, StepOutcome, WriterName
from brightrun.domain.errors import (
    Conflict,
    SetupFault,
    StorageFault,
    WriterBusy,
    WriterFault,
    WriterUncertain,
)
from brightrun.domain.ids import ItemId, JobId
from brightrun.domain.part import MOST_BYTES, BatchWriter, Part, PartStatus, Remote, Result
from brightrun.domain.text import counted
from brightrun.domain.writing import Order, Writer
from brightrun.events.event import Event, about, emit
from brightrun.services.generation import Generation, request_of
from brightrun.services.hands import Unwritten, Written, uptime
from brightrun.services.spool import Spool
from brightrun.stores import batches, parts
from brightrun.stores.batches import Nothing

SLICE_SECONDS = 20.0
"""So long results are collected in one step; the next one goes on."""
PATIENCE = 5
"""So many times results may break off or be incomplete before what is missing is given up."""
SKEW = timedelta(minutes=15)
"""How far this database's clock and Claude's may be apart when a part that was lost is looked for."""
CLOSER_SECONDS = 5.0
"""The longest a job with something out rests before it is asked whether there is more to do."""

Conclude = Callable[[Claim, Written | Unwritten], Step]

_ITEM_AT_FAULT = {"invalid_request_error", "request_too_large", "not_found_error"}
_ACCOUNT_AT_FAULT = {"authentication_error", "permission_error", "billing_error"}

log = logging.getLogger(__name__)


class Parts:
    """Hands over, looks and collects, one short step at a time; safe between processes."""

    def __init__(
        self,
        db: saol.Database,
        generation: Generation,
        spool: Spool,
        writers: Callable[[WriterName], Writer],
        *,
        lease_seconds: float,
        lease_margin: float,
        look_seconds: float,
        most: int,
    ) -> None:
        """`look_seconds` lie between two looks at a part that is out; a part has `most` items."""
        self._db = db
        self._generation = generation
        self._spool = spool
        self._writers = writers
        self._lease_seconds = lease_seconds
        self._lease_margin = lease_margin
        self._look_seconds = look_seconds
        self._most = most

    def advance(self, job_id: JobId, worker: str, conclude: Conclude) -> Step:
        """Hand the next part over, else look at the one that is due, else say when there may be more to do.

        `conclude` records what became of an item.
        """
        asked = uptime()
        opened = parts.open_part(self._db, job_id, worker, most=self._most, lease_seconds=self._lease_seconds)
        with about(job=job_id):
            if not isinstance(opened, Nothing):
                return self._hand_over(opened, asked, conclude)
            part = parts.take(self._db, job_id, lease_seconds=self._lease_seconds)
            return _rest(opened) if part is None else self._seen_to(part, conclude)

    def of_job(self, job_id: JobId, *, limit: int = 20) -> list[Part]:
        """Return a job's parts: those that are out first, then the newest."""
        return parts.of_job(self._db, job_id, limit=limit)

    def _hand_over(self, opened: parts.Opened, asked: float, conclude: Conclude) -> Step:
        """Submit a part once; whatever is not at Claude for certain is looked for or put back."""
        part = opened.part
        try:
            writer = self._writer()
            self._spool.require_store()
        except (SetupFault, StorageFault) as fault:
            return self._back(part, "pause", "setup", str(fault))
        orders: list[tuple[ItemId, Order]] = []
        requests = {}
        room = MOST_BYTES
        for claim in opened.claims:
            order = self._order(claim, conclude)
            if order is None:
                continue
            room -= writer.size_of(order)
            if room < 0 and orders:
                conclude(claim, _put_back(claim, "no_room", "The part was full."))
                continue
            orders.append((claim.item_id, order))
            requests[claim.item_id] = request_of(order.prompt, claim)
        if not orders:
            return self._close(part, "retry", _failed("nothing", "Nothing of it had to be asked for."))
        if uptime() - asked > self._lease_margin or not parts.prepare(self._db, part, requests):
            return self._back(part, "retry", "lease_over", "This machine stood still for too long.")
        return self._submit(writer, part, orders)

    def _order(self, claim: Claim, conclude: Conclude) -> Order | None:
        """Return what is to be asked for an item; None where it has found its end without."""
        result = self._generation.go_on(claim) if claim.answers or not claim.may_call else None
        order = result or self._generation.order(claim)
        if isinstance(order, Order):
            return order
        with about(job=claim.job_id, item=claim.item_id, attempt=claim.attempt):
            conclude(claim, order)
        return None

    def _submit(self, writer: BatchWriter, part: Part, orders: Sequence[tuple[ItemId, Order]]) -> Step:
        try:
            remote = writer.submit(orders)
        except WriterFault as fault:
            emit(Event.CALL_FAILED, error_code=fault.code, status=fault.status, retry_after=fault.retry_after)
            if isinstance(fault, WriterUncertain) or ((fault.status or 0) >= 500 and fault.status != 529):
                return self._off(part, self._lease_seconds, fault=str(fault), lost=True)
            if isinstance(fault, WriterBusy):
                wait = fault.retry_after or self._look_seconds
                return self._back(part, "retry", fault.code, str(fault), delay=wait)
            return self._back(part, "pause", fault.code, str(fault))
        seconds = min(self._look_seconds, 5.0)
        try:
            parts.send(self._db, part, remote.id, ends_by=remote.expires_at, look_seconds=seconds)
        except Conflict as fault:
            return self._close(part, "pause", _unknown("id_known", str(fault)), message=str(fault))
        emit(Event.PART_SENT, part=part.number, remote_id=remote.id, items=len(orders))
        message = f"{counted(len(orders), 'item is', 'items are')} at Claude, to be written within a day."
        return self._step(part, message=message)

    def _seen_to(self, part: Part, conclude: Conclude) -> Step:
        try:
            writer = self._writer()
            if part.status is PartStatus.LOST or part.remote_id is None:
                return self._search(writer, part)
            remote = writer.look(part.remote_id)
            if remote.is_archived:
                return self._gone(part, "Claude keeps the results of a batch for some weeks; these are gone.")
            if remote.is_ended:
                return self._collect(writer, part, remote, conclude)
            is_cancelled = batches.view(self._db, part.job_id).status is JobStatus.CANCELLED
            if is_cancelled and not remote.is_cancelling:
                writer.call_off(remote.id)
            return self._off(part, self._look_seconds, cancel_asked=is_cancelled, ends_by=remote.expires_at)
        except WriterFault as fault:
            emit(Event.CALL_FAILED, error_code=fault.code, status=fault.status, retry_after=fault.retry_after)
            if fault.status == 404 and part.remote_id and fault.code != "wrong_address":
                return self._not_known(part)
            return self._off(part, fault.retry_after or self._look_seconds, fault=_of_reading(fault))
        except SetupFault as fault:
            return self._off(part, self._look_seconds, fault=str(fault))

    def _search(self, writer: BatchWriter, part: Part) -> Step:
        """Find out whether a part was handed over: by its size, its time, and the items its results name."""
        wanted = {claim.item_id for claim in parts.claims(self._db, part.id)}
        if not wanted:
            return self._close(part, "retry", _failed("nothing", "Nothing of it was open."))
        since = part.created_at - SKEW
        found = [remote for remote in writer.newest(since) if remote.size == len(wanted)]
        known = parts.known(self._db, [remote.id for remote in found])
        unknown = [remote for remote in found if remote.id not in known]
        for remote in unknown:
            if remote.is_ended and not remote.is_archived and _names(writer, remote, wanted):
                parts.send(self._db, part, remote.id, ends_by=remote.expires_at, look_seconds=0.0)
                emit(Event.PART_SENT, part=part.number, remote_id=remote.id, items=len(wanted))
                return self._step(part, message="A part that was lost is found, and its answers with it.")
        if any(not remote.is_ended for remote in unknown):
            fault = "Whether it was handed over is known when the batches of its size have ended."
            return self._off(part, self._look_seconds, fault=fault)
        if any(remote.is_archived for remote in unknown):
            return self._gone(part, "It may have been handed over, and its results are gone.")
        return self._back(
            part, "retry", "not_handed_over", "It was not handed over: Claude has no batch that it is in."
        )

    def _collect(self, writer: BatchWriter, part: Part, remote: Remote, conclude: Conclude) -> Step:
        """Bring each result's item to its end; a step that is cut short is gone on with by the next."""
        claims = {claim.item_id: claim for claim in parts.claims(self._db, part.id)}
        until, taken, spoiled = time.monotonic() + SLICE_SECONDS, 0, 0
        try:
            for line in writer.results(remote.id) if claims else ():
                claim = claims.pop(line.item_id, None) if isinstance(line, Result) else None
                if not isinstance(line, Result) or claim is None:
                    spoiled += not isinstance(line, Result)
                    continue
                with about(job=claim.job_id, item=claim.item_id, attempt=claim.attempt):
                    conclude(claim, self._result(claim, line, remote.id))
                taken += 1
                if time.monotonic() > until:
                    return self._off(part, 0.0, message=f"{_taken(taken)}, more are there.")
        except WriterFault as fault:
            return self._off(part, fault.retry_after or self._look_seconds, fault=_of_reading(fault))
        except StorageFault as fault:
            reason = (
                f"The answer store is not usable: {fault} Claude keeps the rest; nothing is paid for again."
            )
            batches.act(self._db, "pause_job", part.job_id, reason=reason, actor="Bright Run")
            return self._off(part, self._look_seconds, fault=reason)
        emit(Event.PART_COLLECTED, part=part.number, remote_id=remote.id, items=taken, missing=len(claims))
        if claims and part.faults < PATIENCE:
            missing = f"{len(claims):,} of its items are not in the results" + " yet" * (not spoiled)
            return self._off(part, self._look_seconds, fault=f"{missing}, or not readable there.")
        if claims:
            return self._gone(part, "The results that Claude keeps do not name it.")
        return self._close(part, "retry", _failed("nothing", ""), message=f"{_taken(taken)}.")

    def _result(self, claim: Claim, line: Result, remote_id: str) -> Written | Unwritten:
        if line.kind == "succeeded":
            return self._generation.receive(claim, line.body, remote_id)
        ledger: dict[str, object] = {
            "number": claim.attempt,
            "outcome": "failed",
            "request_id": remote_id,
            "error_code": line.error_type or line.kind,
        }
        if line.kind == "errored":
            ledger["error_message"] = f"Claude could not write it: {line.error_message or line.error_type}."
            if line.error_type in _ITEM_AT_FAULT:
                return Unwritten("failed", ledger)
            return Unwritten("pause" if line.error_type in _ACCOUNT_AT_FAULT else "retry", ledger)
        if line.kind == "expired":
            ledger["error_message"] = "Claude did not come to it within a day; it was not paid for."
            return Unwritten("retry", ledger)
        if line.kind == "canceled":
            ledger["error_message"] = "It was cancelled at Claude before it was written; it was not paid for."
            return Unwritten("retry", ledger, refund=True)
        ledger |= {"outcome": "unknown", "error_message": f"Claude tells {line.kind!r} of it."}
        return Unwritten("failed", ledger)

    def _not_known(self, part: Part) -> Step:
        """Believe that a batch is gone when its day is over: until then it may be the key of another workspace."""
        if part.faults >= PATIENCE and part.ends_by and part.ends_by < datetime.now(UTC):
            return self._gone(part, "Claude does not know the batch any more.")
        fault = "Claude does not know the batch: is ANTHROPIC_API_KEY of the workspace it was handed over in?"
        return self._off(part, self._look_seconds, fault=fault)

    def _gone(self, part: Part, why: str) -> Step:
        return self._close(part, "failed", _unknown("results_gone", f"{why} It may have been paid for."))

    def _back(self, part: Part, disposition: str, code: str, why: str, *, delay: float = 0.0) -> Step:
        """Put everything of a part back that was not handed over."""
        return self._close(part, disposition, _failed(code, why), delay=delay, message=why)

    def _close(
        self,
        part: Part,
        disposition: str,
        attempt: dict[str, object],
        *,
        delay: float = 0.0,
        message: str = "",
    ) -> Step:
        closed = parts.close(self._db, part, disposition, attempt, delay_seconds=delay)
        if not closed.is_late:
            emit(Event.PART_CLOSED, part=part.number, error_code=attempt["error_code"])
        return Step(StepOutcome.WAIT, closed.job, message=message)

    def _off(
        self,
        part: Part,
        seconds: float,
        *,
        fault: str | None = None,
        lost: bool = False,
        cancel_asked: bool = False,
        ends_by: datetime | None = None,
        message: str = "",
    ) -> Step:
        parts.put_off(
            self._db,
            part,
            seconds,
            fault=fault,
            lost=lost,
            cancel_asked=cancel_asked,
            ends_by=ends_by,
        )
        return self._step(part, message=fault or message)

    def _step(self, part: Part, *, message: str = "") -> Step:
        return Step(StepOutcome.WAIT, batches.view(self._db, part.job_id), message=message)

    def _writer(self) -> BatchWriter:
        writer = self._writers(WriterName.CLAUDE)
        if not isinstance(writer, BatchWriter):
            raise SetupFault("This writer takes no batches.", remedy="Write the job directly.")
        return writer


def _names(writer: BatchWriter, remote: Remote, wanted: set[ItemId]) -> bool:
    """Whether a batch's results name one of these items: an item's id is nobody else's."""
    first: Iterable[Result | bytes] = islice(writer.results(remote.id), 20)
    return any(isinstance(line, Result) and line.item_id in wanted for line in first)


def _of_reading(fault: WriterFault) -> str:
    """Say what kept Claude from being asked after a part: what is said of calls, that they may be paid, is not so of that."""
    if isinstance(fault, WriterUncertain):
        return f"{fault.message} Nothing is paid for by asking after a part, and it is asked after again."
    return str(fault)


def _taken(number: int) -> str:
    return f"{counted(number, 'answer is', 'answers are')} collected"


def _rest(nothing: Nothing) -> Step:
    """Say when there may be more to do; what is out is waited for even while its job is paused."""
    outcome, job = StepOutcome(nothing.outcome), nothing.job
    if job.parts_out and outcome in (StepOutcome.PAUSED, StepOutcome.DONE):
        outcome = StepOutcome.WAIT
    seconds = CLOSER_SECONDS if outcome is StepOutcome.WAIT else 0.0
    return Step(outcome, job, again_in=min(nothing.seconds or seconds, seconds))


def _failed(code: str, why: str) -> dict[str, object]:
    return {"outcome": "failed", "error_code": code, "error_message": why}


def _unknown(code: str, why: str) -> dict[str, object]:
    return {**_failed(code, why), "outcome": "unknown"}


def _put_back(claim: Claim, code: str, why: str) -> Unwritten:
    return Unwritten("retry", {"number": claim.attempt, **_failed(code, why)}, refund=True)
