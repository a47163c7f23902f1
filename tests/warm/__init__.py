"""Processes forked from one that has read its modules: reading them is most of what starting a program takes."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

OURS = (
    *("brightrun.bootstrap", "brightrun.saol.parser", "brightrun.saol.transports.postgres"),
    "brightrun.writers.claude",
)
"""The rooms that whatever is forked needs."""

FORKS = multiprocessing.get_context("forkserver")


def forked(read: str, target: Callable[..., object], *values: object, daemon: bool = False) -> BaseProcess:
    """Start a process in which the module `read` has been read; the first one asked for counts for all of a run."""
    FORKS.set_forkserver_preload([read])
    process = FORKS.Process(target=target, args=values, daemon=daemon)
    process.start()
    return process


def read_modules(*others: str) -> None:
    """Read what takes long to read, once for all that will be forked."""
    for name in (*others, *OURS):
        importlib.import_module(name)
    gc.freeze()  # or each one's first collection would copy all of it


def settle(environment: Mapping[str, str], out: Path, err: Path) -> None:
    """Live in this environment and no other, and say everything into these files."""
    os.environ.clear()
    os.environ.update(environment)
    for number, place in ((1, out), (2, err)):
        with place.open("ab") as file:
            os.dup2(file.fileno(), number)
