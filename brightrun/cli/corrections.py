"""Commands for correcting a conversation: a turn's text, and whether a model learns it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from brightrun.bootstrap import App
from brightrun.cli.console import ConversationArgument, Json, emit, err, opened, out, reported
from brightrun.domain.conversation import Conversation
from brightrun.domain.correction import Corrected, Correction, Fate, difference
from brightrun.domain.errors import InvalidInput

SHOWN = {Fate.SAME: "", Fate.GONE: "red strike", Fate.NEW: "green bold"}
MARKS = {Fate.SAME: ("", ""), Fate.GONE: ("[-", "-]"), Fate.NEW: ("{+", "+}")}
"""Where there are no colours, the marks of `git diff --word-diff`."""


def correct(
    conversation: ConversationArgument,
    turn: Annotated[int | None, typer.Option(min=1, help="Which turn, from 1.")] = None,
    text: Annotated[str | None, typer.Option(help="What it says from now on.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="A file with what it says from now on; - for standard input.")
    ] = None,
    skip: Annotated[bool, typer.Option("--skip", help="Keep the turn, but do not train on it.")] = False,
    train: Annotated[bool, typer.Option("--train", help="Train on the turn again.")] = False,
    note: Annotated[str | None, typer.Option(help="Why.")] = None,
    reviewer: Annotated[str | None, typer.Option(help="Who corrects; default: you.")] = None,
    as_json: Json = False,
) -> None:
    """Correct a turn of a conversation, or say whether it is trained on; alone, show what was changed."""
    with reported(as_json=as_json):
        if sum((text is not None, file is not None, skip, train)) > 1:
            raise InvalidInput("Say one thing.", remedy="Give one of --text, --file, --skip and --train.")
        said = _said(text, file)
        with opened() as app:
            found = app.reviews.read(app.reviews.find(conversation))
            if said is None and not skip and not train:
                _show(app, found, turn, as_json=as_json)
                return
            if turn is None:
                raise InvalidInput("Say which turn.", remedy="Give --turn N; the user's first is 1.")
            who = reviewer or app.settings.person
            if said is not None:
                done = app.corrections.correct(found.id, turn, said, corrector=who, note=note)
            else:
                done = app.corrections.mark(found.id, turn, train=train, corrector=who, note=note)
            _tell(app, found, done, as_json=as_json)


def _said(text: str | None, file: Path | None) -> str | None:
    if file is None:
        return text
    try:
        if str(file) == "-":
            return sys.stdin.read().removeprefix("\ufeff")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise InvalidInput(
            f"{file} cannot be read: {fault}", remedy="Give a text file in UTF-8; nothing was changed."
        ) from fault


def _tell(app: App, before: Conversation, done: Corrected, *, as_json: bool) -> None:
    last = app.corrections.of(before.id)[-1]
    if as_json:
        emit(
            {
                "id": before.id,
                "version": done.version,
                "turn": last.turn,
                "score_before": done.score_before,
                "score": done.score,
                "blockers": list(done.blockers),
                "was_decided": done.was_decided,
            }
        )
        return
    _print(last)
    out.print(f"Version {done.version}: score {done.score:.1f}, it was {done.score_before:.1f}.")
    out.print("It waits for a decision." + (" The one before fell away." if done.was_decided else ""))
    for blocker in done.blockers:
        out.print(f"It cannot be approved: {escape(blocker)}", style="red")
    if done.warning:
        err.print(f"[yellow]{escape(done.warning)}[/yellow]")


def _show(app: App, conversation: Conversation, turn: int | None, *, as_json: bool) -> None:
    found = [c for c in app.corrections.of(conversation.id) if turn in (None, c.turn)]
    if as_json:
        emit(
            {"id": conversation.id, "version": conversation.version, "corrections": [_json(c) for c in found]}
        )
        return
    if not found:
        out.print("Nothing of it was corrected.")
    for correction in found:
        _print(correction)


def _print(correction: Correction) -> None:
    when = f"{correction.created_at.astimezone():%d %b %Y, %H:%M}"
    note = f": {correction.note}" if correction.note else ""
    out.print(
        f"[bold]Version {correction.version}, turn {correction.turn}[/bold] "
        + escape(f"by {correction.corrector}, {when}{note}")
    )
    if correction.before.train != correction.after.train:
        out.print("  trained on again" if correction.after.train else "  not trained on any more")
        return
    stretches = difference(correction.before.content, correction.after.content)
    for stretch in stretches:
        left, right = ("", "") if out.color_system else MARKS[stretch.fate]
        out.print(escape(left + stretch.text + right), style=SHOWN[stretch.fate], end="")
    out.print()


def _json(correction: Correction) -> dict[str, object]:
    return {
        "version": correction.version,
        "turn": correction.turn,
        "before": correction.before.to_json(),
        "after": correction.after.to_json(),
        "corrector": correction.corrector,
        "note": correction.note,
        "created_at": correction.created_at.isoformat(),
    }
