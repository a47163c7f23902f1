"""Read by the process that shells and workers are forked from, once: what looks at the terminal they read themselves."""

from __future__ import annotations

import gc
import importlib

for name in (
    *("typer.main", "rich.console", "rich.progress", "rich.table", "rich.live", "httpcore2", "pandas"),
    *("brightrun.bootstrap", "brightrun.saol.parser", "brightrun.saol.transports.postgres"),
    "brightrun.writers.claude",
):
    importlib.import_module(name)
gc.freeze()  # or each one's first collection would copy all of it
