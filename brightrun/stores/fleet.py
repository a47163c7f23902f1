"""Workers in the database: who is alive, and what each is at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from brightrun import saol
from brightrun.domain.fleet import Worker
from brightrun.domain.ids import JobId


def beat(db: saol.Database, name: str, *, slots: int, jobs: Sequence[JobId], written: int) -> None:
    """Say that a worker is alive; who has been silent for a day is forgotten."""
    params = {"p_name": name, "p_slots": slots, "p_jobs": list(jobs), "p_written": written}
    saol.agent_execute_rpc(db, "beat_worker", params).require()


def leave(db: saol.Database, name: str) -> None:
    """Forget a worker that has ended."""
    saol.agent_delete(db, "workers", where=[("name", "eq", name)], confirm=True).require()


def alive(db: saol.Database, within: float) -> list[Worker]:
    """Return who was heard of within so many seconds, by name."""
    rows = saol.agent_query(
        db, "worker_rows", where=[("seen_seconds", "lte", within)], order_by=[saol.Order("name")]
    ).rows()
    return [
        Worker(
            name=str(row["name"]),
            slots=int(row["slots"]),
            jobs=[JobId(job) for job in row["jobs"]],
            written=int(row["written"]),
            started_at=datetime.fromisoformat(row["started_at"]),
            seen_seconds=float(row["seen_seconds"]),
        )
        for row in rows
    ]
