"""How a job went so far, at a cost that does not grow with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.ids import JobId
from brightrun.domain.progress import ErrorClass, Point, Progress


def view(db: saol.Database, job_id: JobId) -> Progress:
    """Return retries, errors by class and the counters over time; of no job, an empty one."""
    data = saol.agent_execute_rpc(db, "job_progress", {"p_job": job_id}).value()
    if data is None:
        return Progress()
    return Progress(
        retries=int(data["retries"]),
        errors=[_error(row) for row in data["errors"]],
        points=[_point(row) for row in data["points"]],
    )


def _error(row: Mapping[str, Any]) -> ErrorClass:
    return ErrorClass(
        code=str(row["error_code"]),
        category=str(row["category"]),
        times=int(row["times"]),
        ended_items=int(row["ended_items"]),
        message=str(row["message"]),
        last_at=datetime.fromisoformat(row["last_at"]),
    )


def _point(row: Mapping[str, Any]) -> Point:
    return Point(
        at=datetime.fromisoformat(row["at"]),
        completed=int(row["completed"]),
        failed=int(row["failed"]),
        spent=float(row["spent_usd"]),
    )
