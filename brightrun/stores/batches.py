"""Batch jobs and their items in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.batch import (
    Claim,
    Counts,
    EarlierAnswer,
    Item,
    ItemStatus,
    Job,
    JobKind,
    JobOptions,
    JobStatus,
    Money,
    OpenJob,
    WriterName,
)
from brightrun.domain.errors import Conflict, NotFound
from brightrun.domain.ids import (
    NO_TEMPLATE,
    AttemptId,
    ConversationId,
    FencingToken,
    ItemId,
    JobId,
    TemplateId,
    TemplateVersionId,
)
from brightrun.domain.judging import Subject
from brightrun.domain.log import LogLine
from brightrun.domain.part import Delivery
from brightrun.domain.scenario import Scenario

MOST_IN_HAND = 2_000
"""Items in hand at a time that it is looked at whose they are: more than any machine has slots."""
REST_STARTED = "The rest was started by "
"""What start_rest writes into the log, before the name."""

Answer = Mapping[str, Any]
"""What a function of the step answers."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No item was claimed: `outcome` is wait, paused or done."""

    outcome: str
    job: Job
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Settled:
    """The job after an item was completed or settled."""

    outcome: str
    job: Job
    finished: bool = False
    conversation_id: ConversationId | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A claimed item that became a conversation or a verdict."""

    claim: Claim
    attempt: Mapping[str, object]
    conversation: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        return {
            "item": self.claim.item_id,
            "token": self.claim.token,
            "attempt": dict(self.attempt),
            "conversation": dict(self.conversation),
        }


def create(
    db: saol.Database,
    job: Mapping[str, object],
    items: Sequence[Mapping[str, object]],
    estimate: Mapping[str, object],
    *,
    seen: int,
    kind: JobKind = JobKind.WRITE,
) -> Job | None:
    """Insert a job with all its items, or nothing; None when the price table is not as it was `seen`.

    Raises Conflict where somebody else has ordered the same verdict meanwhile.
    """
    params = {"p_job": dict(job), "p_items": list(items), "p_estimate": dict(estimate), "p_mark": seen}
    function = "create_judge_job" if kind is JobKind.JUDGE else "create_priced_job"
    if job.get("price_share") is not None:
        function = "create_overnight_job"
    data = saol.agent_execute_rpc(db, function, params).value()
    if data and data.get("outcome") == "taken":
        raise Conflict(
            "Somebody is having some of these conversations judged just now.",
            remedy="Wait for that batch, or cancel it; then ask again.",
        )
    return None if data is None else job_of(data)


def claim(db: saol.Database, job_id: JobId, worker: str, lease_seconds: float) -> Answer:
    """Lease the next item; `claimed_of` reads the answer."""
    return _call(db, "claim_item", p_job=job_id, p_worker=worker, p_lease_seconds=lease_seconds)


def claim_several(
    db: saol.Database, job_id: JobId, workers: Sequence[str], lease_seconds: float
) -> list[Answer]:
    """Lease the next items, one for each worker; those for whom there is none are told the same."""
    if len(workers) == 1:
        return [claim(db, job_id, workers[0], lease_seconds)]
    params = {"p_job": job_id, "p_workers": list(workers), "p_lease_seconds": lease_seconds}
    found: list[Answer] = saol.agent_execute_rpc(db, "claim_items", params).value()
    return found + found[-1:] * (len(workers) - len(found))


def claimed_of(answer: Answer, job_id: JobId) -> Claim | Nothing:
    """Read what a claim led to; raises NotFound."""
    if answer["outcome"] == "missing":
        raise NotFound(f"There is no batch job {job_id}.", remedy="List the jobs to see their ids.")
    if answer["outcome"] != "claimed":
        return Nothing(answer["outcome"], job_of(answer["job"]), float(answer.get("seconds") or 0.0))
    return claim_of(answer)


def complete(db: saol.Database, done: Done) -> Answer:
    """Store the conversation and end the item in one step; `settled_of` reads the answer."""
    return _call(db, "complete_item", **{f"p_{name}": value for name, value in done.to_json().items()})


def complete_several(db: saol.Database, done: Sequence[Done]) -> list[Answer]:
    """Store the conversations and end the items of one job in one step, all or none."""
    params = {"p_steps": [one.to_json() for one in done]}
    answers: list[Answer] = saol.agent_execute_rpc(db, "complete_items", params).value()
    return answers


def settled_of(data: Answer, claim: Claim, job: Job | None = None) -> Settled:
    """Read what became of an item, and its job where that was not read before; raises NotFound where it is gone."""
    if data["outcome"] == "missing":
        raise NotFound(f"Item {claim.item_id} no longer exists.")
    key = data.get("conversation_id")
    return Settled(
        str(data["outcome"]),
        job or job_of(data["job"]),
        bool(data.get("finished")),
        ConversationId(key) if key else None,
    )


def settle(
    db: saol.Database,
    claim: Claim,
    disposition: str,
    attempt: Mapping[str, object],
    *,
    delay_seconds: float = 0.0,
    refund: bool = False,
    slow_down: bool = False,
    reason: str | None = None,
) -> Settled:
    """End or put back an item that gave no conversation; `slow_down` lets its whole job wait as long."""
    data = _call(
        db,
        "settle_item",
        p_item=claim.item_id,
        p_token=claim.token,
        p_disposition=disposition,
        p_attempt=dict(attempt),
        p_delay_seconds=delay_seconds,
        p_refund=refund,
        p_slow_down=slow_down,
        p_reason=reason,
    )
    return settled_of(data, claim)


def view(db: saol.Database, job_id: JobId) -> Job:
    """Return one job with its counts, money and pace; raises NotFound."""
    data = saol.agent_execute_rpc(db, "job_view", {"p_job": job_id}).value()
    if data is None:
        raise NotFound(f"There is no batch job {job_id}.", remedy="List the jobs to see their ids.")
    return job_of(data)


def reclaim(db: saol.Database, job_id: JobId) -> int:
    """Take back items whose worker vanished; returns how many."""
    return int(saol.agent_execute_rpc(db, "reclaim_items", {"p_job": job_id}).value())


def workers(db: saol.Database, job_id: JobId) -> set[str]:
    """Return who has items of a job in hand."""
    found = saol.agent_query(
        db,
        "batch_items",
        select=["worker"],
        where=[("job_id", "eq", job_id), ("status", "eq", "processing")],
        limit=MOST_IN_HAND,
    )
    return {row["worker"] for row in found.rows() if row["worker"]}


def end_leases(db: saol.Database, job_id: JobId, gone: Sequence[str]) -> int:
    """End the leases of workers that have ended; returns of how many items."""
    return int(saol.agent_execute_rpc(db, "end_leases", {"p_job": job_id, "p_workers": list(gone)}).value())


def act(db: saol.Database, function: str, job_id: JobId, **params: object) -> dict[str, Any]:
    """Call pause_job, resume_job, cancel_job or retry_failed; the answer's `job` is a Job."""
    data = _call(db, function, p_job=job_id, **{f"p_{name}": value for name, value in params.items()})
    if data["outcome"] == "missing":
        raise NotFound(f"There is no batch job {job_id}.", remedy="List the jobs to see their ids.")
    return {**data, "job": job_of(data["job"])}


