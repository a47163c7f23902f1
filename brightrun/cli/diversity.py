"""The commands that say how varied conversations are, and flag those that are nearly the same."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from brightrun.cli.console import Json, emit, opened, out, print_table, reported
from brightrun.domain.diversity import Diversity
from brightrun.domain.errors import InvalidInput

SHOWN_PAIRS = 20


def diversity(
    job: Annotated[str | None, typer.Option(help="Of one job; without it, everything approved.")] = None,
    template: Annotated[str | None, typer.Option(help="Of a template's current version.")] = None,
    as_json: Json = False,
) -> None:
    """Say how varied conversations are, and which are nearly the same."""
    with reported(as_json=as_json), opened() as app:
        if job:
            found = app.diversity.of_job(app.batches.find(job))
        elif template:
            found = app.diversity.of_version(app.templates.find(template).version.id)
        else:
            found = app.diversity.of_approved()
    if as_json:
        emit(_json(found))
        return
    out.print(f"{found.total:,} conversations. {escape(found.story())}")
    if found.tells:
        table = Table("figure", "value", "limit", "", "counts", "meaning")
        for tell in found.tells:
            bound = f"{'at least' if tell.limit.is_least else 'at most'} {tell.limit.value:g}"
            table.add_row(
                tell.figure.value,
                f"{tell.value:.3f}",
                bound,
                "warns" if tell.warns else "",
                "yes" if tell.limit.counts else "no",
                tell.limit.meaning,
            )
        print_table(table)
    for one, other, likeness in found.duplicates[:SHOWN_PAIRS]:
        out.print(f"{likeness:.0%} the same: {one} and {other}")
    if len(found.duplicates) > SHOWN_PAIRS:
        out.print(f"and {len(found.duplicates) - SHOWN_PAIRS:,} more pairs; --json lists all.")


def duplicates(
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="The job's id or its beginning.")] = None,
    taken: Annotated[
        str | None, typer.Option("--import", help="Of an import instead: its id or its name.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Flag conversations of a job that are nearly the same as an earlier or an approved one."""
    with reported(as_json=as_json), opened() as app:
        if (job is None) == (taken is None):
            raise InvalidInput(
                "Near-duplicates are looked for in one job or in one import.",
                remedy="Give the job's id, or --import with an import's name.",
            )
        marked = (
            app.duplicates.mark_import(app.imports.find(taken))
            if taken is not None
            else app.duplicates.mark_job(app.batches.find(str(job)))
        )
    if as_json:
        emit(asdict(marked))
    else:
        out.print(escape(marked.story()))


def _json(found: Diversity) -> dict[str, object]:
    return {
        "total": found.total,
        "measured": found.measured,
        "is_templated": found.is_templated,
        "figures": {
            tell.figure.value: {"value": tell.value, "limit": tell.limit.value, "warns": tell.warns}
            for tell in found.tells
        },
        "near_duplicates": [
            {"one": one, "other": other, "likeness": likeness} for one, other, likeness in found.duplicates
        ],
    }
