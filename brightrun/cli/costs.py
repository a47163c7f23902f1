"""Money in the shell: of a plan, of a job, and by template version and model."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from brightrun.cli.console import dollars, out, print_table
from brightrun.domain.batch import WriterName
from brightrun.domain.cost import Cost, JobCost, VersionCost
from brightrun.domain.estimate import Estimate


def estimate_json(estimate: Estimate) -> dict[str, object]:
    """Return an estimate as `generate --dry-run --json` prints it."""
    return {
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "expected_cost": round(estimate.expected_usd, 6),
        "p90_cost": round(estimate.high_usd, 6),
        "worst_cost": round(estimate.worst_usd, 6),
        "saved_by_caching": round(estimate.saved_usd, 6),
        "method": estimate.method,
    }


def estimate_lines(estimate: Estimate) -> list[str]:
    """Return an estimate as a person reads it."""
    figures = (
        f"Expected cost {dollars(estimate.expected_usd)}, {dollars(estimate.high_usd)} if it turns out long (p90), "
        f"at most {dollars(estimate.worst_usd)}."
    )
    return [figures, *estimate.basis]


def costs_json(costs: JobCost) -> dict[str, object]:
    """Return a job's money as `status JOB --json` prints it under `costs`."""
    usage, estimate = costs.usage, costs.estimate
    return {
        **_cost_json(costs.cost),
        "reserved": round(costs.reserved_usd, 6),
        "budget": costs.budget_usd,
        "saved_by_caching": round(costs.saved_usd, 6),
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "estimate": estimate_json(estimate) if estimate else None,
        "templates": [version_json(row) for row in costs.templates],
    }


def version_json(row: VersionCost) -> dict[str, object]:
    """Return what a template version cost with a model."""
    return {
        "template": row.template_name,
        "version": row.version,
        "model": row.model,
        "writer": row.writer,
        **_cost_json(row.cost),
    }


def show_costs(costs: JobCost) -> None:
    """Print what a paid job cost; nothing for the demo writer."""
    if costs.writer == WriterName.DEMO:
        return
    cost, usage = costs.cost, costs.usage
    budget = f" of a budget of {dollars(costs.budget_usd)}" if costs.budget_usd is not None else ""
    out.print(f"Spent {dollars(cost.spent_usd)}{budget} in {_calls(cost.calls)}", end="")
    out.print(f"; reserved for calls in flight {dollars(costs.reserved_usd)}" if costs.reserved_usd else "")
    if cost.possible_usd:
        out.print(
            f"Possibly spent besides: at most {dollars(cost.possible_usd)}, "
            f"for {_calls(cost.unknown_calls)} that did not say what they cost"
        )
    out.print(
        f"For each conversation {_each(cost.per_conversation)}, for each approved {_each(cost.per_approved)}"
    )
    out.print(
        f"Tokens: {usage.input_tokens:,} in, {usage.output_tokens:,} out, {usage.cache_read_tokens:,} read from "
        f"the cache, {usage.cache_write_tokens:,} written to it: {dollars(costs.saved_usd)} saved"
    )
    if costs.estimate:
        estimate = costs.estimate
        out.print(
            f"Expected were {dollars(estimate.expected_usd)} to {dollars(estimate.high_usd)}, "
            f"at most {dollars(estimate.worst_usd)}"
        )
    if len(costs.templates) > 1:
        show_versions(costs.templates)


def show_versions(rows: Sequence[VersionCost]) -> None:
    """Print what template versions cost, one line each."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("template", "model", "written", "approved", "spent", "possibly", "each", "each approved"):
        table.add_column(column, justify="left" if column in ("template", "model") else "right")
    for row in rows:
        cost = row.cost
        table.add_row(
            escape(f"{row.template_name} v{row.version}"),
            escape(row.model),
            str(cost.completed),
            str(cost.approved),
            dollars(cost.spent_usd),
            dollars(cost.possible_usd),
            _each(cost.per_conversation),
            _each(cost.per_approved),
        )
    print_table(table)


def _cost_json(cost: Cost) -> dict[str, object]:
    return {
        "items": cost.items,
        "completed": cost.completed,
        "approved": cost.approved,
        "rejected": cost.rejected,
        "calls": cost.calls,
        "unknown_calls": cost.unknown_calls,
        "spent": round(cost.spent_usd, 6),
        "possible": round(cost.possible_usd, 6),
        "per_conversation": _rounded(cost.per_conversation),
        "per_approved": _rounded(cost.per_approved),
    }


def _rounded(usd: float | None) -> float | None:
    return None if usd is None else round(usd, 6)


def _each(usd: float | None) -> str:
    return "-" if usd is None else dollars(usd)


def _calls(number: int) -> str:
    return f"{number:,} call{'s' * (number != 1)}"
