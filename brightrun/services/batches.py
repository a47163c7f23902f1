"""Batch jobs: create, pause, resume, cancel, retry, and how far they are."""

from __future__ import annotations

from collections.abc import Callable

from brightrun import saol
from brightrun.domain.batch import (
    Item,
    ItemStatus,
    Job,
    JobStatus,
    OpenJob,
    Step,
    WriterName,
)
from brightrun.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from brightrun.domain.ids import JobId, parse_uuid
from brightrun.domain.part import Delivery
from brightrun.domain.person import Action
from brightrun.domain.progress import Progress
from brightrun.events.event import Event, emit
from brightrun.services.budgets import require_budget
from brightrun.services.logs import Logs
from brightrun.services.plans import Plan, estimate_row, item_rows, job_row, tariff_of
from brightrun.services.rights import needs
from brightrun.services.steps import Steps
from brightrun.stores import batches as store
from brightrun.stores import prices, progress

PRICE_TRIES = 5

MAX_PREVIEW = 3
"""More is no preview: it is read by a person before anything else is written."""


class Batches:
    """Safe to use from any number of threads and processes at once."""

    def __init__(
        self,
        db: saol.Database,
        steps: Steps,
        logs: Logs,
        *,
        max_attempts: int,
        pause_after_failures: int = 5,
        pause_after_refusals: int = 3,
        upkeep: Callable[[Job], bool] | None = None,
    ) -> None:
        """upkeep: the server's own `take_back`, where this acts for a person, who may not do it."""
        self._upkeep = upkeep or self.take_back
        self._db = db
        self._steps = steps
        self._logs = logs
        self._max_attempts = max_attempts
        self._pause_after_failures = pause_after_failures
        self._pause_after_refusals = pause_after_refusals

    @staticmethod
    def require(plan: Plan, *, name: str, preview: int | None = None) -> str:
        """Return the name a job would get; raises InvalidInput for what `create` refuses, and creates nothing."""
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
        return name

    @needs(Action.RUN_BATCH)
    def create(self, plan: Plan, *, name: str, actor: str, preview: int | None = None) -> Job:
        """Accept a plan as a job, whole or not at all; raises InvalidInput when it has problems.

        preview: how many of its first items are written before a person starts the rest.
        """
        name = self.require(plan, name=name, preview=preview)
        job = job_row(plan, name, actor) | {
            "max_attempts": self._max_attempts,
            "pause_after_failures": self._pause_after_failures,
            "pause_after_refusals": self._pause_after_refusals,
            "preview": preview,
        }
        created = self._create(plan, job)
        emit(Event.JOB_CREATED, job=created.id, items=len(plan.items), actor=actor, **_order(created))
        return created

    def process_next(self, job_id: JobId) -> Step:
        """Advance a job by at most one item and return what a screen needs; raises NotFound."""
        return self._steps.next(job_id)

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
    def pause(self, job_id: JobId, *, actor: str, reason: str | None = None) -> Job:
        """Stop handing out items; the one in flight is kept. Raises NotAllowed for an ended job."""
        return self._act("pause_job", job_id, "paused", reason=reason or f"By hand, by {actor}.", actor=actor)

    @needs(Action.RUN_BATCH)
    def resume(self, job_id: JobId, *, actor: str) -> Job:
        """Let a paused job go on; raises NotAllowed for an ended one, or one whose budget is used up."""
        require_budget(self._db, job_id)
        return self._act("resume_job", job_id, "resumed", actor=actor)

    @needs(Action.RUN_BATCH)
    def cancel(self, job_id: JobId, *, actor: str) -> Job:
        """End a job for good; what is in flight is still kept. A second cancel changes nothing."""
        job = self._act("cancel_job", job_id, "cancelled", actor=actor)
        self._logs.follow(job.id)
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
        return self._tidied(store.view(self._db, job_id))

    def take_back(self, job: Job) -> bool:
        """Take items back whose worker vanished, or end them where the job is cancelled; returns whether there were any."""
        if job.status is JobStatus.CANCELLED:
            if job.parts_out:  # whoever looks at a job does not wait for Claude to call them off
                return False
            step = self.process_next(job.id)  # calls nothing, but keeps an answer that is stored
            any_ended = step.item_id is not None
            while step.item_id is not None and step.job.counts.processing:
                step = self.process_next(job.id)
            return any_ended
        reclaimed = store.reclaim(self._db, job.id)
        if reclaimed:
            emit(Event.ITEMS_RECLAIMED, job=job.id, items=reclaimed)
        return reclaimed > 0

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
        """Return jobs, newest first; of open ones, items whose worker vanished are taken back first."""
        found = store.page(self._db, limit=limit, offset=offset)
        return [self._tidied(job) if job.is_open else job for job in found]

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
        return self._logs.text(job_id)

    def publish_log(self, job_id: JobId) -> None:
        """Write the log as it is now into its file in the bucket; raises StorageFault, and no line is lost."""
        self._logs.publish(job_id)

    def _tidied(self, job: Job) -> Job:
        """Return a job none of whose items is still said to be in the hands of a worker that vanished."""
        return store.view(self._db, job.id) if job.counts.processing and self._upkeep(job) else job

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
                if job.counts.failed and job.status is not JobStatus.CANCELLED
                else "Start a new job.",
            )
        if data["outcome"] == "ok":
            emit(_DEEDS[done], job=job_id, **params)
        return job


_DEEDS = {
    "paused": Event.JOB_PAUSED,
    "resumed": Event.JOB_RESUMED,
    "cancelled": Event.JOB_CANCELLED,
    "given a priority": Event.JOB_PRIORITISED,
}


def _order(job: Job) -> dict[str, object]:
    """Return what a job was ordered with, as its first line tells it."""
    options = job.options
    return {"writer": options.writer, "model": options.model, "budget_usd": options.budget}
