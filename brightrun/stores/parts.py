"""Parts of overnight jobs in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.batch import Claim, Job
from brightrun.domain.errors import Conflict, DatabaseFault, NotFound
from brightrun.domain.ids import ItemId, JobId, PartId
from brightrun.domain.part import Part, PartStatus
from brightrun.stores.batches import Nothing, claim_of, job_of, time_of


@dataclass(frozen=True, slots=True)
class Opened:
    """A part that was just made, with the items that are to be handed over with it."""

    part: Part
    claims: list[Claim]


@dataclass(frozen=True, slots=True)
class Closed:
    """The job after a part was closed; `is_late` where another had taken it over."""

    job: Job
    finished: bool
    is_late: bool


def open_part(
    db: saol.Database, job_id: JobId, worker: str, *, most: int, lease_seconds: float
) -> Opened | Nothing:
    """Make a part of the items that wait, as many as the budget allows."""
    params = {"p_job": job_id, "p_worker": worker, "p_most": most, "p_lease_seconds": lease_seconds}
    data = saol.agent_execute_rpc(db, "open_part", params).value()
    if data["outcome"] == "missing":
        raise NotFound(f"There is no batch job {job_id}.", remedy="List the jobs to see their ids.")
    if data["outcome"] != "opened":
        return Nothing(data["outcome"], job_of(data["job"]), float(data.get("seconds") or 0.0))
    return Opened(_part(data["part"]), [claim_of(each) for each in data["claims"]])


def take(db: saol.Database, job_id: JobId, *, lease_seconds: float) -> Part | None:
    """Lease the part of a job that is due to be looked at."""
    params = {"p_job": job_id, "p_lease_seconds": lease_seconds}
    data = saol.agent_execute_rpc(db, "take_part", params).value()
    return None if data is None else _part(data)


def claims(db: saol.Database, part_id: PartId) -> list[Claim]:
    """Return the items of a part that have no end yet, in their order."""
    data = saol.agent_execute_rpc(db, "part_claims", {"p_part": part_id}).value()
    return [claim_of(each) for each in data]


def prepare(db: saol.Database, part: Part, requests: Mapping[ItemId, Mapping[str, object]]) -> bool:
    """Note what is about to be asked; False where another has taken the part over."""
    params = {
        "p_part": part.id,
        "p_token": part.token,
        "p_requests": {k: dict(v) for k, v in requests.items()},
    }
    return bool(saol.agent_execute_rpc(db, "prepare_part", params).value())


def send(
    db: saol.Database, part: Part, remote_id: str, *, ends_by: datetime | None, look_seconds: float
) -> bool:
    """Note that a part is at Claude; False where another has taken it over.

    Raises Conflict where that id is on record for another part.
    """
    params = {
        "p_part": part.id,
        "p_token": part.token,
        "p_remote_id": remote_id,
        "p_ends_by": ends_by.isoformat() if ends_by else None,
        "p_look_seconds": look_seconds,
    }
    try:
        return bool(saol.agent_execute_rpc(db, "send_part", params).value())
    except DatabaseFault as fault:
        if fault.code != "ERR_DB_UNIQUE_VIOLATION":
            raise
        raise Conflict(
            f"Claude took it as {remote_id}, which is the id of another part: its answers could not be told apart.",
            remedy="It may have been paid for. Look whether ANTHROPIC_BASE_URL leads to Claude, then resume the batch.",
        ) from fault


def put_off(
    db: saol.Database,
    part: Part,
    seconds: float,
    *,
    fault: str | None = None,
    lost: bool = False,
    cancel_asked: bool = False,
    ends_by: datetime | None = None,
) -> bool:
    """Let a part wait for its next look; False where another has taken it over."""
    params = {
        "p_part": part.id,
        "p_token": part.token,
        "p_seconds": seconds,
        "p_fault": fault,
        "p_status": PartStatus.LOST.value if lost else None,
        "p_cancel_asked": cancel_asked,
        "p_ends_by": ends_by.isoformat() if ends_by else None,
    }
    return bool(saol.agent_execute_rpc(db, "put_part_off", params).value())


def close(
    db: saol.Database,
    part: Part,
    disposition: str,
    attempt: Mapping[str, object],
    *,
    delay_seconds: float = 0.0,
) -> Closed:
    """End a part; what has no end yet goes back into the queue, or ends with the attempt's reason."""
    params = {
        "p_part": part.id,
        "p_token": part.token,
        "p_disposition": disposition,
        "p_attempt": dict(attempt),
        "p_delay_seconds": delay_seconds,
    }
    data = saol.agent_execute_rpc(db, "close_part", params).value()
    return Closed(job_of(data["job"]), bool(data.get("finished")), data["outcome"] != "closed")


def of_job(db: saol.Database, job_id: JobId, *, limit: int) -> list[Part]:
    """Return a job's parts: those that are out first, then the newest."""
    rows = saol.agent_query(
        db,
        "part_rows",
        where=[("job_id", "eq", job_id)],
        order_by=[
            saol.Order("closed_at", descending=True, nulls_first=True),
            saol.Order("number", descending=True),
        ],
        limit=limit,
    ).rows()
    return [_part(row) for row in rows]


def known(db: saol.Database, remote_ids: Sequence[str]) -> set[str]:
    """Return those of some batches that are on record here."""
    if not remote_ids:
        return set()
    where = [("remote_id", "in", list(remote_ids))]
    rows = saol.agent_query(db, "batch_parts", select=["remote_id"], where=where).rows()
    return {str(row["remote_id"]) for row in rows}


def _part(row: Mapping[str, Any]) -> Part:
    return Part(
        id=PartId(row["id"]),
        job_id=JobId(row["job_id"]),
        number=int(row["number"]),
        status=PartStatus(row["status"]),
        size=int(row["size"]),
        remote_id=row["remote_id"],
        cancel_asked=bool(row["cancel_asked"]),
        faults=int(row["faults"]),
        fault=row["fault"],
        created_at=datetime.fromisoformat(row["created_at"]),
        sent_at=time_of(row["sent_at"]),
        ends_by=time_of(row["ends_by"]),
        closed_at=time_of(row["closed_at"]),
        results_gone=bool(row["results_gone"]),
        look_seconds=row["look_seconds"],
        token=row.get("token"),
    )
