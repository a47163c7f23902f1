"""Commands for the list of people: who may come in, and what they may do."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from brightrun.cli.console import Json, emit, hand_on, opened, out, print_table, reported
from brightrun.domain.person import Person, role_of

app = typer.Typer(
    help="List who may come in by the login; let in, change roles, take off the list.",
    add_completion=False,
)

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The address the login knows the person by.")]
RoleName = Annotated[str, typer.Option("--role", help="viewer, reviewer, author or admin.")]


@app.callback(invoke_without_command=True)
def people(context: typer.Context, as_json: Json = False) -> None:
    """List who is on the list."""
    if hand_on(context, as_json=as_json):
        return
    with reported(as_json=as_json), opened() as brightrun:
        found = brightrun.people.all()
    if as_json:
        emit({"people": [_json(person) for person in found]})
        return
    table = Table("address", "name", "role", "given by", "since", box=None)
    for person in found:
        since = person.granted_at.strftime("%Y-%m-%d") if person.granted_at else ""
        table.add_row(*map(escape, (person.email, person.name, person.role, person.granted_by, since)))
    print_table(table)
    if not found:
        out.print("Nobody is on the list. The first admin: brightrun people add EMAIL --role admin")


@app.command()
def add(
    email: Email,
    role: RoleName = "viewer",
    name: Annotated[str, typer.Option(help="What the person is called.")] = "",
    as_json: Json = False,
) -> None:
    """Put somebody on the list, or give somebody on it another role."""
    with reported(as_json=as_json), opened() as brightrun:
        person = brightrun.people.add(email, role_of(role), name=name, actor=brightrun.settings.person)
    if as_json:
        emit(_json(person))
        return
    out.print(f"{escape(person.email)} may come in as {person.role}.")


@app.command("role")
def set_role(
    email: Email,
    role: Annotated[str, typer.Argument(help="viewer, reviewer, author or admin.")],
    as_json: Json = False,
) -> None:
    """Give somebody on the list another role; it counts at their next click."""
    with reported(as_json=as_json), opened() as brightrun:
        person = brightrun.people.set_role(email, role_of(role), actor=brightrun.settings.person)
    if as_json:
        emit(_json(person))
        return
    out.print(f"{escape(person.email)} is {person.role} now.")


@app.command()
def remove(email: Email, as_json: Json = False) -> None:
    """Take somebody off the list; what they did keeps their name."""
    with reported(as_json=as_json), opened() as brightrun:
        brightrun.people.remove(email, actor=brightrun.settings.person)
    if as_json:
        emit({"removed": email.strip().lower()})
        return
    out.print(f"{escape(email.strip().lower())} may not come in any more.")


@app.command()
def history(as_json: Json = False) -> None:
    """List who changed whose role, newest first."""
    with reported(as_json=as_json), opened() as brightrun:
        changes = brightrun.people.history()
    if as_json:
        rows = [
            {
                "email": c.email,
                "before": c.before,
                "after": c.after,
                "by": c.changed_by,
                "at": c.changed_at,
            }
            for c in changes
        ]
        emit({"changes": rows})
        return
    table = Table("when (UTC)", "address", "before", "after", "by", box=None)
    for change in changes:
        when = change.changed_at.strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(
            *map(escape, (when, change.email, change.before or "-", change.after or "-", change.changed_by))
        )
    print_table(table)


def _json(person: Person) -> dict[str, object]:
    return {
        "email": person.email,
        "name": person.name,
        "role": person.role,
        "granted_by": person.granted_by,
        "granted_at": person.granted_at,
    }