def adjust(
    db: saol.Database,
    job_id: JobId,
    items: Sequence[Mapping[str, object]],
    before: Sequence[Item],
    estimate: Mapping[str, object],
    *,
    seen: int,
    actor: str,
) -> dict[str, Any] | None:
    """Give waiting items of a job in preview other parameters, where they are as they were `before`.

    None when prices are not as they were `seen`.
    """
    known = [
        {
            "position": item.position,
            "parameters": item.scenario.to_json(),
            "template_version_id": item.template_version_id,
        }
        for item in before
    ]
    params = {"p_job": job_id, "p_items": list(items), "p_seen": known, "p_estimate": dict(estimate)}
    value = saol.agent_execute_rpc(
        db, "adjust_rest_as_seen", {**params, "p_mark": seen, "p_actor": actor}
    ).value()
    assert value is None or isinstance(value, dict)
    return value


def open_jobs(db: saol.Database) -> list[OpenJob]:
    """Return the jobs that are queued or under way, by priority, then the oldest first."""
    rows = saol.agent_execute_rpc(db, "open_jobs", {}).value()
    return [OpenJob(JobId(row["id"]), int(row["priority"])) for row in rows]


def page(db: saol.Database, *, limit: int, offset: int = 0) -> list[Job]:
    """Return jobs, newest first."""
    result = saol.agent_query(
        db,
        "batch_overview",
        order_by=[saol.Order("created_at", descending=True), saol.Order("id")],
        limit=limit,
        offset=offset,
    )
    return [job_of(row) for row in result.rows()]


