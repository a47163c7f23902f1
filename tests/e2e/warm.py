"""The app in a process forked from one that has read its modules: reading them is most of what starting it takes."""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ = (
    "streamlit.web.cli",
    "streamlit.web.server.starlette.starlette_server",
    *("altair", "pandas", "pyarrow.parquet", "scipy.stats.contingency"),
    *("sklearn.feature_extraction.text", "sklearn.metrics"),
    *("brightrun.bootstrap", "brightrun.saol.parser", "brightrun.saol.transports.postgres"),
    "brightrun.writers.claude",
)
"""Other people's modules and the rooms below the pages; pages, and what registers itself with a server, are read there."""


class WarmApp:
    """An app that was forked, held the way a started program is."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._process = _forks.Process(target=_become, args=(list(arguments), dict(environment), log))
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        return self._process.exitcode

    def terminate(self) -> None:
        self._process.terminate()

    def wait(self, timeout: float) -> None:
        self._process.join(timeout)
        assert self._process.exitcode is not None, "The app does not stop."


def read_modules() -> None:
    """Read what takes long to read; no page runs, and nothing of an installation is looked at."""
    for name in READ:
        importlib.import_module(name)
    gc.freeze()  # or each app's first collection would copy all of it


def _become(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    """Turn into `streamlit` with these arguments, in this environment and no other."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = ["streamlit", *arguments]
    streamlit = importlib.import_module("streamlit.web.cli")
    streamlit.main(arguments)


_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.e2e.warmed"])
