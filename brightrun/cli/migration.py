"""The command that moves an installation to Supabase."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from brightrun.bootstrap import open_migration
from brightrun.cli.console import Json, emit, err, open_settings, print_table, reported
from brightrun.saol.server.moving import names_password


def migrate(
    to: Annotated[
        str, typer.Option(help="The other database: postgresql://…; its password may be in PGPASSWORD.")
    ],
    files: Annotated[
        str | None,
        typer.Option(help="Where files go: https://REF.supabase.co, or a folder. Else SUPABASE_URL."),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Move nothing, compare both sides.")] = False,
    as_json: Json = False,
) -> None:
    """Move the embedded installation, rows and files, and prove it; started again, it goes on where it stood."""
    if names_password(to):
        err.print(
            "[yellow]The password in --to can be read in this machine's list of processes while this runs. "
            "Set PGPASSWORD and leave it out of the address.[/yellow]"
        )
    with reported(as_json=as_json), open_migration(open_settings(), to=to, files=files) as migration:
        found = migration.prove() if check else migration.run(lambda line: err.print(escape(line)))
    is_equal = all(proof.is_equal for proof in found)
    if as_json:
        emit({"equal": is_equal, "proofs": [{**asdict(p), "equal": p.is_equal} for p in found]})
    else:
        table = Table("what", "here", "there", "hash")
        for proof in found:
            table.add_row(
                proof.name,
                str(proof.number),
                str(proof.arrived),
                "equal" if proof.is_equal else "[red]differs[/]",
            )
        print_table(table)
        if is_equal:
            err.print("[green]Everything is there, equal by count and hash.[/green]")
        else:
            err.print("[red]Not everything is equal.[/red] Close the app here and run the command again.")
    if not is_equal:
        raise typer.Exit(1)
