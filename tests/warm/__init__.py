"""Processes forked from one that has read its modules: reading them is most of what starting a program takes."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

OURS = (
    *("brightrun.bootstrap", "brightrun.saol.parser", "brightrun.saol.transports.postgres"),
    "brightrun.writers.claude",
)
"""The rooms that whatever is forked needs."""

FORKS = multiprocessing.get_context("forkserver")
MAIN = sys.modules["__main__"]
"""The program that runs the tests. AppTest leaves a page's script in its place, which no fork could read again."""


def forked(read: str, target: Callable[..., object], *values: object, daemon: bool = False) -> BaseProcess:
    """Start a process in which the module `read` has been read; the first one asked for counts for all of a run."""
    FORKS.set_forkserver_preload([read])
    sys.modules["__main__"] = MAIN
    process = FORKS.Process(target=target, args=values, daemon=daemon)
    process.start()
    return process


class Forked:
    """A forked process that lives in its own environment, held the way a started program is.

    `become` is called with the values, and what it says goes into the files `out` and `err`.
    """

    def __init__(
        self,
        read: str,
        become: Callable[..., object],
        *values: object,
        environment: Mapping[str, str],
        out: Path,
        err: Path,
    ) -> None:
        self._out, self._err = out, err
        self._process = forked(read, _live, become, values, dict(environment), out, err)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, that of a signal below zero; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code; raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout or 0)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end, and return what it said."""
        self.wait(timeout)
        return self._out.read_text(), self._err.read_text()


def read_modules(*others: str) -> None:
    """Read what takes long to read, once for all that will be forked."""
    for name in (*others, *OURS):
        importlib.import_module(name)
    gc.freeze()  # or each one's first collection would copy all of it


def _live(
    become: Callable[..., object],
    values: tuple[object, ...],
    environment: dict[str, str],
    out: Path,
    err: Path,
) -> None:
    """Live in this environment and no other, and say everything into these files."""
    os.environ.clear()
    os.environ.update(environment)
    for number, place in ((1, out), (2, err)):
        with place.open("ab") as file:
            os.dup2(file.fileno(), number)
    become(*values)
