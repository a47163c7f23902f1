"""The command that brings existing conversations in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn
from rich.table import Table

from brightrun.cli.console import Json, emit, err, opened, out, print_table, reported
from brightrun.domain.errors import InvalidInput
from brightrun.domain.imports import Import, ImportLine, Outcome
from brightrun.domain.review import ConversationFilter
from brightrun.domain.text import counted
from brightrun.services.duplicates import CODE
from brightrun.services.imports import Watch

SHOWN_LINES = 20
LISTED = 50
ALL_LINES = 1_000_000


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .jsonl, .json or .csv, also as .gz.")],
    name: Annotated[
        str | None, typer.Option(help="What to call the import; default: the file's name.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Bring existing conversations into the review; run it again after a break, and it goes on."""
    with reported(as_json=as_json):
        if file.is_dir():
            raise InvalidInput(f"{file} is a folder.", remedy="Name the files in it, one at a time.")
        if not file.is_file():
            raise InvalidInput(f"There is no file {file}.", remedy="Check its path.")
        with opened() as app:
            with _watched(quiet=as_json) as watch:
                found = app.imports.take(file, name=name, actor=app.settings.person, watch=watch)
            limit = ALL_LINES if as_json else SHOWN_LINES
            left = {
                o: app.imports.lines(found.id, o, limit=limit, noted=o is Outcome.IMPORTED)
                for o in (Outcome.REFUSED, Outcome.DUPLICATE, Outcome.IMPORTED)
            }
            near = app.reviews.count(ConversationFilter(import_id=found.id, flag=CODE))
        if as_json:
            listed = {o.value: [{"line": e.line, "reason": found.told(e)} for e in left[o]] for o in left}
            emit(asdict(found) | {"near_duplicates": near, "lines": listed})
        else:
            _print(found, left, near)
    if found.refused and not found.imported:
        raise typer.Exit(1)


def imports(
    withdraw: Annotated[
        str | None, typer.Option(help="Remove this import (name, id or its beginning) and all it brought.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the latest imports, newest first; or take one back whose conversations nobody has used."""
    with reported(as_json=as_json), opened() as app:
        if withdraw is not None:
            gone = app.imports.withdraw(app.imports.find(withdraw), actor=app.settings.person)
            if as_json:
                emit({"removed": gone})
            else:
                out.print(f"{counted(gone, 'conversation')} removed.")
            return
        found = app.imports.page(limit=LISTED)
    if as_json:
        emit({"imports": [asdict(one) for one in found]})
        return
    if not found:
        out.print("Nothing has been imported. Bring a file in: brightrun import FILE")
        return
    table = Table("id", "name", "entries", "imported", "refused", "here already", "when (UTC)", box=None)
    for one in found:
        counts = (one.entries, one.imported, one.refused, one.duplicates)
        when = one.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        table.add_row(one.id[:8], escape(one.name), *(f"{count:,}" for count in counts), when)
    print_table(table)


def _print(found: Import, left: Mapping[Outcome, Sequence[ImportLine]], near: int) -> None:
    out.print(
        f"{found.imported:,} of {found.entries:,} entries imported, {found.refused:,} refused, "
        f"{found.duplicates:,} here already, {found.blank:,} blank."
    )
    for entry in [*left[Outcome.REFUSED], *left[Outcome.DUPLICATE], *left[Outcome.IMPORTED]]:
        out.print(f"  {found.unit} {entry.line:,}: {escape(found.told(entry))}")
    hidden = found.refused + found.duplicates - len(left[Outcome.REFUSED]) - len(left[Outcome.DUPLICATE])
    if hidden:
        out.print(f"  and {hidden:,} more; --json lists all.")
    if near:
        out.print(
            f"{near:,} of them {'is' if near == 1 else 'are'} nearly the same as another one, and flagged: "
            f"brightrun review --filter import={found.id} --filter flag={CODE}"
        )
    if found.imported:
        out.print(f"They wait for review: brightrun review --filter import={found.id}")


@contextmanager
def _watched(*, quiet: bool) -> Iterator[Watch]:
    """Show how far it is, on standard error."""
    if quiet:
        yield lambda found: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=err, transient=True) as bar:
        task = bar.add_task("reading")
        yield lambda found: bar.update(task, description=f"{found.entries:,} entries read")
