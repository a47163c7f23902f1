"""Commands for batch jobs: create, advance, look at, stop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from brightrun.bootstrap import App
from brightrun.cli.console import (
    JobArgument,
    Json,
    dollars,
    duration,
    emit,
    err,
    job_json,
    missing_key,
    opened,
    out,
    pairs_of,
    read_file,
    reported,
    show_problems,
)
from brightrun.cli.costs import (
    costs_json,
    estimate_json,
    estimate_lines,
    show_costs,
    show_versions,
    version_json,
)
from brightrun.cli.parts import call_off, show_parts
from brightrun.cli.watching import Stopping, add_job, figures, progress_bar, show_end, show_next
from brightrun.config import Settings
from brightrun.domain.batch import (
    MAX_SEED,
    ItemStatus,
    Job,
    JobOptions,
    JobStatus,
    Step,
    StepOutcome,
    WriterName,
)
from brightrun.domain.errors import DatabaseFault, InvalidInput, StorageFault
from brightrun.domain.part import Delivery
from brightrun.domain.text import terminal_safe
from brightrun.services.batches import MAX_PREVIEW
from brightrun.services.plans import AUTO, Plan
from brightrun.services.reparsing import Found, summary
from brightrun.services.scenarios import read_sheet

LIST_LENGTH = 20
OUTAGE_TRIES = 6


def generate(
    scenarios: Annotated[Path, typer.Option(help="A CSV file, one scenario a row.")],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=VARIABLE", help="Feed a column to a variable."),
    ] = None,
    template: Annotated[str, typer.Option(help="A template's key, or `auto` to let it be chosen.")] = AUTO,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only the first rows.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the job.")] = None,
    writer: Annotated[WriterName | None, typer.Option(help="Who writes.")] = None,
    model: Annotated[str | None, typer.Option(help="The model, where Claude writes.")] = None,
    turns: Annotated[int | None, typer.Option(min=2, max=200, help="Messages a conversation.")] = None,
    budget: Annotated[float | None, typer.Option(help="The most the job may cost, in dollars.")] = None,
    seed: Annotated[
        int, typer.Option(min=-MAX_SEED, max=MAX_SEED, help="Varies what is left to chance.")
    ] = 0,
    stop_on_error: Annotated[bool, typer.Option(help="Pause at the first failed item.")] = False,
    retry_cut: Annotated[
        bool, typer.Option(help="Buy an answer that was cut at the token limit once more.")
    ] = False,
    preview: Annotated[
        int | None,
        typer.Option(min=1, max=MAX_PREVIEW, help="Write the first so many, and wait to be told to go on."),
    ] = None,
    overnight: Annotated[
        bool, typer.Option(help="Hand it to Message Batches: within a day, at a share of the price.")
    ] = False,
    leave_out: Annotated[
        bool, typer.Option("--leave-out", help="Go on without the scenarios that cannot be written.")
    ] = False,
    dry_run: Annotated[bool, typer.Option(help="Show the plan and its price; create nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Create a batch job from a file of scenarios and print its id."""
    with reported(as_json=as_json), opened() as app:
        options = _options(
            app.settings, writer, model, turns, budget, seed, stop_on_error, retry_cut, overnight
        )
        sheet = read_sheet(read_file(scenarios, remedy="Give the path of a CSV file."), scenarios.name)
        planned = app.scenarios.from_sheet(
            sheet, pairs_of("--map", mapping or [], "mood=starting_mood"), limit=limit
        )
        plan = app.planner.plan(planned.scenarios, options, template=template, leave_out=leave_out)
        notes = [
            *planned.notes,
            *plan.notes,
            *plan.cautions(),
            *(f"Left out: {reason}" for reason in plan.left_out),
        ]
        if preview is not None and preview >= len(plan.items):
            notes.append("The preview is the whole batch: nothing of it waits to be started.")
        if not dry_run:
            app.writer(options.writer)  # a missing key is said now, not at the first item
        title = name or f"{scenarios.stem} ({len(plan.items)})"
        app.batches.require(plan, name=title, preview=preview)
        if dry_run:
            show_plan(
                plan, planned.duplicates, notes, as_json=as_json, problems=missing_key(app, options.writer)
            )
            return
        job = app.batches.create(plan, name=title, actor=app.settings.person, preview=preview)
        if as_json:
            emit({"id": job.id, "duplicates": planned.duplicates, "notes": notes})
            return
        show_plan(plan, planned.duplicates, notes, as_json=False)
        err.print(f"Next: [bold]brightrun process {job.id[:8]}[/bold]")
        print(job.id)


