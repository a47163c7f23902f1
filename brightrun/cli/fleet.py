"""The commands of the fleet: `brightrun worker` and who is alive."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from brightrun.bootstrap import open_crew
from brightrun.cli.console import Json, emit, err, open_settings, opened, out, print_table, reported
from brightrun.domain.fleet import Worker
from brightrun.services.slots import MOST_SLOTS


def worker(
    slots: Annotated[int, typer.Option(min=1, max=MOST_SLOTS, help="Items in hand at the same time.")] = 8,
    as_json: Json = False,
) -> None:
    """Write open batches until a signal ends it: one of any number of processes, on any number of machines.

    What it has in hand is finished and kept; the rest belongs to the others.
    """
    with reported(as_json=as_json), open_crew(open_settings(), slots, _tell) as (_, crew):
        if as_json:  # at once: what it writes stands in `workers`, and a signal ends it
            emit({"process": os.getpid(), "slots": slots})
            sys.stdout.flush()
        err.print(
            f"Worker {os.getpid()} with {slots} slots. It ends by Ctrl-C or SIGTERM, and loses nothing."
        )
        crew.run()


def workers(as_json: Json = False) -> None:
    """List who is alive in the fleet, and what each is at."""
    with reported(as_json=as_json), opened() as app:
        found = app.fleet.alive()
    if as_json:
        emit({"workers": [_json(one) for one in found]})
        return
    if not found:
        out.print("No worker is alive. Start one, on any machine: brightrun worker")
        return
    table = Table("worker", "slots", "at", "written", "since", "heard of", box=None)
    for one in found:
        jobs = ", ".join(job[:8] for job in one.jobs) or "waits"
        since = one.started_at.astimezone().strftime("%d %b %H:%M")
        cells = (one.name, str(one.slots), jobs, f"{one.written:,}", since, f"{one.seen_seconds:.0f} s ago")
        table.add_row(*map(escape, cells))
    print_table(table)


def _tell(sentence: str) -> None:
    err.print(sentence, style="yellow", markup=False)


def _json(one: Worker) -> dict[str, object]:
    return {
        "name": one.name,
        "slots": one.slots,
        "jobs": list(one.jobs),
        "written": one.written,
        "started_at": one.started_at,
        "seen_seconds": round(one.seen_seconds, 1),
    }
