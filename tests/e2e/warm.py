"""The app in a process forked from one that has read its modules."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.warm import forked, settle

ROOT = Path(__file__).parents[2]


class WarmApp:
    """An app that was forked, held the way a started program is."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._process = forked("tests.warm.pages", _become, list(arguments), dict(environment), log)

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


def _become(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    """Turn into `streamlit` with these arguments."""
    settle(environment, log, log)
    os.chdir(ROOT)
    sys.argv = ["streamlit", *arguments]
    streamlit = importlib.import_module("streamlit.web.cli")
    streamlit.main(arguments)
