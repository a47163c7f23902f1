"""What the shell tells of an overnight job's parts, and how it calls them off."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape

from brightrun.bootstrap import App
from brightrun.cli.console import err, out
from brightrun.domain.batch import Job, JobStatus
from brightrun.domain.part import Delivery, Part, PartStatus

LONG_SECONDS = 20.0
"""A hand-over that takes longer may be nobody's any more."""


def show_parts(app: App, job: Job, *, to: Console = out) -> None:
    """Print the parts of an overnight job: those that are out first."""
    if job.options.delivery is not Delivery.OVERNIGHT:
        return
    for part in app.parts.of_job(job.id):
        size = f"{part.size} item{'s' * (part.size != 1)}"
        to.print(f"  part {part.number}: {size}, {_state(part)}{_until(part)}", style="dim")
        if part.fault:
            to.print(f"    {escape(part.fault)}", style="yellow")
    if job.status is JobStatus.CANCELLED and job.parts_out:
        to.print(f"What is at Claude is called off while somebody looks: brightrun process {job.id[:8]}")


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
    if part.status is not PartStatus.PREPARING:
        return (part.end or part.status).value
    told = f"being handed over since {part.created_at.astimezone():%H:%M:%S}"
    if (datetime.now(UTC) - part.created_at).total_seconds() < LONG_SECONDS:
        return told
    return f"{told}; whoever does it may be gone: once its lease is over, Claude is asked"


def _until(part: Part) -> str:
    if part.ends_by is None or part.end:
        return ""
    return f", there by {part.ends_by.astimezone():%d %B %H:%M}"
