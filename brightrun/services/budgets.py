"""Budgets: what a job may cost in all, and going on with another one."""

from __future__ import annotations

from brightrun import saol
from brightrun.domain.batch import Job, JobStatus
from brightrun.domain.budget import Outlook, at_least, check_budget
from brightrun.domain.errors import InvalidInput, NotAllowed
from brightrun.domain.ids import JobId
from brightrun.domain.person import Action
from brightrun.events.event import Event, emit
from brightrun.services.rights import needs
from brightrun.stores import batches as store
from brightrun.stores import costs


def require_budget(db: saol.Database, job_id: JobId) -> None:
    """Raise NotAllowed where a job's budget allows no further call."""
    outlook = costs.outlook(db, job_id)
    if outlook.is_stuck:
        raise NotAllowed(outlook.story(), remedy=f"Raise it: {outlook.command(job_id)}")


class Budgets:
    """Nothing is called for whose worst case no longer fits; raising the budget is a person's decision."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db

    def outlook(self, job_id: JobId) -> Outlook:
        """Return what a job may still spend and what going on needs; raises NotFound."""
        return costs.outlook(self._db, job_id)

    @needs(Action.SET_BUDGET)
    def set(self, job_id: JobId, budget: float, *, actor: str) -> Job:
        """Set what a job may cost in all, and let it go on if it is paused.

        Raises InvalidInput for a budget below what is spent, may be, or is reserved, or one with which a job
        that its budget has stopped would stop again at once, and NotAllowed for a job that has ended.
        """
        check_budget(budget)
        paused = store.view(self._db, job_id)
        if paused.status is JobStatus.PAUSED and paused.now.queued:  # a preview that is over asks for no call
            self.outlook(job_id).require_for_next(budget)
        data = store.act(self._db, "set_budget", job_id, budget=budget, actor=actor)
        job: Job = data["job"]
        if data["outcome"] == "too_low":
            raise InvalidInput(
                f"{at_least(float(data['bound_usd']))} is spent already, may be, or is reserved.",
                remedy="Give a budget above that. Nothing was changed.",
            )
        if data["outcome"] == "running":
            raise NotAllowed(
                "A job without a budget cannot be given one while it runs.", remedy="Pause it first."
            )
        if data["outcome"] == "refused":
            raise NotAllowed(f"The job is {job.status.value}: it calls nobody any more.")
        emit(Event.JOB_BUDGETED, job=job_id, budget_usd=budget, status=job.status.value, actor=actor)
        return job
