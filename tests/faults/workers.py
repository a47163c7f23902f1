"""Workers that are quick to replace: forked from a server that has imported the app once."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from brightrun.bootstrap import open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobStatus, StepOutcome
from brightrun.domain.errors import BrightRunError, DatabaseFault
from brightrun.domain.ids import JobId
from tests.warm import FORKS, forked


class Worker:
    """One process that advances a job until it ends or is killed."""

    def __init__(self, settings: Settings, job: JobId, said: Path) -> None:
        self._opened, opened = FORKS.Pipe(duplex=False)
        self._process = forked("tests.warm.shell", advance, settings, job, said, opened, daemon=True)
        opened.close()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    def wait_until_open(self) -> None:
        """Return when the app in it is open, or it has died."""
        assert self._opened.poll(60), "a worker did not open its app"

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    @property
    def code(self) -> int | None:
        """The exit code: 0 when the job has ended, None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.join()

    def join(self, seconds: float) -> int | None:
        self._process.join(seconds)
        return self.code


def advance(settings: Settings, job: JobId, said: Path, opened: Connection) -> None:
    """Open the app once and loop, as `brightrun process` does; what it says goes into a file."""
    os.chdir("/")
    sys.stdout = sys.stderr = said.open("a", buffering=1)
    logging.basicConfig(stream=sys.stderr, force=True)
    app = open_app(settings)
    opened.send(True)
    while True:
        try:
            step = app.batches.process_next(job)
        except DatabaseFault as fault:
            if not fault.is_transient:
                raise
            print(f"{os.getpid()}: {fault}")
            time.sleep(0.05)
            continue
        if step.outcome in (StepOutcome.DONE, StepOutcome.PAUSED):
            break
        time.sleep(min(step.again_in, 0.2))
    with suppress(BrightRunError):
        app.close()
    if step.job.status is not JobStatus.COMPLETED:
        print(f"{os.getpid()}: {step.job.status} {step.job.pause_reason}")
        raise SystemExit(1)
