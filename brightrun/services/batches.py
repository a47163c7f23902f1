"""Batch jobs: create, advance by one item, pause, resume, cancel, retry, and how far they are."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from brightrun import saol
from brightrun.domain.batch import (
    Claim,
    Item,
    ItemStatus,
    Job,
    JobStatus,
    OpenJob,
    Step,
    StepOutcome,
    WriterName,
)
from brightrun.domain.bucket import Bucket
from brightrun.domain.errors import Conflict, DatabaseFault, InvalidInput, NotAllowed, NotFound, StorageFault
from brightrun.domain.ids import JobId, parse_uuid
from brightrun.domain.part import Delivery
from brightrun.domain.person import Action
from brightrun.domain.progress import Progress
from brightrun.domain.text import clean
from brightrun.events.event import Event, about, emit
from brightrun.services.budgets import require_budget
from brightrun.services.generation import Generation, Unwritten, Written, uptime
from brightrun.services.pace import Pace
from brightrun.services.parts import Parts
from brightrun.services.plans import Plan, estimate_row, item_rows, job_row, tariff_of
from brightrun.services.rights import needs
from brightrun.services.together import Together
from brightrun.stores import batches as store
from brightrun.stores import prices, progress

DATABASE_TRIES = 8
"""A restart of the database is over in well under the seconds these tries span."""

PRICE_TRIES = 5

MAX_PREVIEW = 3
"""More is no preview: it is read by a person before anything else is written."""

log = logging.getLogger(__name__)


class Batches:
    """Safe to use from any number of threads and processes at once."""

    def __init__(
        self,
        db: saol.Database,
        logs: Bucket,
        generation: Generation,
        pace: Pace,
        parts: Parts,
        *,
        lease_seconds: float,
        max_attempts: int,
        pause_after_failures: int = 5,
        pause_after_refusals: int = 3,
        pause: Callable[[float], None] = time.sleep,
        after_end: Callable[[Job], object] = lambda job: None,
    ) -> None:
        """`after_end` is called with a job whose last item has just ended; what it raises is told, and undoes nothing."""
        self._after_end = after_end
        self._db = db
        self._logs = logs
        self._generation = generation
        self._pace = pace
        self._claims: dict[JobId, Together[str, store.Answer]] = {}
        self._completions: dict[JobId, Together[store.Done, store.Answer]] = {}
        self._models: dict[JobId, str | None] = {}
        self._direct: set[JobId] = set()
        self._parts = parts
        self._lease_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._pause_after_failures = pause_after_failures
        self._pause_after_refusals = pause_after_refusals
        self._pause = pause

    @needs(Action.RUN_BATCH)
    def create(self, plan: Plan, *, name: str, actor: str, preview: int | None = None) -> Job:
        """Accept a plan as a job, whole or not at all; raises InvalidInput when it has problems.

        preview: how many of its first items are written before a person starts the rest.
        """
        plan.require()
        if plan.options.delivery is Delivery.OVERNIGHT and plan.options.writer is not WriterName.CLAUDE:
            raise InvalidInput(
                "The demo writer writes at once and for nothing.",
                remedy="Let Claude write it, or not overnight.",
            )
        if preview is not None and not 1 <= preview <= MAX_PREVIEW:
            raise InvalidInput(f"A preview has 1 to {MAX_PREVIEW} conversations.")
        name = " ".join(name.split())
        if not 1 <= len(name) <= 255:
            raise InvalidInput("A job needs a name of 1 to 255 characters.")
        job = job_row(plan, name, actor) | {
            "max_attempts": self._max_attempts,
            "pause_after_failures": self._pause_after_failures,
            "pause_after_refusals": self._pause_after_refusals,
            "preview": preview,
        }
        created = self._create(plan, job)
        emit(Event.JOB_CREATED, job=created.id, items=len(plan.items), actor=actor, **_order(created))
        return created

    @needs(Action.RUN_BATCH)
    def process_next(self, job_id: JobId) -> Step:
        """Advance a job by at most one item and return what a screen needs; raises NotFound."""
        try:
            return self._advance(job_id)
        except DatabaseFault as fault:
            if fault.sqlstate != _DISK_FULL:
                raise
            return self._stopped(job_id, fault)

    def _advance(self, job_id: JobId) -> Step:
        if self._is_overnight(job_id):
            return self._overnight(job_id)
        wait = self._take_turn(job_id)
        if wait:
            return Step(StepOutcome.WAIT, store.view(self._db, job_id), again_in=wait)
        worker = _worker()
        asked = uptime()
        claimed = store.claimed_of(self._claiming(job_id)(worker), job_id)
        if isinstance(claimed, store.Nothing):
            self._give_back(job_id)
            if claimed.outcome == "done":
                self._publish_log(claimed.job)
            elif claimed.outcome == "paused":
                emit(Event.JOB_PAUSED, job=job_id, reason=claimed.job.pause_reason)
            return Step(StepOutcome(claimed.outcome), claimed.job, again_in=claimed.seconds)
        with about(job=claimed.job_id, item=claimed.item_id, attempt=claimed.attempt):
            emit(
                Event.ITEM_CLAIMED, worker=worker, may_call=claimed.may_call, crashes=claimed.crashes or None
            )
            return self._step(claimed, asked)

    def _step(self, claim: Claim, leased_at: float) -> Step:
        """Write one claimed item, record what became of it, and tell it."""
        try:
            result = self._generation.write(claim, leased_at=leased_at)
        except Exception as fault:
            log.exception("item %s met an unexpected fault", claim.item_id)
            reason = clean(f"Unexpected fault: {type(fault).__name__}: {fault}"[:1000])
            entry = {"number": claim.attempt, "outcome": "unknown", "error_code": "internal_error"}
            result = Unwritten("failed", entry | {"error_message": reason})
        return self._conclude(claim, result)

    def _conclude(self, claim: Claim, result: Written | Unwritten) -> Step:
        """Record what became of an item, and tell it."""
        settled, result = self._settle(claim, result)
        _tell(settled, result)
        if settled.finished or not settled.job.is_open:
            self._publish_log(settled.job)
        if settled.finished:
            self._look_back(settled.job)
        message = result.message if isinstance(result, Unwritten) else ""
        return Step(
            _OUTCOMES[settled.outcome],
            settled.job,
            item_id=claim.item_id,
            conversation_id=settled.conversation_id,
            message=message,
        )

    def _overnight(self, job_id: JobId) -> Step:
        step = self._parts.advance(job_id, _worker(), self._conclude)
        if step.outcome is StepOutcome.DONE:
            self._publish_log(step.job)
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
            self._models[job_id] = options.model if options.writer is WriterName.CLAUDE else None
        model = self._models[job_id]
        return self._pace.turn(model) if model else 0.0

    def _give_back(self, job_id: JobId) -> None:
        model = self._models.get(job_id)
        if model:
            self._pace.give_back(model)

    @needs(Action.RUN_BATCH)
    def prioritise(self, job_id: JobId, priority: int, *, actor: str) -> Job:
        """Let a job come before others with a lower number, -9 to 9; raises NotAllowed for an ended one."""
        if not -9 <= priority <= 9:
            raise InvalidInput(f"{priority} is no priority.", remedy="Give a number from -9 to 9.")
        return self._act("set_priority", job_id, "given a priority", priority=priority, actor=actor)

    def open_jobs(self) -> list[OpenJob]:
        """Return the jobs that want to be advanced, the first in line first."""
        return store.open_jobs(self._db)

    @needs(Action.RUN_BATCH)
    def pause(self, job_id: JobId, *, actor: str, reason: str = "Paused by hand.") -> Job:
        """Stop handing out items; the one in flight is kept. Raises NotAllowed for an ended job."""
        return self._act("pause_job", job_id, "paused", reason=reason, actor=actor)

    @needs(Action.RUN_BATCH)
    def resume(self, job_id: JobId, *, actor: str) -> Job:
        """Let a paused job go on; raises NotAllowed for an ended one, or one whose budget is used up."""
        require_budget(self._db, job_id)
        return self._act("resume_job", job_id, "resumed", actor=actor)

    @needs(Action.RUN_BATCH)
    def cancel(self, job_id: JobId, *, actor: str) -> Job:
        """End a job for good; what is in flight is still kept. A second cancel changes nothing."""
        job = self._act("cancel_job", job_id, "cancelled", actor=actor)
        self._publish_log(job)
        return job

    @needs(Action.RUN_BATCH)
    def retry_failed(self, job_id: JobId, *, actor: str) -> Job:
        """Queue the failed items again with fresh attempts; raises NotAllowed when there are none."""
        data = store.act(self._db, "retry_failed", job_id, actor=actor)
        if data["outcome"] == "refused" or not data["retried"]:
            cause = "it is cancelled" if data["outcome"] == "refused" else "no item of it has failed"
            raise NotAllowed(f"Nothing was retried: {cause}.")
        job: Job = data["job"]
        emit(Event.JOB_RETRIED, job=job_id, actor=actor, items=data["retried"])
        return job

    def get(self, job_id: JobId) -> Job:
        """Return one job; items whose worker vanished are taken back first, or ended where it is cancelled."""
        job = store.view(self._db, job_id)
        while job.status is JobStatus.CANCELLED and job.counts.processing:
            step = self.process_next(job_id)  # calls nothing, but keeps an answer that is stored
            if step.item_id is None:
                return step.job
            job = step.job
        reclaimed = store.reclaim(self._db, job_id) if job.counts.processing else 0
        if reclaimed:
            emit(Event.ITEMS_RECLAIMED, job=job_id, items=reclaimed)
            job = store.view(self._db, job_id)
        return job

    def progress(self, job_id: JobId) -> Progress:
        """Return what went wrong how often, and the counters over time; costs the same at any size."""
        return progress.view(self._db, job_id)

    def find(self, text: str) -> JobId:
        """Return the job that an id or an unambiguous prefix of one names; raises NotFound."""
        digits = text.strip().lower().replace("-", "")
        if not digits or len(digits) > 32 or any(c not in "0123456789abcdef" for c in digits):
            raise NotFound(f"{text!r} is not a job id.", remedy="`brightrun status` lists the jobs.")
        low, high = (parse_uuid(digits.ljust(32, fill), "job") for fill in "0f")
        found = store.ids_between(self._db, low, high, limit=6)
        if not found:
            raise NotFound(f"There is no batch job {text!r}.", remedy="`brightrun status` lists the jobs.")
        if len(found) > 1:
            listed = ", ".join(job_id[:13] for job_id in found[:5])
            raise NotFound(f"{text!r} fits more than one job: {listed}…", remedy="Give more of the id.")
        return found[0]

    def page(self, *, limit: int = 50, offset: int = 0) -> list[Job]:
        """Return jobs, newest first."""
        return store.page(self._db, limit=limit, offset=offset)

    def count(self) -> int:
        return store.count(self._db)

    def items(
        self, job_id: JobId, *, status: ItemStatus | None = None, limit: int = 50, offset: int = 0
    ) -> list[Item]:
        """Return one page of a job's items in their order."""
        return store.items(self._db, job_id, status=status, limit=limit, offset=offset)

    def refusals(self, job_id: JobId) -> dict[str, int]:
        """Return how often the model declined by its own category, most first."""
        errors = self.progress(job_id).errors
        return {error.category: error.times for error in errors if error.code == "refusal" and error.times}

    def log_text(self, job_id: JobId) -> str:
        """Return the log as text, `[time] message (call)` a line."""
        store.view(self._db, job_id)
        return "".join(f"{line.text()}\n" for line in store.log_lines(self._db, job_id))

    def publish_log(self, job_id: JobId) -> None:
        """Write the log as it is now into its file in the bucket; raises StorageFault, and no line is lost."""
        text = self.log_text(job_id)
        self._logs.put(f"{job_id}/log.txt", text.encode(), overwrite=True, durable=False)

    def _stopped(self, job_id: JobId, fault: DatabaseFault) -> Step:
        """Pause a job that has no room to go on; where not even that can be written down, raise why."""
        try:
            job = self.pause(job_id, actor="Bright Run", reason=str(fault))
        except (DatabaseFault, NotAllowed):
            raise fault from None
        return Step(StepOutcome.PAUSED, job)

    def _create(self, plan: Plan, job: dict[str, object]) -> Job:
        """Reserve by today's prices; where they change in the same moment, reserve again."""
        for _ in range(PRICE_TRIES):
            seen = prices.mark(self._db)
            tariff = tariff_of(self._db, plan.options)
            share = {}
            if plan.options.delivery is Delivery.OVERNIGHT and tariff:
                share = {"price_share": tariff.batch_share()}
            created = store.create(
                self._db, job | share, item_rows(plan, tariff), estimate_row(plan), seen=seen
            )
            if created is not None:
                return created
        raise Conflict("The price table is being changed.", remedy="Look at the plan again, then start it.")

    def _settle(self, claim: Claim, result: Written | Unwritten) -> tuple[store.Settled, Written | Unwritten]:
        """Record an outcome; one that the database will never take ends its item instead of holding it."""
        try:
            return self._insist(lambda: self._record(claim, result)), result
        except DatabaseFault as fault:
            if not (fault.sqlstate or "").startswith(_NOT_STORABLE):
                raise
            log.exception("the database refused what item %s became", claim.item_id)
            refused = _refused(result, fault)
        return self._insist(lambda: self._record(claim, refused)), refused

    def _record(self, claim: Claim, result: Written | Unwritten) -> store.Settled:
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

    def _insist(self, record: Callable[[], store.Settled]) -> store.Settled:
        """Record an outcome through a database restart: the step is fenced, so repeating it is safe."""
        for attempt in range(DATABASE_TRIES - 1):
            try:
                return record()
            except DatabaseFault as fault:
                if not fault.is_transient:
                    raise
                log.warning("outcome not recorded yet: %s", fault)
            self._pause(min(0.1 * 2**attempt, 2.0))
        return record()

    def _act(self, function: str, job_id: JobId, done: str, **params: object) -> Job:
        data = store.act(self._db, function, job_id, **params)
        job: Job = data["job"]
        if data["outcome"] == "preview":
            raise NotAllowed(
                "The preview is over, and the rest waits to be started.",
                remedy=f"Start it: brightrun start {job_id[:8]}",
            )
        if data["outcome"] == "refused":
            raise NotAllowed(
                f"The job is {job.status.value} and cannot be {done}.",
                remedy="Retry its failed items or start a new job."
                if job.status is not JobStatus.CANCELLED
                else "Start a new job.",
            )
        if data["outcome"] == "ok":
            emit(_DEEDS[done], job=job_id, **params)
        return job

    def _look_back(self, job: Job) -> None:
        try:
            self._after_end(job)
        except DatabaseFault as fault:
            log.warning("job %s has ended, and was not looked through: %s", job.id, fault)

    def _publish_log(self, job: Job) -> None:
        """Write the log's file after a step, which is not undone because that cannot be done."""
        try:
            self.publish_log(job.id)
        except (StorageFault, DatabaseFault) as fault:
            log.warning("the log of job %s could not be written: %s", job.id, fault)


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

_DEEDS = {
    "paused": Event.JOB_PAUSED,
    "resumed": Event.JOB_RESUMED,
    "cancelled": Event.JOB_CANCELLED,
    "given a priority": Event.JOB_PRIORITISED,
}


def _tell(settled: store.Settled, result: Written | Unwritten) -> None:
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


def _order(job: Job) -> dict[str, object]:
    """Return what a job was ordered with, as its first line tells it."""
    options = job.options
    return {"writer": options.writer, "model": options.model, "budget_usd": options.budget}


_DISK_FULL = "53100"
_NOT_STORABLE = ("22", "23", "54")
"""Classes of SQLSTATE that say the values are to blame: they would be refused again at any time."""


def _refused(result: Written | Unwritten, fault: DatabaseFault) -> Unwritten:
    """Return the failure to record instead: what the call cost, and nothing that came from outside."""
    kept = {
        name: value
        for name, value in result.attempt.items()
        if name in ("outcome", "raw_path") or isinstance(value, int | float)
    }
    reason = clean(f"The database refused the outcome: {fault.message}"[:1000])
    return Unwritten("failed", kept | {"judged": True, "error_code": "not_storable", "error_message": reason})


def _worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
