"""Previews: the first items of a job are written and read, the rest is adjusted, then started."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from brightrun import saol
from brightrun.domain.batch import Item, ItemStatus, Job, JobStatus
from brightrun.domain.errors import AlreadyDone, Conflict, InvalidInput, NotAllowed
from brightrun.domain.ids import JobId
from brightrun.domain.person import Action
from brightrun.domain.scenario import Scenario
from brightrun.domain.space import SCAFFOLDING
from brightrun.domain.template import Choice
from brightrun.events.event import Event, emit
from brightrun.services.batches import PRICE_TRIES
from brightrun.services.budgets import require_budget
from brightrun.services.plans import MAX_ITEMS, Plan, Planner, estimate_row, item_rows, tariff_of
from brightrun.services.rights import needs
from brightrun.services.templates import Templates
from brightrun.stores import batches as store
from brightrun.stores import prices

KEPT = "kept"
"""The template name that stands for what each item has, in its newest version."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What of a job has not begun, planned anew."""

    job: Job
    items: Sequence[Item]
    plan: Plan
    """One planned item for each of `items`, unless it has problems."""


class Previews:
    """A job in preview stays one job: what is written of it counts, and is paid for once."""

    def __init__(self, db: saol.Database, planner: Planner, templates: Templates) -> None:
        self._db = db
        self._planner = planner
        self._templates = templates

    def written(self, job: Job) -> list[Item]:
        """Return the items of a job's preview in their order; none where it has no preview."""
        return store.items(self._db, job.id, status=None, limit=job.preview) if job.preview else []

    def is_over(self, job: Job) -> bool:
        """Whether a job has a preview of which nothing is left to write."""
        return job.preview is not None and have_ended(self.written(job))

    def plan_rest(
        self,
        job_id: JobId,
        *,
        template: str = KEPT,
        variables: Mapping[str, str] | None = None,
        turns: int | None = None,
    ) -> Rest:
        """Plan what has not begun with another template or with other values; nothing is changed yet.

        variables: own variables that every scenario gets; an empty value takes one away. turns: messages
        each, made even. Raises NotAllowed for a job without a preview and InvalidInput for a name that is not
        a variable of one's own, or that no template of the rest reads.
        """
        job = store.view(self._db, job_id)
        _require(job)
        items = store.items(self._db, job_id, status=ItemStatus.QUEUED, limit=MAX_ITEMS)
        scenarios = [_changed(item.scenario, variables or {}, turns) for item in items]
        if template == KEPT:
            plan = self._planner.plan(scenarios, job.options, choices=self._kept(items))
        else:
            plan = self._planner.plan(scenarios, job.options, template=template)
        _require_read(plan, [name for name, value in (variables or {}).items() if value])
        return Rest(job, items, plan)

    @needs(Action.RUN_BATCH)
    def adjust(self, rest: Rest, *, actor: str) -> int:
        """Give the waiting items what was planned, all or none of it; returns how many changed.

        An item that has an answer, or may have one, keeps what it was asked with. Raises InvalidInput where
        the plan has problems, NotAllowed where the rest was started meanwhile, Conflict where prices change, or where
        somebody has adjusted the rest since it was planned.
        """
        rest.plan.require()
        job = rest.job
        for _ in range(PRICE_TRIES):
            seen = prices.mark(self._db)
            rows = item_rows(rest.plan, tariff_of(self._db, job.options))
            placed = [row | {"position": item.position} for row, item in zip(rows, rest.items, strict=True)]
            data = store.adjust(
                self._db, job.id, placed, rest.items, estimate_row(rest.plan), seen=seen, actor=actor
            )
            if data is None:
                continue
            if data["outcome"] == "changed":
                raise Conflict(
                    "Somebody has adjusted the rest since you looked at it.",
                    remedy="Look at what it is now, then adjust it.",
                )
            if data["outcome"] != "ok":
                raise NotAllowed("The job is not in preview any more.", remedy="Nothing was changed.")
            emit(Event.JOB_ADJUSTED, job=job.id, items=data["adjusted"], actor=actor)
            return int(data["adjusted"])
        raise Conflict("The price table is being changed.", remedy="Look at the plan again, then adjust.")

    @needs(Action.RUN_BATCH)
    def start(self, job_id: JobId, *, actor: str, more: int | None = None) -> Job:
        """Start the rest, or so many `more` items of it; raises NotAllowed where nothing waits for that.

        Raises AlreadyDone where somebody has started the rest before.
        """
        require_budget(self._db, job_id)
        return self._released(store.act(self._db, "start_rest", job_id, more=more, actor=actor), actor)

    @needs(Action.RUN_BATCH)
    def extend(self, job_id: JobId, *, seen: int, more: int, actor: str) -> Job:
        """Let so many `more` items follow a preview whose end was `seen` at that many.

        Raises what `start` does, and AlreadyDone where somebody has extended the preview since it was seen.
        """
        require_budget(self._db, job_id)
        data = store.act(self._db, "extend_preview", job_id, seen=seen, more=more, actor=actor)
        job: Job = data["job"]
        if data["outcome"] == "extended":
            raise AlreadyDone(f"The preview was already extended, to {job.preview} conversations.")
        return self._released(data, actor)

    def _released(self, data: Mapping[str, Any], actor: str) -> Job:
        """Return the job that goes on; raises AlreadyDone or NotAllowed where it does not."""
        job: Job = data["job"]
        if data["outcome"] != "ok":
            self._require_first(job)
            _require(job)
        emit(Event.JOB_RELEASED, job=job.id, preview=job.preview, actor=actor)
        return job

    def _require_first(self, job: Job) -> None:
        """Raise AlreadyDone where the rest of a job that goes on, or has come to its end, was started before."""
        begun = store.rest_started(self._db, job.id) if job.preview is None else None
        if begun and job.status is not JobStatus.CANCELLED:
            who, at = begun
            raise AlreadyDone(f"The rest was already started, by {who} at {at.astimezone():%H:%M on %d %B}.")

    def _kept(self, items: Sequence[Item]) -> list[Choice]:
        """Return each item's own template in its newest version, with why it has it."""
        newest = {template.id: template for template in self._templates.all(active_only=False)}
        return [
            Choice(
                newest[self._templates.version(item.template_version_id).template_id], item.template_choice
            )
            for item in items
        ]


