"""Commands for a job in preview: read what is written, adjust the rest, start it."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer
from rich.markup import escape

from brightrun.bootstrap import App
from brightrun.cli.batches import show_plan
from brightrun.cli.console import JobArgument, Json, emit, err, job_json, opened, out, pairs_of, reported
from brightrun.domain.batch import Item
from brightrun.domain.ids import JobId
from brightrun.services.previews import KEPT

WIDTH = 100


def preview(job: JobArgument, as_json: Json = False) -> None:
    """Print the conversations of a job's preview; `process` writes them, `start` goes on with the rest."""
    with reported(as_json=as_json), opened() as app:
        found = app.batches.get(app.batches.find(job))
        items = app.previews.written(found)
        if as_json:
            emit({**job_json(found), "items": [_item_json(app, item) for item in items]})
            return
        for item in items:
            _show_item(app, item)
        _show_next(found.id, len(items), found.counts.queued)


def start(
    job: JobArgument,
    template: Annotated[
        str | None,
        typer.Option(help="What the rest is written with: a key, `auto`, or `kept` in its newest version."),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A variable that all of the rest gets; empty takes it away."
        ),
    ] = None,
    turns: Annotated[
        int | None, typer.Option(min=2, max=200, help="Messages each conversation of the rest gets.")
    ] = None,
    more: Annotated[int | None, typer.Option(min=1, help="Write only so many more, then wait again.")] = None,
    dry_run: Annotated[
        bool, typer.Option(help="Show what would be adjusted and its price; change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Start what waits behind a preview, adjusted if asked for; then process it."""
    with reported(as_json=as_json), opened() as app:
        job_id = app.batches.find(job)
        adjusted = None
        if template or given or turns or dry_run:
            rest = app.previews.plan_rest(
                job_id,
                template=template or KEPT,
                variables=pairs_of("--set", given or [], "mood=calm"),
                turns=turns,
            )
            rest.plan.require()
            if dry_run:
                show_plan(rest.plan, 0, list(rest.plan.notes), as_json=as_json)
                return
            adjusted = app.previews.adjust(rest, actor=app.settings.person)
        started = app.previews.start(job_id, actor=app.settings.person, more=more)
        if as_json:
            emit({**job_json(started), "adjusted": adjusted})
            return
        if adjusted is not None:
            err.print(f"{adjusted} waiting items were adjusted.")
        if started.preview:
            err.print(f"The preview is longer now: {started.preview} of {started.counts.total}.")
        else:
            err.print(f"The rest may be written: {started.counts.queued} items.")
        err.print(f"Next: [bold]brightrun process {job_id[:8]}[/bold]")


def _item_json(app: App, item: Item) -> dict[str, object]:
    told: dict[str, object] = {
        "position": item.position,
        "status": item.status.value,
        "template": item.template_name,
        "conversation": item.conversation_id,
        "error": item.error_message,
    }
    if item.conversation_id is None:
        return told
    read = app.reviews.read(item.conversation_id)
    turns = [{"role": turn.role.value, "content": turn.content} for turn in read.turns]
    return told | {
        "score": read.quality_score,
        "findings": [str(finding["message"]) for finding in read.findings],
        "turns": turns,
    }


def _show_item(app: App, item: Item) -> None:
    out.print(
        f"[bold]{item.position} · {escape(app.scenarios.title(item.scenario))}[/bold] · {escape(item.template_name)}"
    )
    if item.conversation_id is None:
        out.print(escape(item.error_message or f"It is {item.status.value}."), style="yellow")
    else:
        read = app.reviews.read(item.conversation_id)
        told = [str(finding["message"]) for finding in read.findings]
        out.print(f"{read.quality_score:.1f} of 10{''.join(f' · {escape(text)}' for text in told)}")
        for turn in read.turns:
            text = textwrap.fill(turn.content, WIDTH, initial_indent="  ", subsequent_indent="  ")
            out.print(f"{turn.role.value}:", style="bold")
            out.print(escape(text))
    out.print()


def _show_next(job_id: JobId, number: int, waiting: int) -> None:
    if not number:
        err.print("The job has no preview: all of it was started.")
    elif waiting:
        err.print(f"{waiting} items wait. Go on: [bold]brightrun start {job_id[:8]}[/bold]")
