"""The figures of the insight page in a shell."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer
from rich.markup import escape

from brightrun.bootstrap import App
from brightrun.cli.console import Json, emit, opened, out, reported
from brightrun.domain.batch import WriterName
from brightrun.domain.errors import InvalidInput
from brightrun.domain.imports import IMPORT_WRITER
from brightrun.domain.insight import Costs, Decisions, Dimension, Rate, Scope

SHOWN = 12


def insight(
    job: Annotated[str | None, typer.Option("--job", metavar="JOB", help="Only this job.")] = None,
    writer: Annotated[
        str | None, typer.Option(help="Only what demo or claude wrote, or an import brought.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="First day, as 2026-01-31 (UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="Last day, as 2026-01-31 (UTC).")] = None,
    as_json: Json = False,
) -> None:
    """Say what decisions tell: approval and reasons, the score, cost, reviewers, coverage."""
    with reported(as_json=as_json), opened() as app:
        scope = Scope(
            app.batches.find(job) if job is not None else None,
            _writer(writer),
            _day(since),
            _day(until),
        )
        if as_json:
            emit(_json(app, scope))
        else:
            _tell(app, scope)


def _writer(name: str | None) -> str | None:
    known = [*WriterName, IMPORT_WRITER]
    if name is not None and name not in known:
        raise InvalidInput(f"There is no writer {name!r}.", remedy=f"Name one of {', '.join(known)}.")
    return name


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError as fault:
        raise InvalidInput(f"{text!r} is no day.", remedy="Write a day as 2026-01-31.") from fault


def _tell(app: App, scope: Scope) -> None:
    decisions = app.insight.decisions(scope)
    _say("Approval", decisions.sentence())
    for dimension in Dimension:
        _list_groups(decisions, dimension)
    _say("Rejections", decisions.reason_sentence(), decisions.lift_sentence())
    for lift in decisions.lifts:
        out.print(f"  {escape(lift.sentence())}")
    _say("Score", app.insight.scores(scope).sentence())
    costs = app.insight.costs(scope)
    _say("Cost", costs.sentence())
    _list_costs(costs)
    desks = app.insight.reviewers(scope)
    _say("Reviewers", desks.sentence(), desks.agreement_sentence())
    for pair in desks.agreements:
        out.print(f"  {escape(pair.sentence())}")
    _say("Coverage", app.insight.coverage(scope).sentence())


def _say(title: str, *sentences: str) -> None:
    out.print(f"[bold]{title}[/bold]")
    for sentence in sentences:
        out.print(escape(sentence))


def _list_groups(decisions: Decisions, dimension: Dimension) -> None:
    groups = decisions.groups[dimension]
    if not groups:
        return
    out.print(f"  by {dimension.value}:")
    for group in groups[:SHOWN]:
        rate = group.rate.sentence() if group.rate else "no decision yet"
        out.print(f"    {escape(group.label)}: {rate}")
    more = len(groups) - SHOWN + decisions.left_out.get(dimension, 0)
    if more > 0:
        out.print(f"    and {more:,} more; --json has 50 of each")


def _list_costs(costs: Costs) -> None:
    for line in costs.paid[:SHOWN]:
        each = f"${line.per_approved:.4f} per approved" if line.per_approved is not None else "none approved"
        out.print(f"  {escape(line.label)}, {escape(line.model)}: ${line.spent:.4f}, {each}")


def _json(app: App, scope: Scope) -> dict[str, object]:
    decisions, scores = app.insight.decisions(scope), app.insight.scores(scope)
    costs, desks = app.insight.costs(scope), app.insight.reviewers(scope)
    coverage = app.insight.coverage(scope)
    return {
        "scope": scope.to_json(),
        "approval": {
            "sentence": decisions.sentence(),
            "rate": _rate(decisions.total.rate),
            "written": decisions.total.written,
            "decided": decisions.total.decided,
            "reasons": decisions.total.reasons,
            "groups": {
                dimension.value: [asdict(g) | {"rate": _rate(g.rate)} for g in groups]
                for dimension, groups in decisions.groups.items()
            },
            "left_out": {dimension.value: many for dimension, many in decisions.left_out.items()},
            "lifts": [asdict(lift) for lift in decisions.lifts],
            "compared": decisions.compared,
        },
        "score": asdict(scores) | {"sentence": scores.sentence()},
        "cost": {
            "sentence": costs.sentence(),
            "lines": [asdict(line) | {"per_approved": line.per_approved} for line in costs.lines],
            "writers": [asdict(line) | {"per_approved": line.per_approved} for line in costs.writers],
        },
        "reviewers": asdict(desks) | {"sentence": desks.sentence(), "agreement": desks.agreement_sentence()},
        "coverage": asdict(coverage) | {"sentence": coverage.sentence()},
    }


def _rate(rate: Rate | None) -> dict[str, object] | None:
    return asdict(rate) | {"share": rate.share} if rate else None
