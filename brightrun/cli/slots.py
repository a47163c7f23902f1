"""The command that writes many items at the same time: `brightrun work`."""

from __future__ import annotations

import signal
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import TaskID

from brightrun.bootstrap import App
from brightrun.cli.console import JobArgument, Json, emit, err, job_json, opened, reported
from brightrun.cli.processes import crew_of
from brightrun.cli.watching import Stopping, add_job, figures, progress_bar, show_end, show_next
from brightrun.domain.batch import Job, Step
from brightrun.domain.ids import JobId
from brightrun.services.slots import MOST_SLOTS


def work(
    job: Annotated[
        str | None,
        typer.Argument(metavar="[JOB]", help="A job id, or its beginning; without one, all open jobs."),
    ] = None,
    slots: Annotated[
        int, typer.Option(min=1, max=MOST_SLOTS, help="Calls that are out at the same time.")
    ] = 8,
    wait: Annotated[bool, typer.Option("--wait", help="Go on when all is done, for jobs that come.")] = False,
    as_json: Json = False,
) -> None:
    """Advance one job or all open ones, several calls at a time, as fast as the writer's limits allow.

    Urgent jobs come first, equals share. Ctrl-C or SIGTERM stops after the items in hand and leaves all resumable.
    """
    with reported(as_json=as_json), opened() as app:
        only = None if job is None else app.batches.find(job)
        watched = _Watched(app, quiet=as_json)
        if only is not None:
            watched.add(app.batches.get(only))
        with crew_of(app, slots, watched.stepped, _complain) as crew:
            stopping = Stopping("the items in hand", crew.stop, (signal.SIGINT, signal.SIGTERM))
            with stopping, watched.bar:
                crew.run(only, wait_for_more=wait)
        ended = [app.batches.get(job_id) for job_id in watched.jobs]
        if as_json:
            emit({"jobs": [job_json(each) for each in ended]})
        elif not ended:
            err.print("No batch job is open. Create one: brightrun generate --scenarios FILE.csv")
        else:
            for each in ended:
                err.print(escape(f"{each.id[:8]} {each.name}"), end=" ")
                show_end(each)
        if stopping.asked and any(each.is_open for each in ended):
            raise typer.Exit(128 + stopping.asked)
        done = [show_next(app, each) for each in ended]
        if not all(done):
            raise typer.Exit(1)


def priority(
    job: JobArgument,
    number: Annotated[int, typer.Argument(help="From -9 to 9; a higher number comes first, equals share.")],
    as_json: Json = False,
) -> None:
    """Let a job come before others, or behind them (give negative numbers after --)."""
    with reported(as_json=as_json), opened() as app:
        found = app.batches.prioritise(app.batches.find(job), number, actor=app.settings.person)
        if as_json:
            emit({**job_json(found), "priority": found.priority})
        else:
            err.print(f"{escape(found.name)}: priority {found.priority}.")


def _complain(message: str) -> None:
    err.print(f"[yellow]{escape(message)}[/yellow]")


class _Watched:
    """The jobs that were worked on, a bar each."""

    def __init__(self, app: App, *, quiet: bool) -> None:
        self.jobs: dict[JobId, TaskID] = {}
        self._quiet = quiet
        self.bar = progress_bar(quiet=quiet)

    def add(self, job: Job) -> TaskID:
        self.jobs[job.id] = add_job(self.bar, job)
        return self.jobs[job.id]

    def stepped(self, step: Step) -> None:
        """Move the bar of a step's job; steps that end at the same time may come in either order."""
        task = self.jobs.get(step.job.id)
        if task is None:
            task = self.add(step.job)
        ended = max(step.job.counts.ended, int(self.bar.tasks[task].completed))
        self.bar.update(task, completed=ended, figures=figures(step.job))
        if step.message and not self._quiet:
            self.bar.console.print(f"[yellow]{escape(step.message)}[/yellow]")
