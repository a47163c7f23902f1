"""What a person sees and can do while a command writes: a bar for each job, and Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from types import FrameType

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from brightrun.bootstrap import App
from brightrun.cli.console import dollars, duration, err
from brightrun.domain.batch import Job, JobStatus
from brightrun.domain.text import shortened, terminal_safe


def progress_bar(*, quiet: bool) -> Progress:
    """Return a display of jobs under way; nothing is drawn where nobody looks."""
    return Progress(
        TextColumn("{task.fields[title]}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        console=err,
        disable=quiet or not err.is_terminal,
    )


def add_job(bar: Progress, job: Job) -> TaskID:
    """Give a job its line in the display."""
    return bar.add_task("", total=job.now.total, title=terminal_safe(shortened(job.name, 30)), figures="")


def figures(job: Job) -> str:
    """Return what stands behind a job's bar."""
    failed = f"{job.counts.failed} failed · " if job.counts.failed else ""
    return f"{failed}{duration(job.seconds_left)} left · {dollars(job.money.spent)}"


def show_end(job: Job) -> None:
    """Say in a line how far a job came, and why it paused."""
    rest = f" and {job.waiting} to be started" if job.waiting else ""
    if out := job.now.processing:
        rest = f", {out} {'at Claude' if job.parts_out else 'in hand'}{rest}"
    err.print(
        f"{job.status.value}: {job.counts.completed} completed, {job.counts.failed} failed, "
        f"{job.counts.cancelled} cancelled, {job.now.queued} queued{rest}; {dollars(job.money.spent)} spent"
        + (f", {dollars(job.money.possible)} possibly" if job.money.possible else "")
    )
    if job.pause_reason:
        err.print(f"[yellow]{escape(job.pause_reason)}[/yellow]")


def show_next(app: App, job: Job) -> bool:
    """Say what comes after a preview; False where a job has not come to its end."""
    if app.previews.is_over(job) and job.counts.completed:
        err.print(f"Read it: [bold]brightrun preview {job.id[:8]}[/bold]")
        return True
    return job.status is JobStatus.COMPLETED


class Stopping:
    """Makes the first Ctrl-C, or termination signal, a wish to stop and leaves the second one to what was before."""

    def __init__(
        self,
        after: str,
        stop: Callable[[], None] = lambda: None,
        signals: Sequence[signal.Signals] = (signal.SIGINT,),
    ) -> None:
        """`after` names what is finished first; `stop` is called with the wish, which any of `signals` is."""
        self.asked: int | None = None
        """The signal that was the wish."""
        self._after = after
        self._stop = stop
        self._signals = signals

    def __enter__(self) -> None:
        self._before = {number: signal.signal(number, self._ask) for number in self._signals}

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        self._stop()
        self._restore()
        err.print(f"Stopping after {self._after}; press Ctrl-C again to stop at once.")
