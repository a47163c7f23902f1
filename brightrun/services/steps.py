"""Steps of batch jobs: items handed out, brought on, and what became of them recorded, one or several at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TypeVar

from brightrun import saol
from brightrun.domain.batch import Claim, Job, JobStatus, Step, StepOutcome, WriterName
from brightrun.domain.errors import BrightRunError, DatabaseFault, NotFound
from brightrun.domain.ids import JobId
from brightrun.domain.part import Delivery
from brightrun.domain.person import Action
from brightrun.domain.text import clean
from brightrun.events.event import Event, about, emit
from brightrun.services.generation import Generation
from brightrun.services.hands import Hand, Result, Unwritten, Written, uptime
from brightrun.services.logs import Logs
from brightrun.services.pace import Pace
from brightrun.services.parts import Parts
from brightrun.services.rights import needs
from brightrun.services.together import MOST, Together
from brightrun.services.workers import has_ended, worker
from brightrun.stores import batches as store

T = TypeVar("T")
_Settled = tuple[store.Settled, Result]

DATABASE_TRIES = 8
"""A restart of the database is over in well under the seconds these tries span."""
PATIENCE_SECONDS = 15.0
"""So long a database that stays away is tried at most, each time waiting for it: what is stored is gone on from."""

log = logging.getLogger(__name__)


class Steps:
    """Safe to use from any number of threads and processes at once."""

    def __init__(
        self,
        db: saol.Database,
        generation: Generation,
        pace: Pace,
        parts: Parts,
        logs: Logs,
        *,
        lease_seconds: float,
        at_once: int = 1,
        pause: Callable[[float], None] = time.sleep,
        after_end: Callable[[Job], object] = lambda job: None,
    ) -> None:
        """`at_once`: how many items are worth being brought on at the same time, more than one where storing waits for a network.

        `after_end` is called with a job whose last item has just ended; what it raises is told, and undoes nothing.
        """
        self.at_once = at_once
        self._db = db
        self._generation = generation
        self._pace = pace
        self._parts = parts
        self._logs = logs
        self._lease_seconds = lease_seconds
        self._pause = pause
        self._after_end = after_end
        self._claims: dict[JobId, Together[str, store.Answer]] = {}
        self._completions: dict[JobId, Together[store.Done, store.Answer]] = {}
        self._models: dict[JobId, str | None] = {}
        self._direct: set[JobId] = set()

    @needs(Action.RUN_BATCH)
    def next(self, job_id: JobId) -> Step:
        """Advance a job by at most one item and return what a screen needs; raises NotFound."""
        try:
            return self._advance(job_id)
        except DatabaseFault as fault:
            return self._stopped(job_id, fault)

    @needs(Action.RUN_BATCH)
    def hand_out(self, job_id: JobId, number: int) -> tuple[list[Hand], Step | None]:
        """Take up to so many items in hand, each brought on to its call; where there are fewer, the step says why.

        Not for a job that `is_slow`.
        """
        try:
            return self._hand_out(job_id, number)
        except DatabaseFault as fault:
            return [], self._stopped(job_id, fault)

    def is_slow(self, job_id: JobId) -> bool:
        """Whether a step of a job may take long by itself: it hands parts over, or collects them."""
        try:
            return self._is_overnight(job_id)
        except DatabaseFault:
            return False  # which whoever asks for its items hears next

    def conclude(self, hands: Sequence[Hand]) -> list[Step | BrightRunError]:
        """Record what became of items of one job, and tell it; a fault stands for an item that comes back by itself."""
        found: list[Step | BrightRunError] = []
        newest: store.Settled | None = None
        for hand, settled in zip(hands, self._settled(hands), strict=True):
            if isinstance(settled, BrightRunError):
                found.append(self._given_up(hand.claim.job_id, settled))
                continue
            with about(**hand.known):
                found.append(_told(hand.claim, *settled))
            if newest is None or not newest.finished:
                newest = settled[0]
        if newest is not None:
            self._after(newest)
        return found

    def _advance(self, job_id: JobId) -> Step:
        if self._is_overnight(job_id):
            return self._overnight(job_id)
        wait = self._take_turn(job_id)
        if wait:
            return Step(StepOutcome.WAIT, store.view(self._db, job_id), again_in=wait)
        asked = uptime()
        claimed = store.claimed_of(self._claiming(job_id)(worker()), job_id)
        if isinstance(claimed, store.Nothing):
            self._give_back(job_id)
            return self._idle(claimed)
        hand = self._taken(claimed, asked)
        hand.finish()
        assert hand.result
        with about(**hand.known):
            return self._conclude(claimed, hand.result)

    def _hand_out(self, job_id: JobId, number: int) -> tuple[list[Hand], Step | None]:
        workers: list[str] = []
        wait = 0.0
        while len(workers) < number and not wait:
            wait = self._take_turn(job_id)
            if not wait:
                workers.append(worker())
        if not workers:
            return [], Step(StepOutcome.WAIT, store.view(self._db, job_id), again_in=wait)
        asked = uptime()
        try:
            answers = store.claim_several(self._db, job_id, workers, self._lease_seconds)
        except DatabaseFault:
            for _ in workers:
                self._give_back(job_id)
            raise
        hands: list[Hand] = []
        nothing: store.Nothing | None = None
        for answer in answers:
            claimed = store.claimed_of(answer, job_id)
            if isinstance(claimed, store.Nothing):
                self._give_back(job_id)
                nothing = claimed
            else:
                hands.append(self._taken(claimed, asked))
        return hands, self._idle(nothing) if nothing else None

    def _taken(self, claim: Claim, asked: float) -> Hand:
        """Take a claimed item in hand, and bring it on to its call."""
        hand = Hand(claim, self._generation.writing(claim, leased_at=asked))
        with about(**hand.known):
            emit(
                Event.ITEM_CLAIMED,
                worker=worker(),
                may_call=claim.may_call,
                crashes=claim.crashes or None,
            )
        hand.go_on()
        return hand

    def _idle(self, nothing: store.Nothing) -> Step:
        """Tell that a job has nothing to hand out."""
        if nothing.outcome == "wait" and self._take_back(nothing.job.id):
            return Step(StepOutcome.WAIT, nothing.job)
        if nothing.outcome == "done":
            self._logs.follow(nothing.job.id)
        elif nothing.outcome == "paused":
            emit(Event.JOB_PAUSED, job=nothing.job.id, reason=nothing.job.pause_reason)
        return Step(StepOutcome(nothing.outcome), nothing.job, again_in=nothing.seconds)

    def _conclude(self, claim: Claim, result: Result) -> Step:
        """Record what became of an item, and tell it."""
        settled, result = self._settle(claim, result)
        step = _told(claim, settled, result)
        self._after(settled)
        return step

    def _after(self, settled: store.Settled) -> None:
        """Do what a job's end, or its pause, asks for."""
        if settled.finished or not settled.job.is_open:
            self._logs.follow(settled.job.id)
        if settled.finished:
            self._look_back(settled.job)

    def _overnight(self, job_id: JobId) -> Step:
        step = self._parts.advance(job_id, worker(), self._conclude)
        if step.outcome is StepOutcome.DONE:
            self._logs.follow(step.job.id)
        return step

    def _is_overnight(self, job_id: JobId) -> bool:
        """Whether a job's items are handed over in parts: its preview is written at once."""
        if job_id not in self._direct:
            job = store.view(self._db, job_id)
            if job.options.delivery is Delivery.OVERNIGHT:
                if job.status is JobStatus.CANCELLED:
                    return job.parts_out > 0
                return job.preview is None or not job.is_open
            self._direct.add(job_id)
        return False

    def _take_turn(self, job_id: JobId) -> float:
        """Return the seconds until the job's writer allows another call; nothing is claimed while it waits."""
        if job_id not in self._models:
            options = store.view(self._db, job_id).options
            self._generation.ready(options.writer)
            self._models[job_id] = options.model if options.writer is WriterName.CLAUDE else None
            self._take_back(job_id)
        model = self._models[job_id]
        return self._pace.turn(model) if model else 0.0

    def _take_back(self, job_id: JobId) -> bool:
        """Let nobody wait for the leases of processes of this machine that have ended; returns whether there were any."""
        gone = [name for name in store.workers(self._db, job_id) if has_ended(name)]
        return bool(gone) and store.end_leases(self._db, job_id, gone) > 0

    def _give_back(self, job_id: JobId) -> None:
        model = self._models.get(job_id)
        if model:
            self._pace.give_back(model)

    def _stopped(self, job_id: JobId, fault: DatabaseFault) -> Step:
        """Pause a job that has no room to go on; raises the fault where it is another, or not even that can be done."""
        if fault.sqlstate != _DISK_FULL:
            raise fault
        try:
            told = store.act(self._db, "pause_job", job_id, reason=str(fault), actor="Bright Run")
        except DatabaseFault:
            raise fault from None
        if told["outcome"] == "ok":
            emit(Event.JOB_PAUSED, job=job_id, reason=str(fault), actor="Bright Run")
        elif told["outcome"] != "already":
            raise fault
        return Step(StepOutcome.PAUSED, told["job"])

    def _given_up(self, job_id: JobId, fault: BrightRunError) -> Step | BrightRunError:
        try:
            return self._stopped(job_id, fault) if isinstance(fault, DatabaseFault) else fault
        except DatabaseFault as told:
            return told

    def _settled(self, hands: Sequence[Hand]) -> list[_Settled | BrightRunError]:
        """Record what became of several items of a job, in their order; those that were written in a row in one step."""
        found: dict[Hand, _Settled | BrightRunError] = {}
        tries = DATABASE_TRIES
        for some in _rows_of(hands):
            found |= self._completed(some, tries) if len(some) > 1 else {}
            for hand in some:
                if hand not in found:
                    found[hand] = self._tried(hand, tries)
            if any(isinstance(one, DatabaseFault) and one.is_transient for one in found.values()):
                tries = 1  # it is away, and the others need not wait for it as long again
        return [found[hand] for hand in hands]

    def _tried(self, hand: Hand, tries: int) -> _Settled | BrightRunError:
        assert hand.result
        try:
            return self._settle(hand.claim, hand.result, tries)
        except BrightRunError as fault:
            return fault

    def _completed(self, hands: Sequence[Hand], tries: int) -> dict[Hand, _Settled | BrightRunError]:
        """End items in one step, all or none; where one of them is to blame, nothing is told of any."""
        done = [
            store.Done(hand.claim, hand.result.attempt, hand.result.conversation)
            for hand in hands
            if isinstance(hand.result, Written)
        ]
        try:
            answers = self._insist(lambda: store.complete_several(self._db, done), tries)
        except DatabaseFault as fault:
            return dict.fromkeys(hands, fault) if fault.is_transient else {}
        found: dict[Hand, _Settled | BrightRunError] = {}
        view: object = None
        job: Job | None = None
        for hand, answer in zip(hands, answers, strict=True):
            assert hand.result
            if answer.get("job") != view:  # as a rule all are told the same, and it is read once
                view, job = answer.get("job"), None
            try:
                settled = store.settled_of(answer, hand.claim, job)
            except NotFound as fault:
                found[hand] = fault
                continue
            job = settled.job
            found[hand] = (settled, hand.result)
        return found

    def _settle(self, claim: Claim, result: Result, tries: int = DATABASE_TRIES) -> _Settled:
        """Record an outcome; one that the database will never take ends its item instead of holding it."""
        try:
            return self._insist(lambda: self._record(claim, result), tries), result
        except DatabaseFault as fault:
            if not (fault.sqlstate or "").startswith(_NOT_STORABLE):
                raise
            log.exception("the database refused what item %s became", claim.item_id)
            refused = _refused(result, fault)
        return self._insist(lambda: self._record(claim, refused), tries), refused

    def _record(self, claim: Claim, result: Result) -> store.Settled:
        if isinstance(result, Written):
            done = store.Done(claim, result.attempt, result.conversation)
            if claim.subject:  # a verdict marks a conversation, and no two marks may wait for each other
                return store.settled_of(store.complete(self._db, done), claim)
            return store.settled_of(self._completing(claim.job_id)(done), claim)
        return store.settle(
            self._db,
            claim,
            result.disposition,
            result.attempt,
            delay_seconds=result.delay,
            refund=result.refund,
            slow_down=result.slow_down,
            reason=result.reason,
        )

    def _claiming(self, job_id: JobId) -> Together[str, store.Answer]:
        seconds = self._lease_seconds
        return self._claims.get(job_id) or self._claims.setdefault(
            job_id,
            Together(
                lambda worker: store.claim(self._db, job_id, worker, seconds),
                lambda workers: store.claim_several(self._db, job_id, workers, seconds),
            ),
        )

    def _completing(self, job_id: JobId) -> Together[store.Done, store.Answer]:
        return self._completions.get(job_id) or self._completions.setdefault(
            job_id,
            Together(
                lambda done: store.complete(self._db, done),
                lambda several: store.complete_several(self._db, several),
            ),
        )

    def _insist(self, record: Callable[[], T], tries: int) -> T:
        """Record an outcome through a database restart: the step is fenced, so repeating it is safe."""
        until = time.monotonic() + PATIENCE_SECONDS
        for attempt in range(tries - 1):
            try:
                return record()
            except DatabaseFault as fault:
                if not fault.is_transient or time.monotonic() > until:
                    raise
                log.warning("outcome not recorded yet: %s", fault)
            self._pause(min(0.1 * 2**attempt, 2.0))
        return record()

    def _look_back(self, job: Job) -> None:
        try:
            self._after_end(job)
        except DatabaseFault as fault:
            log.warning("job %s has ended, and was not looked through: %s", job.id, fault)


