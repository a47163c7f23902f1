"""Commands for templates: list, write one to a file, publish one from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from brightrun.bootstrap import App
from brightrun.cli.console import (
    Json,
    OutOption,
    emit,
    err,
    hand_on,
    opened,
    print_table,
    read_file,
    reported,
    write_out,
)
from brightrun.domain.errors import InvalidInput, NotFound
from brightrun.domain.template import Template
from brightrun.services.drafts import TemplateDraft, draft_of, from_file, to_file

app = typer.Typer(
    help="List templates; write them to files and publish them from there.", no_args_is_help=False
)


@app.callback(invoke_without_command=True)
def templates(context: typer.Context, as_json: Json = False) -> None:
    """List templates; write them to files and publish them from there."""
    if not hand_on(context, as_json=as_json):
        show(as_json=as_json)


@app.command("list")
def show(as_json: Json = False) -> None:
    """List every template with its current version."""
    with reported(as_json=as_json), opened() as brightrun:
        found = brightrun.templates.all(active_only=False)
        if as_json:
            emit(
                {
                    "templates": [
                        {
                            "key": t.template_key,
                            "name": t.name,
                            "tier": t.tier.value,
                            "arc": t.arc_key,
                            "version": t.version.version,
                            "version_id": t.version.id,
                            "is_active": t.is_active,
                            "needs": list(t.version.required),
                        }
                        for t in found
                    ]
                }
            )
            return
        table = Table(*("key", "name", "tier", "arc", "version", "needs"))
        for t in found:
            name = t.name if t.is_active else f"{t.name} (not offered)"
            needs = ", ".join(t.version.required)
            row = (t.template_key, name, t.tier.value, t.arc_key or "any", str(t.version.version), needs)
            table.add_row(*map(escape, row))
        print_table(table)


@app.command("export")
def export(
    template: Annotated[str, typer.Argument(help="A template's key, name or id.")],
    version: Annotated[int | None, typer.Option(min=1, help="An earlier version.")] = None,
    out: OutOption = None,
    as_json: Json = False,
) -> None:
    """Write a template to a file that `import` takes, here or elsewhere."""
    with reported(as_json=as_json), opened() as brightrun:
        found = brightrun.templates.find(template)
        versions = {v.version: v for v in brightrun.templates.versions(found.id)}
        chosen = versions.get(version or found.version.version)
        if chosen is None:
            raise NotFound(
                f"{found.template_key} has no version {version}.",
                remedy=f"There are: {', '.join(map(str, sorted(versions)))}.",
            )
        data = to_file(draft_of(found, chosen))
        if out is not None or not as_json:
            write_out(out, data)
        if as_json:
            held = {"file": str(out)} if out is not None else {"text": data.decode()}
            emit({"template_key": found.template_key, "version": chosen.version, **held})
        elif out is not None:
            err.print(f"{found.template_key} v{chosen.version} is in {escape(str(out))}.")


@app.command("import")
def publish(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `export` has written.")],
    check: Annotated[bool, typer.Option("--check", help="Only say what is wrong; publish nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a file's template as the next version of its key, or as a new one."""
    with reported(as_json=as_json):
        data = read_file(file)
        draft = from_file(data, file.name)
        with opened() as brightrun:
            same = brightrun.templates.unchanged(draft)
            if check:
                _check(brightrun, draft, file.name, same, as_json=as_json)
                return
            made = same or brightrun.templates.publish(draft, actor=brightrun.settings.person)
        if as_json:
            told = {"key": made.template_key, "version": made.version.version, "version_id": made.version.id}
            emit(told | {"published": same is None})
            return
        err.print(_unchanged(same) if same else f"{made.template_key} v{made.version.version} is published.")


def _check(brightrun: App, draft: TemplateDraft, name: str, same: Template | None, *, as_json: bool) -> None:
    problems = [] if same else brightrun.templates.problems(draft)
    if problems:
        raise InvalidInput(" ".join(problems), remedy="Correct the file; nothing was published.")
    if as_json:
        emit({"problems": [], "unchanged": same is not None})
        return
    err.print(_unchanged(same) if same else f"{escape(name)} can be published.")


def _unchanged(same: Template) -> str:
    offered = "" if same.is_active else " It is not offered."
    return f"{same.template_key} v{same.version.version} is unchanged: nothing is published.{offered}"
