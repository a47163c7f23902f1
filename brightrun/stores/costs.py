"""What was spent, as the database adds it up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.batch import AttemptOutcome
from brightrun.domain.budget import Outlook
from brightrun.domain.cost import Cost, JobCost, LedgerEntry, VersionCost
from brightrun.domain.errors import NotFound
from brightrun.domain.estimate import Estimate, OutputHistory, Terms
from brightrun.domain.ids import ItemId, JobId, TemplateId, TemplateVersionId
from brightrun.domain.writing import Usage

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


def of_job(db: saol.Database, job_id: JobId) -> JobCost:
    """Return everything about the money of one job; raises NotFound."""
    data = _found(saol.agent_execute_rpc(db, "job_costs", {"p_job": job_id}).value(), job_id)
    totals = data["totals"]
    estimate = data["estimate"]
    return JobCost(
        job_id=job_id,
        model=str(data["model"]),
        writer=str(data["writer"]),
        budget_usd=_usd(data["budget_usd"]),
        reserved_usd=float(data["reserved_usd"]),
        saved_usd=float(data["saved_usd"]),
        usage=_usage(totals),
        cost=_cost({**totals, "spent_usd": data["spent_usd"], "possible_usd": data["possible_usd"]}),
        templates=[_version(row) for row in data["templates"]],
        estimate=_estimate(estimate, int(totals["items"])) if estimate else None,
    )


def by_version(db: saol.Database, *, template_id: TemplateId | None = None) -> list[VersionCost]:
    """Return what each template version cost with each model, dearest first."""
    rows = saol.agent_execute_rpc(db, "costs_by_version", {"p_template": template_id}).value()
    return [_version(row) for row in rows]


def outlook(db: saol.Database, job_id: JobId) -> Outlook:
    """Return what a job may still spend and what going on needs; raises NotFound."""
    data = _found(saol.agent_execute_rpc(db, "budget_outlook", {"p_job": job_id}).value(), job_id)
    return Outlook(
        budget_usd=_usd(data["budget_usd"]),
        spent_usd=float(data["spent_usd"]),
        possible_usd=float(data["possible_usd"]),
        reserved_usd=float(data["reserved_usd"]),
        waiting=int(data["waiting"]),
        answered=int(data["answered"]),
        processing=int(data["processing"]),
        ended=int(data["ended"]),
        next_usd=float(data["next_usd"]),
        worst_usd=float(data["worst_usd"]),
    )


def ledger(db: saol.Database, item_id: ItemId) -> list[LedgerEntry]:
    """Return every attempt of one item in its order."""
    columns = [
        *("item_id", "number", "outcome", "model", "cost_usd", "possible_usd", "reserved_usd", *TOKENS),
        *("request_id", "error_code", "started_at"),
    ]
    rows = saol.agent_query(
        db, "attempts", select=columns, where=[("item_id", "eq", item_id)], order_by=[saol.Order("number")]
    ).rows()
    return [
        LedgerEntry(
            item_id=ItemId(row["item_id"]),
            number=int(row["number"]),
            outcome=AttemptOutcome(row["outcome"]),
            model=str(row["model"]),
            cost_usd=float(row["cost_usd"]),
            possible_usd=float(row["possible_usd"]),
            reserved_usd=float(row["reserved_usd"]),
            usage=_usage(row),
            request_id=row["request_id"],
            error_code=row["error_code"],
            started_at=datetime.fromisoformat(row["started_at"]),
        )
        for row in rows
    ]


def output_history(
    db: saol.Database, model: str, versions: Sequence[TemplateVersionId]
) -> dict[TemplateVersionId | TemplateId, OutputHistory]:
    """Return what earlier answers took, by template version and by template."""
    rows = saol.agent_execute_rpc(
        db, "output_history", {"p_model": model, "p_versions": list(versions)}
    ).value()
    found: dict[TemplateVersionId | TemplateId, OutputHistory] = {}
    for row in rows:
        history = OutputHistory(int(row["answers"]), float(row["p50"]), float(row["p90"]))
        version = row["template_version_id"]
        found[TemplateVersionId(version) if version else TemplateId(row["template_id"])] = history
    return found


def terms(db: saol.Database, job_id: JobId) -> dict[TemplateVersionId, Terms]:
    """Return what the prompts of each template version of a job keep to; empty for a job that has none."""
    rows = saol.agent_query(
        db, "job_estimates", select=["terms"], where=[("job_id", "eq", job_id)], limit=1
    ).rows()
    found = rows[0]["terms"] if rows else {}
    return {
        TemplateVersionId(version): Terms(int(kept["input_bound"]), kept["standing"])
        for version, kept in found.items()
    }


def _found(data: Any, job_id: JobId) -> dict[str, Any]:
    if data is None:
        raise NotFound(f"There is no batch job {job_id}.", remedy="List the jobs to see their ids.")
    assert isinstance(data, dict)
    return data


def _usd(value: Any) -> float | None:
    return None if value is None else float(value)


def _usage(row: Mapping[str, Any]) -> Usage:
    return Usage(**{name: int(row[name]) for name in TOKENS})


def _cost(row: Mapping[str, Any]) -> Cost:
    names = ("items", "completed", "approved", "rejected", "calls", "unknown_calls")
    counts = {name: int(row[name]) for name in names}
    return Cost(**counts, spent_usd=float(row["spent_usd"]), possible_usd=float(row["possible_usd"]))


def _version(row: Mapping[str, Any]) -> VersionCost:
    return VersionCost(
        template_name=str(row["template_name"]),
        version=int(row["version"]),
        model=str(row["model"]),
        writer=str(row["writer"]),
        cost=_cost(row),
    )


def _estimate(row: Mapping[str, Any], items: int) -> Estimate:
    return Estimate(
        items=items,
        input_tokens=int(row["input_tokens"]),
        output_tokens=int(row["output_tokens"]),
        expected_usd=float(row["expected_usd"]),
        high_usd=float(row["high_usd"]),
        worst_usd=float(row["worst_usd"]),
        basis=(str(row["basis"]),),
    )