def have_ended(items: Sequence[Item]) -> bool:
    """Whether nothing is left to write of some items."""
    ended = (ItemStatus.COMPLETED, ItemStatus.FAILED, ItemStatus.CANCELLED)
    return all(item.status in ended for item in items)


def _require(job: Job) -> None:
    """Raise NotAllowed where a job has no rest that waits behind a preview."""
    if not job.is_open and job.status is not JobStatus.PAUSED:
        raise NotAllowed(f"The job is {job.status.value}.", remedy="Start a new one.")
    if job.preview is None:
        raise NotAllowed(
            "The job has no preview: all of it was started.", remedy="Pause it, or let it go on."
        )


def _require_read(plan: Plan, names: Sequence[str]) -> None:
    """Raise InvalidInput for a variable that would change nothing, a misspelt one as a rule: the rest is paid for."""
    versions = {item.choice.template.version.id: item.choice.template.version for item in plan.items}
    read = {name for version in versions.values() for name in (*version.required, *version.optional)}
    for name in names:
        if versions and name not in read:
            close = difflib.get_close_matches(name, read, n=3, cutoff=0.5) or sorted(read - set(SCAFFOLDING))
            raise InvalidInput(
                f"No template of the rest reads a variable {name!r}.",
                remedy=f"Is one of these meant: {', '.join(close)}?" if close else "Leave it out.",
            )


def _changed(scenario: Scenario, variables: Mapping[str, str], turns: int | None) -> Scenario:
    for name in variables:
        if name in SCAFFOLDING or not name.isidentifier():
            raise InvalidInput(
                f"{name!r} is not a variable of your own.", remedy="Give NAME=VALUE; the scaffolding stays."
            )
    own = {**scenario.variables, **variables}
    kept = {name: value for name, value in own.items() if value}
    return replace(scenario, variables=kept, turns=turns + turns % 2 if turns else scenario.turns)
