"""What a person sees and can do while a command writes: a bar for each job, and Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from types import FrameType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from brightrun.cli.console import dollars, duration, err
from brightrun.domain.batch import Job


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
    return bar.add_task("", total=job.counts.total, title=job.name[:30], figures="")


def figures(job: Job) -> str:
    """Return what stands behind a job's bar."""
    failed = f"{job.counts.failed} failed · " if job.counts.failed else ""
    return f"{failed}{duration(job.seconds_left)} left · {dollars(job.money.spent)}"


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