_OUTCOMES = {
    "completed": StepOutcome.COMPLETED,
    "failed": StepOutcome.FAILED,
    "retry": StepOutcome.RETRY,
    "pause": StepOutcome.PAUSED,
    "cancelled": StepOutcome.FAILED,
    "fenced": StepOutcome.FENCED,
}


_TOLD = {
    "completed": Event.ITEM_COMPLETED,
    "failed": Event.ITEM_FAILED,
    "retry": Event.ITEM_RETRIED,
    "pause": Event.ITEM_PUT_BACK,
    "cancelled": Event.ITEM_CANCELLED,
    "fenced": Event.ITEM_FENCED,
}


def _rows_of(hands: Sequence[Hand]) -> Iterator[list[Hand]]:
    """Yield those that can be recorded in one step: written one after the other, and not too many."""
    some: list[Hand] = []
    for hand in hands:
        is_like = isinstance(hand.result, Written) and not hand.claim.subject
        if some and (not is_like or len(some) == MOST):
            yield some
            some = []
        if is_like:
            some.append(hand)
        else:
            yield [hand]
    if some:
        yield some


def _told(claim: Claim, settled: store.Settled, result: Result) -> Step:
    _tell(settled, result)
    return Step(
        _OUTCOMES[settled.outcome],
        settled.job,
        item_id=claim.item_id,
        conversation_id=settled.conversation_id,
        message=result.message if isinstance(result, Unwritten) else "",
    )