def count(db: saol.Database) -> int:
    return saol.agent_count(db, "batch_jobs").total()


def ids_between(db: saol.Database, low: str, high: str, *, limit: int) -> list[JobId]:
    """Return ids in a range, for prefixes: a UUID column sorts by its digits."""
    result = saol.agent_query(
        db,
        "batch_jobs",
        select=["id"],
        where=[("id", "gte", low), ("id", "lte", high)],
        order_by=[saol.Order("id")],
        limit=limit,
    )
    return [JobId(row["id"]) for row in result.rows()]


def items(
    db: saol.Database, job_id: JobId, *, status: ItemStatus | None, limit: int, offset: int = 0
) -> list[Item]:
    """Return one page of a job's items in their order."""
    where: list[tuple[str, str, object]] = [("job_id", "eq", job_id)]
    if status:
        where.append(("status", "eq", status.value))
    result = saol.agent_query(
        db, "item_rows", where=where, order_by=[saol.Order("position")], limit=limit, offset=offset
    )
    return [_item(row) for row in result.rows()]


def log_lines(db: saol.Database, job_id: JobId) -> list[LogLine]:
    """Return the whole log of a job in the order it was written."""
    result = saol.agent_query(db, "log_rows", where=[("job_id", "eq", job_id)], order_by=[saol.Order("id")])
    return [_line(row) for row in result.rows()]


def rest_started(db: saol.Database, job_id: JobId) -> tuple[str, datetime] | None:
    """Return who started the rest behind a job's preview, and when; None where nobody has."""
    result = saol.agent_query(
        db,
        "job_log",
        select=["message", "created_at"],
        where=[("job_id", "eq", job_id), ("message", "like", f"{REST_STARTED}%")],
        order_by=[saol.Order("id", descending=True)],
        limit=1,
    )
    for row in result.rows():
        return row["message"].removeprefix(REST_STARTED), datetime.fromisoformat(row["created_at"])
    return None


def _call(db: saol.Database, function: str, **params: object) -> dict[str, Any]:
    value = saol.agent_execute_rpc(db, function, params).value()
    assert isinstance(value, dict), f"{function} returns an object"
    return value


def claim_of(data: Mapping[str, Any]) -> Claim:
    """Read a leased item as claim_item tells it."""
    subject = data["parameters"].get("judging")
    return Claim(
        item_id=ItemId(data["item_id"]),
        job_id=JobId(data["job_id"]),
        token=FencingToken(data["token"]),
        attempt_id=AttemptId(data["attempt_id"]),
        attempt=int(data["attempt"]),
        tries=int(data["tries"]),
        crashes=int(data["crashes"]),
        claimed_at=datetime.fromisoformat(data["claimed_at"]),
        answers=tuple(
            EarlierAnswer(int(a["number"]), str(a["worker"]), bool(a["is_stored"])) for a in data["answers"]
        ),
        may_call=bool(data["may_call"]),
        scenario=Scenario.from_json(data["parameters"]),
        template_version_id=TemplateVersionId(data["template_version_id"] or NO_TEMPLATE),
        options=_options(data),
        subject=Subject.from_json(subject) if subject else None,
    )


