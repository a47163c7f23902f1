"""The commands that have conversations judged, and say whether to believe the judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from brightrun.cli.console import (
    Json,
    emit,
    err,
    missing_key,
    opened,
    out,
    print_table,
    reported,
    show_problems,
)
from brightrun.cli.costs import estimate_json, estimate_lines
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.calibration import Agreement, Calibration
from brightrun.domain.errors import InvalidInput
from brightrun.domain.insight import Scope
from brightrun.domain.review import ConversationFilter
from brightrun.services.judging import JudgePlan


def judge(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="A job id, or the beginning of one.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="What is meant; may be given several times."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model that judges.")] = None,
    budget: Annotated[float | None, typer.Option(help="The most the verdicts may cost, in dollars.")] = None,
    again: Annotated[bool, typer.Option(help="Judge again what has a verdict of this model.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Show the price; create nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Create a batch of verdicts on what a job wrote, or on what matches a filter, and print its id."""
    with reported(as_json=as_json), opened() as app:
        if (job is None) == (not given):
            raise InvalidInput("Say what is to be judged.", remedy="Give either JOB or --filter.")
        chosen = ConversationFilter.parse(
            given or (), find_job=app.batches.find, find_import=app.imports.find
        )
        if job:
            chosen = chosen.narrowed(job_id=app.batches.find(job))
        options = JobOptions(
            WriterName.CLAUDE, model or app.settings.model, app.settings.max_tokens, budget=budget
        )
        plan = app.judging.plan(chosen, options, again=again)
        plan.require()
        if dry_run:
            _show_plan(plan, as_json=as_json, problems=missing_key(app, options.writer))
            return
        app.writer(options.writer)  # a missing key is said now, not at the first item
        name = f"Verdicts on {app.batches.get(chosen.job_id).name}" if chosen.job_id else "Verdicts"
        started = app.judging.start(plan, name=name, actor=app.settings.person)
        if as_json:
            emit({"id": started.id})
            return
        _show_plan(plan, as_json=False)
        err.print(f"Next: [bold]brightrun process {started.id[:8]}[/bold]")
        print(started.id)


def calibration(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Only verdicts on this job.")] = None,
    as_json: Json = False,
) -> None:
    """Say how far the judge and the reviewers say the same of the same conversations."""
    with reported(as_json=as_json), opened() as app:
        found = app.judging.calibration(Scope(app.batches.find(job) if job else None))
    if as_json:
        emit(_json(found))
        return
    out.print(escape(found.sentence()))
    if not found.overall.rows:
        return
    table = Table("dimension", "both judged", "the same", "kappa")
    for name, agreement in {"lowest of all": found.overall, **found.dimensions}.items():
        kappa = f"{agreement.kappa:.2f}" if agreement.kappa is not None else "–"
        table.add_row(name, f"{agreement.rows:,}", f"{agreement.share:.0%}", kappa)
    print_table(table)


def _show_plan(plan: JudgePlan, *, as_json: bool, problems: Sequence[str] = ()) -> None:
    if as_json:
        emit(
            {
                "conversations": len(plan.subjects),
                "estimate": estimate_json(plan.estimate),
                "problems": list(problems),
            }
        )
        return
    err.print(f"{len(plan.subjects):,} conversations, judged by {escape(plan.options.model)}.")
    for line in estimate_lines(plan.estimate):
        err.print(escape(line))
    show_problems(problems)


def _json(found: Calibration) -> dict[str, object]:
    return {
        "verdicts": found.verdicts,
        "doubtful": found.doubtful,
        "floor": found.floor,
        "says": found.sentence(),
        "overall": _agreement(found.overall),
        "dimensions": {name: _agreement(each) for name, each in found.dimensions.items()},
    }


def _agreement(agreement: Agreement) -> dict[str, object]:
    said = {f"{judged}/{decided}": times for (judged, decided), times in agreement.said.items()}
    return {**asdict(agreement), "said": said, "share": agreement.share}