def process(job: JobArgument, as_json: Json = False) -> None:
    """Advance a job to its end; Ctrl-C stops after the item in flight and leaves it resumable."""
    with reported(as_json=as_json), opened() as app:
        found = app.batches.get(app.batches.find(job))
        if found.parts_out and not as_json:
            show_parts(app, found, to=err)  # there may be nothing else to tell for long
        stopping = Stopping("the item in flight")
        with stopping:
            ended = _drive(app, found, stopping, quiet=as_json)
        if as_json:
            emit(job_json(ended))
        else:
            show_end(ended)
        if stopping.asked and ended.is_open:
            raise typer.Exit(130)
        if not show_next(app, ended):
            raise typer.Exit(1)


def status(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="A job id, or the beginning of one.")
    ] = None,
    costs: Annotated[
        bool, typer.Option("--costs", help="What each template version cost with each model, over all jobs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show counts, cost and time of one job, or the latest jobs."""
    with reported(as_json=as_json), opened() as app:
        if job is not None:
            found = app.batches.get(app.batches.find(job))
            money = app.costs.of_job(found.id)
            if as_json:
                more = {"refusals": app.batches.refusals(found.id), "costs": costs_json(money)}
                emit(_jobs_json(app, [found])[0] | more)
            else:
                _show_job(app, found)
                show_costs(money)
            return
        if costs:
            rows = [row for row in app.costs.by_version() if row.writer != WriterName.DEMO]
            if as_json:
                emit({"costs": [version_json(row) for row in rows]})
            elif rows:
                show_versions(rows)
            else:
                out.print("Nothing has cost money yet.")
            return
        jobs = app.batches.page(limit=LIST_LENGTH)
        if as_json:
            emit({"total": app.batches.count(), "jobs": _jobs_json(app, jobs)})
        elif jobs:
            out.print(_table(jobs))
            _show_unattended(app, jobs)
        else:
            out.print("No batch job yet. Create one: brightrun generate --scenarios FILE.csv")


def log(job: JobArgument, as_json: Json = False) -> None:
    """Print the log of a job."""
    with reported(as_json=as_json), opened() as app:
        job_id = app.batches.find(job)
        text = app.batches.log_text(job_id)
        if as_json:
            emit({"job": job_id, "lines": text.splitlines()})
        else:
            print(terminal_safe(text), end="")
        try:
            app.batches.publish_log(job_id)
        except StorageFault as fault:
            err.print(f"[yellow]The log's file was not written anew. {escape(str(fault))}[/yellow]")


def cancel(job: JobArgument, as_json: Json = False) -> None:
    """End a job for good; the item in flight is kept, and what is at Claude overnight is called off there."""
    _change(job, "cancel", as_json=as_json, then=lambda app, ended: call_off(app, ended, quiet=as_json))


def pause(job: JobArgument, as_json: Json = False) -> None:
    """Stop a job until it is resumed."""
    _change(job, "pause", as_json=as_json)


def resume(
    job: JobArgument,
    budget: Annotated[
        float | None, typer.Option(help="What the job may cost in all from now on, in dollars.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let a paused job go on, with another budget if one is given; then process it."""
    if budget is None:
        _change(job, "resume", as_json=as_json)
        return
    with reported(as_json=as_json), opened() as app:
        resumed = app.budgets.set(app.batches.find(job), budget, actor=app.settings.person)
        if as_json:
            emit(job_json(resumed))
        else:
            _show_job(app, resumed)


def retry(job: JobArgument, as_json: Json = False) -> None:
    """Queue the failed items of a job again; then process it."""
    _change(job, "retry_failed", as_json=as_json)


def reparse(job: JobArgument, as_json: Json = False) -> None:
    """Read the stored answers of a job again, for nothing: after a parser or a rule has improved."""
    with reported(as_json=as_json), opened() as app:
        job_id = app.batches.find(job)
        ended = app.batches.get(job_id).counts
        counts: Counter[Found] = Counter()
        rereading = app.reparsing.reparse_job(job_id, actor=app.settings.person)
        total = ended.completed + ended.failed
        for done in track(
            rereading, "Reading again", total, console=err, disable=as_json or not err.is_terminal
        ):
            counts[done.found] += 1
            if done.found is Found.DECIDED and done.message and not as_json:
                err.print(f"[yellow]{escape(done.message)}[/yellow]")
        if as_json:
            emit({"id": job_id, **{found.value: counts[found] for found in Found}})
        else:
            err.print(f"Answers read again: {summary(counts)}. Nothing was called, nothing was paid.")


def show_plan(
    plan: Plan, duplicates: int, notes: list[str], *, as_json: bool, problems: Sequence[str] = ()
) -> None:
    """Print a plan and its price; `problems` are what a real run would be refused for."""
    estimate = plan.estimate
    if as_json:
        emit(
            {
                "items": estimate.items,
                "duplicates": duplicates,
                "templates": dict(plan.templates()),
                **estimate_json(estimate),
                "notes": notes,
                "problems": list(problems),
            }
        )
        return
    err.print(
        f"{estimate.items} conversation{'s' * (estimate.items != 1)} by {plan.options.writer.value} ({plan.options.model})"
    )
    for template, count in plan.templates().most_common():
        err.print(f"  {count:>6} × {escape(template)}")
    if duplicates:
        err.print(f"{duplicates} duplicate scenarios were left out")
    for line in estimate_lines(estimate):
        err.print(escape(line))
    for note in notes:
        err.print(escape(note))
    show_problems(problems)


def _drive(app: App, job: Job, stopping: Stopping, *, quiet: bool) -> Job:
    with progress_bar(quiet=quiet) as bar:
        task = add_job(bar, job)
        while not stopping.asked:
            step = _step(app, job)
            job = step.job
            bar.update(task, completed=job.counts.ended, figures=figures(job))
            if step.message and not quiet:
                bar.console.print(f"[yellow]{escape(step.message)}[/yellow]")
            if step.outcome in (StepOutcome.DONE, StepOutcome.PAUSED):
                break
            if not job.is_out and not job.counts.processing:
                break
            if step.again_in:
                time.sleep(min(step.again_in, 1.0))
    return job


def _step(app: App, job: Job) -> Step:
    """Make one step; a database that went away for a moment is waited for."""
    for attempt in range(OUTAGE_TRIES):
        try:
            return app.batches.process_next(job.id)
        except DatabaseFault as fault:
            if not fault.is_transient:
                raise
            err.print(f"[yellow]{escape(str(fault))} Trying again.[/yellow]")
        time.sleep(min(0.5 * 2**attempt, 5.0))
    return app.batches.process_next(job.id)


def _change(
    text: str,
    action: str,
    *,
    as_json: bool,
    then: Callable[[App, Job], Job] = lambda app, job: job,
) -> None:
    with reported(as_json=as_json), opened() as app:
        job = then(app, getattr(app.batches, action)(app.batches.find(text), actor=app.settings.person))
        if as_json:
            emit(job_json(job))
        else:
            _show_job(app, job)


def _options(
    settings: Settings,
    writer: WriterName | None,
    model: str | None,
    turns: int | None,
    budget: float | None,
    seed: int,
    stop_on_error: bool,
    retry_cut: bool,
    overnight: bool,
) -> JobOptions:
    chosen = writer or settings.default_writer
    if chosen is WriterName.DEMO and model not in (None, "demo"):
        raise InvalidInput(
            f"The demo writer does not use the model {model!r}.",
            remedy="Add --writer claude, or leave --model out.",
        )
    return JobOptions(
        writer=chosen,
        model="demo" if chosen is WriterName.DEMO else (model or settings.model),
        max_tokens=settings.max_tokens,
        turns=turns,
        seed=seed,
        stop_on_error=stop_on_error,
        retry_cut=retry_cut,
        budget=budget,
        delivery=Delivery.OVERNIGHT if overnight else Delivery.DIRECT,
    )


def _show_job(app: App, job: Job) -> None:
    out.print(_table([job]))
    _show_unattended(app, [job])
    show_parts(app, job)
    if job.pause_reason:
        out.print(f"[yellow]{escape(job.pause_reason)}[/yellow]")
    if job.status is JobStatus.PAUSED and job.money.budget is not None:
        outlook = app.budgets.outlook(job.id)
        out.print(escape(outlook.story()))
        if outlook.is_stuck:
            out.print(f"Raise it: {outlook.command(job.id)}")
    if not job.counts.failed:
        return
    if refused := app.batches.refusals(job.id):
        listed = ", ".join(
            f"{number} {category or 'without a category'}" for category, number in refused.items()
        )
        out.print(f"Declined by the model: {escape(listed)}", style="yellow")
    for item in app.batches.items(job.id, status=ItemStatus.FAILED, limit=10):
        out.print(f"  item {item.position}: {escape(item.error_message or '')}", style="red")


def _jobs_json(app: App, jobs: Sequence[Job]) -> list[dict[str, object]]:
    unattended = app.fleet.unattended(jobs)
    return [job_json(job) | {"unattended": job.id in unattended} for job in jobs]


def _show_unattended(app: App, jobs: Sequence[Job]) -> None:
    """Name the jobs that nobody writes, each with the command that goes on."""
    unattended = app.fleet.unattended(jobs)
    for job in jobs:
        if job.id in unattended:
            out.print(
                f"Nobody is writing {job.id[:8]}: open it, or: brightrun work {job.id[:8]}", style="yellow"
            )


def _table(jobs: list[Job]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("id", "name", "status", "done", "failed", "left", "cost"):
        table.add_column(column, justify="right" if column in ("done", "failed", "left", "cost") else "left")
    for job in jobs:
        table.add_row(
            job.id[:8],
            escape(job.name),
            job.status.value,
            f"{job.now.completed}/{job.now.total}" + (f", {job.waiting} wait" if job.waiting else ""),
            str(job.counts.failed),
            duration(job.seconds_left) if job.is_open else "",
            dollars(job.money.spent),
        )
    return table
