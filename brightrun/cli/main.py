"""The console script `brightrun`."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import typer

from brightrun import __version__
from brightrun.cli import (
    batches,
    corrections,
    datasets,
    diversity,
    enrichment,
    fleet,
    imports,
    insight,
    judging,
    migration,
    people,
    previews,
    prices,
    reviews,
    revisions,
    saol,
    scaffolding,
    slots,
    spaces,
    system,
    templates,
)
from brightrun.cli.console import emit_fault

WRONG_CALL: type[Exception] = typer.BadParameter.__bases__[0]
"""An unknown option, a missing argument and the like; Typer has a name for one kind of them only."""
WRONG_CALL_CODE = 2

COMMANDS = {
    command.__name__: command
    for command in (
        system.app,
        spaces.plan,
        batches.generate,
        batches.process,
        slots.work,
        slots.priority,
        fleet.worker,
        fleet.workers,
        previews.preview,
        previews.start,
        judging.judge,
        judging.calibration,
        batches.status,
        batches.log,
        batches.cancel,
        batches.pause,
        batches.resume,
        batches.retry,
        batches.reparse,
        enrichment.enrich,
        reviews.review,
        corrections.correct,
        revisions.regenerate,
        datasets.export,
        datasets.datasets,
        datasets.push,
        insight.insight,
        diversity.diversity,
        imports.imports,
        migration.migrate,
        diversity.duplicates,
        system.check,
    )
} | {"import": imports.import_file}
GROUPS = {
    "people": people.app,
    "prices": prices.app,
    "saol": saol.app,
    "templates": templates.app,
    "scaffolding": scaffolding.app,
}


def shell(asked: str = "") -> typer.Typer:
    """Return the shell with all its commands; with one alone where that is `asked` for: each takes a while to build."""
    app = typer.Typer(
        name="brightrun",
        help="Plan, write, review and export multi-turn conversations for LoRA fine-tuning.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_root)
    alone = {asked} & (COMMANDS.keys() | GROUPS.keys())
    for name, command in COMMANDS.items():
        if not alone or name in alone:
            app.command(name)(command)
    for name, group in GROUPS.items():
        if not alone or name in alone:
            app.add_typer(group, name=name)
    return app


def main() -> None:
    """Run the shell; a termination signal leaves as an exit does, so that the server is let go of."""
    signal.signal(signal.SIGTERM, _leave)
    app = shell(*sys.argv[1:2])
    if "--json" not in sys.argv:
        app()
        return
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        code = 1
    except WRONG_CALL as fault:
        _tell_wrong_call(fault)
        code = WRONG_CALL_CODE
    sys.exit(code)


def _root(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def _tell_wrong_call(fault: Exception) -> None:
    """Say as JSON what is wrong with a call: a program asked for it, and its own call is what has to be read."""
    context = getattr(fault, "ctx", None)
    command = context.command_path if context else "brightrun"
    message = fault.format_message() if hasattr(fault, "format_message") else str(fault)
    emit_fault(message, f"`{command} --help` says how it is called.")


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
