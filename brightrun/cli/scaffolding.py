"""Commands for personas, emotional arcs and topics: list, take along as a table, bring from one, take away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from brightrun.cli.console import (
    Json,
    OutOption,
    emit,
    err,
    opened,
    out,
    print_table,
    read_file,
    reported,
    write_out,
)
from brightrun.domain.scaffolding import Kind, key_of
from brightrun.services.scaffolding import Removal

app = typer.Typer(
    help="Personas, emotional arcs and topics: list, export and import as CSV, take out of use.",
    no_args_is_help=True,
)

KindArgument = Annotated[Kind, typer.Argument(metavar="KIND", help="persona, arc or topic")]
KeyArgument = Annotated[str, typer.Argument(metavar="KEY")]


@app.command("list")
def show(kind: KindArgument, as_json: Json = False) -> None:
    """List everything of a kind with how often it is used."""
    with reported(as_json=as_json), opened() as brightrun:
        every, uses = brightrun.scaffolding.all(kind), brightrun.scaffolding.uses(kind)
        if as_json:
            emit(
                {"kind": kind, "all": [d.model_dump(mode="json") | {"uses": uses[key_of(d)]} for d in every]}
            )
            return
        table = Table("key", "name", "offered", "used")
        for draft in every:
            held = draft.model_dump()
            table.add_row(
                key_of(draft),
                escape(held["name"]),
                "yes" if held["is_active"] else "no",
                str(uses[key_of(draft)]),
            )
        print_table(table)


@app.command("export")
def export(
    kind: KindArgument,
    out: OutOption = None,
    as_json: Json = False,
) -> None:
    """Write everything of a kind as a CSV that `import` takes and a spreadsheet opens."""
    with reported(as_json=as_json), opened() as brightrun:
        data = brightrun.scaffolding.to_csv(kind)
        if out is not None or not as_json:
            write_out(out, data)
        if as_json:
            emit(
                {
                    "kind": kind,
                    **({"file": str(out)} if out is not None else {"text": data.decode("utf-8-sig")}),
                }
            )


@app.command("import")
def bring(
    kind: KindArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV with the columns of `export`.")],
    check: Annotated[bool, typer.Option("--check", help="Only say what would change or is wrong.")] = False,
    as_json: Json = False,
) -> None:
    """Save a CSV's rows by their keys, all or none; what it does not name stays as it is."""
    with reported(as_json=as_json), opened() as brightrun:
        data = read_file(file)
        change = brightrun.scaffolding.from_csv(kind, data, file.name)
        if not check:
            brightrun.scaffolding.save(kind, change.drafts, seen=change.before)
        told = {
            "new": change.new,
            "changed": change.changed,
            "same": change.same,
            "saved": not check,
            "notes": list(change.notes),
        }
        if as_json:
            emit(told)
            return
        would = "would be " if check else ""
        out.print(
            f"{len(change.new)} {would}new, {len(change.changed)} {would}changed, {len(change.same)} as they are."
        )
        for note in change.notes:
            err.print(note, style="yellow", markup=False)


@app.command("off")
def off(kind: KindArgument, key: KeyArgument, as_json: Json = False) -> None:
    """Stop offering one; batches that use it go on."""
    _offer(kind, key, active=False, as_json=as_json)


@app.command("on")
def on(kind: KindArgument, key: KeyArgument, as_json: Json = False) -> None:
    """Offer one again."""
    _offer(kind, key, active=True, as_json=as_json)


@app.command("remove")
def remove(kind: KindArgument, key: KeyArgument, as_json: Json = False) -> None:
    """Delete one that nothing uses; one in use is not offered any more."""
    with reported(as_json=as_json), opened() as brightrun:
        removal, uses = brightrun.scaffolding.remove(kind, key)
        if as_json:
            emit({"outcome": removal, "uses": uses})
            return
        gone = removal is Removal.REMOVED
        err.print(
            f"{key} is deleted." if gone else f"{key} is used {uses} times: it is not offered any more."
        )


def _offer(kind: Kind, key: str, *, active: bool, as_json: bool) -> None:
    with reported(as_json=as_json), opened() as brightrun:
        brightrun.scaffolding.offer(kind, key, active=active)
        if as_json:
            emit({"kind": kind, "key": key, "is_active": active})