def _tell(settled: store.Settled, result: Result) -> None:
    """Tell what became of an item, and of its job where that has changed with it."""
    fields: dict[str, object] = {"conversation": settled.conversation_id}
    if isinstance(result, Unwritten):
        fields |= {"error_code": result.attempt.get("error_code"), "message": result.message}
        fields["delay"] = result.delay or None
    emit(_TOLD[settled.outcome], cost_usd=result.attempt.get("cost_usd"), **fields)
    job = settled.job
    if settled.finished:
        emit(Event.JOB_ENDED, status=job.status, **asdict(job.counts), spent_usd=job.money.spent)
    elif job.status is JobStatus.PAUSED and isinstance(result, Unwritten):
        emit(Event.JOB_PAUSED, reason=job.pause_reason)


_DISK_FULL = "53100"
_NOT_STORABLE = ("22", "23", "54")
"""Classes of SQLSTATE that say the values are to blame: they would be refused again at any time."""


def _refused(result: Result, fault: DatabaseFault) -> Unwritten:
    """Return the failure to record instead: what the call cost, and nothing that came from outside."""
    kept = {
        name: value
        for name, value in result.attempt.items()
        if name in ("outcome", "raw_path") or isinstance(value, int | float)
    }
    reason = clean(f"The database refused the outcome: {fault.message}"[:1000])
    return Unwritten("failed", kept | {"judged": True, "error_code": "not_storable", "error_message": reason})