def _options(data: Mapping[str, Any]) -> JobOptions:
    budget = data.get("budget_usd")
    return JobOptions(
        writer=WriterName(data["writer"]),
        model=str(data["model"]),
        max_tokens=int(data["max_tokens"]),
        turns=data["turns"],
        seed=int(data["seed"]),
        stop_on_error=bool(data.get("stop_on_error")),
        budget=float(budget) if budget is not None else None,
        retry_cut=bool(data.get("retry_cut")),
        delivery=Delivery(data.get("delivery") or Delivery.DIRECT),
    )


def job_of(data: Mapping[str, Any]) -> Job:
    """Read a job as job_view tells it."""
    options = _options(data)
    job = Job(
        id=JobId(data["id"]),
        name=str(data["name"]),
        status=JobStatus(data["status"]),
        options=options,
        template_id=TemplateId(data["template_id"]),
        counts=Counts(**{status.value: int(data[status.value]) for status in ItemStatus}),
        money=Money(
            spent=float(data["spent_usd"]),
            possible=float(data["possible_usd"]),
            reserved=float(data["reserved_usd"]),
            budget=options.budget,
        ),
        pause_reason=data["pause_reason"],
        created_by=str(data["created_by"]),
        created_at=datetime.fromisoformat(data["created_at"]),
        started_at=time_of(data["started_at"]),
        completed_at=time_of(data["completed_at"]),
        rate_per_minute=data.get("rate_per_minute"),
        seconds_left=data.get("seconds_left"),
        next_attempt_at=time_of(data.get("next_attempt_at")),
        preview=data.get("preview"),
        priority=int(data.get("priority") or 0),
        kind=JobKind(data["kind"]),
        parts_out=int(data.get("parts_out") or 0),
    )
    if not job.waiting or job.seconds_left is None:
        return job
    return replace(job, seconds_left=job.seconds_left * _open(job.now) / max(1, _open(job.counts)))


def _open(counts: Counts) -> int:
    return counts.queued + counts.processing


def _item(row: Mapping[str, Any]) -> Item:
    subject = row["parameters"].get("judging")
    return Item(
        id=ItemId(row["id"]),
        job_id=JobId(row["job_id"]),
        position=int(row["position"]),
        status=ItemStatus(row["status"]),
        scenario=Scenario.from_json(row["parameters"]),
        template_version_id=TemplateVersionId(row["template_version_id"] or NO_TEMPLATE),
        template_choice=str(row["template_choice"]),
        attempts=int(row["attempts"]),
        conversation_id=ConversationId(row["conversation_id"]) if row["conversation_id"] else None,
        error_code=row["error_code"],
        error_message=row["error_message"],
        next_attempt_at=time_of(row["next_attempt_at"]),
        seconds=row["seconds"],
        cost=float(row["cost_usd"]),
        template_name=f"{row['template_name']} v{row['template_version']}" if row["template_name"] else "",
        quality_score=row["quality_score"],
        subject=Subject.from_json(subject) if subject else None,
    )


def _line(row: Mapping[str, Any]) -> LogLine:
    return LogLine(
        at=datetime.fromisoformat(row["created_at"]),
        message=str(row["message"]),
        position=row["position"],
        attempt=row["attempt"],
        request_id=row["request_id"],
        error_code=row["error_code"],
        input_tokens=int(row["input_tokens"] or 0),
        output_tokens=int(row["output_tokens"] or 0),
        seconds=row["seconds"],
        cost=float(row["cost_usd"] or 0.0),
    )


def time_of(value: str | None) -> datetime | None:
    """Read a time as rows carry it; None where there is none."""
    return datetime.fromisoformat(value) if value else None
