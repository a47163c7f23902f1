"""What the shell tells of an overnight job's parts, and how it calls them off."""

from __future__ import annotations

from rich.markup import escape

from brightrun.bootstrap import App
from brightrun.cli.console import err, out
from brightrun.domain.batch import Job
from brightrun.domain.part import Delivery, Part, PartStatus


def show_parts(app: App, job: Job) -> None:
    """Print the parts of an overnight job: those that are out first."""
    if job.options.delivery is not Delivery.OVERNIGHT:
        return
    for part in app.parts.of_job(job.id):
        out.print(f"  part {part.number}: {part.size} items, {_state(part)}{_until(part)}", style="dim")
        if part.fault:
            out.print(f"    {escape(part.fault)}", style="yellow")


def call_off(app: App, job: Job, *, quiet: bool) -> Job:
    """Ask for each part of a cancelled job to be cancelled at Claude; what was written comes at a later look."""
    while job.parts_out:
        step = app.batches.process_next(job.id)
        if step.message and not quiet:
            err.print(f"[yellow]{escape(step.message)}[/yellow]")
        job = step.job
        if step.again_in:
            break
    return job


def _state(part: Part) -> str:
    is_preparing = part.status is PartStatus.PREPARING
    return "being handed over" if is_preparing else (part.end or part.status).value


def _until(part: Part) -> str:
    if part.ends_by is None or part.end:
        return ""
    return f", there by {part.ends_by.astimezone():%d %B %H:%M}"
