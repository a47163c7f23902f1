"""Read by the process that shells and workers are forked from, once: what looks at the terminal they read themselves."""

from __future__ import annotations

from tests.warm import read_modules

read_modules(
    *("typer.main", "rich.console", "rich.progress", "rich.table", "rich.live", "httpcore2", "pandas"),
)
