"""The app in a process forked from one that has read its modules."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.warm import Forked

ROOT = Path(__file__).parents[2]


def warm_app(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Forked:
    return Forked("tests.warm.pages", _become, list(arguments), environment=environment, out=log, err=log)


def _become(arguments: list[str]) -> None:
    """Turn into `streamlit` with these arguments."""
    os.chdir(ROOT)
    sys.argv = ["streamlit", *arguments]
    streamlit = importlib.import_module("streamlit.web.cli")
    streamlit.main(arguments)
