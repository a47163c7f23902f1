"""The command that has a conversation written again."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from brightrun.bootstrap import App
from brightrun.cli.console import (
    ConversationArgument,
    Json,
    emit,
    err,
    missing_key,
    opened,
    out,
    reported,
    show_problems,
)
from brightrun.cli.costs import estimate_json, estimate_lines
from brightrun.domain.batch import WriterName
from brightrun.domain.conversation import Conversation
from brightrun.domain.revision import Again
from brightrun.services.revisions import Wishes


def regenerate(
    conversation: ConversationArgument,
    note: Annotated[str | None, typer.Option(help="What should be otherwise; goes into the prompt.")] = None,
    template: Annotated[str | None, typer.Option(help="A template's key; default: the one it has.")] = None,
    writer: Annotated[WriterName | None, typer.Option(help="Who writes; default: who wrote it.")] = None,
    model: Annotated[str | None, typer.Option(help="The model, where Claude writes.")] = None,
    budget: Annotated[
        float | None, typer.Option(min=0.000001, help="The most it may cost, in dollars.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Show the price; create nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Create a batch of one that writes a conversation again with feedback; alone, list what came of it before."""
    with reported(as_json=as_json), opened() as app:
        found = app.reviews.read(app.reviews.find(conversation))
        if note is None:
            _show(app, found, as_json=as_json)
            return
        plan = app.revisions.plan(found.id, note, Wishes(writer, model, budget, template))
        plan.require()
        if dry_run:
            problems = missing_key(app, plan.options.writer)
            if as_json:
                emit(estimate_json(plan.estimate) | {"problems": problems})
            else:
                for line in estimate_lines(plan.estimate):
                    out.print(escape(line))
                show_problems(problems)
            return
        app.writer(plan.options.writer)  # a missing key is said now, not at the first item
        job = app.revisions.start(plan, actor=app.settings.person)
        if as_json:
            emit({"id": job.id, "parent": found.id})
            return
        for line in estimate_lines(plan.estimate):
            err.print(escape(line))
        err.print(f"Next: [bold]brightrun process {job.id[:8]}[/bold]")
        print(job.id)


def _show(app: App, conversation: Conversation, *, as_json: bool) -> None:
    revision, again = conversation.scenario.revision, app.revisions.of(conversation.id)
    if as_json:
        emit(
            {
                "id": conversation.id,
                "parent": revision.parent_id if revision else None,
                "feedback": revision.note if revision else None,
                "again": [_json(one) for one in again],
            }
        )
        return
    if revision:
        out.print(
            escape(f"Written again from {revision.parent_id}, version {revision.version}: {revision.note}")
        )
    for one in again:
        became = f"{one.conversation_id} ({one.status})" if one.conversation_id else one.item_status
        out.print(escape(f"{one.created_at.astimezone():%d %b %Y, %H:%M}  {became}: {one.note}"))
    if not (revision or again):
        out.print("It was never written again. Give --note to say what should be otherwise.")


def _json(one: Again) -> dict[str, object]:
    return {
        "note": one.note,
        "job": one.job_id,
        "item_status": one.item_status,
        "conversation": one.conversation_id,
        "status": one.status,
        "score": one.quality_score,
    }
