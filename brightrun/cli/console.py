"""What the shell prints, and the exit code: 0 only on success."""

from __future__ import annotations

import errno
import json
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, WriterName
from brightrun.domain.errors import BrightRunError, InvalidInput, SetupFault
from brightrun.domain.price import dollars
from brightrun.domain.text import ACTING, terminal_safe

__all__ = [
    "ConversationArgument",
    "JobArgument",
    "Json",
    "OutOption",
    "dollars",
    "duration",
    "emit",
    "emit_fault",
    "err",
    "job_json",
    "missing_key",
    "open_settings",
    "opened",
    "out",
    "pairs_of",
    "print_table",
    "read_file",
    "reported",
    "show_problems",
    "write_out",
]

WIDEST = 180
STANDARD_OUTPUT = "-"
NOTHING_WRITTEN = "nothing was written."


class SafeConsole(Console):
    """Shows foreign text and obeys none of it: rich lets escapes through that a terminal would act on."""

    def render_str(self, text: str, *arguments: Any, **options: Any) -> Text:
        return super().render_str(terminal_safe(text), *arguments, **options)


out = SafeConsole(soft_wrap=True, highlight=False)
err = SafeConsole(stderr=True, soft_wrap=True, highlight=False)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]
ConversationArgument = Annotated[
    str, typer.Argument(metavar="CONVERSATION", help="A conversation's id or key, or the beginning of one.")
]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="A job id, or the beginning of one.")]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        help="The file to write; default, and `-`: standard output.",
        # By a dash, as other tools do.
        callback=lambda out: None if str(out) == STANDARD_OUTPUT else out,
    ),
]


def hand_on(context: typer.Context, *, as_json: bool) -> bool:
    """Let a group's --json hold for the command after it too; returns whether there is one."""
    if as_json:
        context.default_map = {name: {"as_json": True} for name in context.command.commands}  # type: ignore[attr-defined]
    return context.invoked_subcommand is not None


def open_settings() -> Settings:
    """Read the settings; a value that cannot be used ends the command with a sentence."""
    try:
        return Settings()
    except ValueError as fault:
        err.print(f"[red]The settings cannot be used:[/red] {escape(str(fault))}")
        raise typer.Exit(1) from fault


@contextmanager
def opened(settings: Settings | None = None) -> Iterator[App]:
    """Open the app for one command and let go of it afterwards."""
    app = open_app(settings or open_settings())
    try:
        yield app
    finally:
        app.close()


@contextmanager
def reported(*, as_json: bool = False) -> Iterator[None]:
    """Turn an error of ours into a sentence with its remedy, and exit code 1."""
    try:
        yield
    except BrightRunError as fault:
        if as_json:
            emit_fault(fault.message, fault.remedy)
        else:
            err.print(f"[red]{escape(fault.message)}[/red]")
            if fault.remedy:
                err.print(escape(fault.remedy))
        raise typer.Exit(1) from fault


def read_file(path: Path, *, remedy: str = "") -> bytes:
    """Return what a file holds; raises InvalidInput."""
    try:
        return path.read_bytes()
    except OSError as fault:
        raise InvalidInput(f"{path} cannot be read: {fault.strerror}.", remedy=remedy) from fault


def write_out(path: Path | None, data: bytes) -> None:
    """Write a file whole or not at all, or standard output where there is none; raises InvalidInput."""
    if path is None:
        sys.stdout.buffer.write(data)
        return
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):  # no other file may take its place
            path.write_bytes(data)
        else:
            _publish(path, data)
    except OSError as fault:
        reason, remedy = _obstacle(path, fault)
        raise InvalidInput(f"{path} cannot be written: {reason}.", remedy=remedy) from fault


def _publish(path: Path, data: bytes) -> None:
    """Write under a hidden name and rename: what breaks off leaves the old file, or none."""
    unfinished = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        unfinished.write_bytes(data)
        if path.exists():
            shutil.copymode(path, unfinished)
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _obstacle(path: Path, fault: OSError) -> tuple[str, str]:
    """Say what stands in the way of a file, and the remedy."""
    folder = path.parent
    match fault:
        case FileNotFoundError() if folder.is_dir():
            return f"no file can be made in {folder}", f"Give --out another place; {NOTHING_WRITTEN}"
        case FileNotFoundError():
            return f"there is no folder {folder}", f"Make it, or give --out another place; {NOTHING_WRITTEN}"
        case NotADirectoryError():
            return f"{folder} is no folder", f"Give --out a file in a folder; {NOTHING_WRITTEN}"
        case IsADirectoryError():
            return "it is a folder", f"Give --out the name of a file in it; {NOTHING_WRITTEN}"
        case PermissionError() | OSError(errno=errno.EROFS):
            remedy = "Ask for the right to write there, or give --out another place"
            return f"you have no right to write in {folder}", f"{remedy}; {NOTHING_WRITTEN}"
    return f"{fault.strerror or fault}", f"Make room there, or give --out another place; {NOTHING_WRITTEN}"


def pairs_of(option: str, given: Sequence[str], example: str) -> dict[str, str]:
    """Return what an option was given as NAME=VALUE; raises InvalidInput for what is none, and for a name given twice."""
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise InvalidInput(
                f"{option} {text!r} is not NAME=VALUE.", remedy=f"For example {option} {example}."
            )
        if name in pairs:  # neither value is more meant
            raise InvalidInput(
                f"{option} names {name!r} twice.", remedy=f"Give {option} {name}=… once; nothing was done."
            )
        pairs[name] = value
    return pairs


def emit(data: Mapping[str, object]) -> None:
    """Print one JSON object on standard output: never a bare list, which could not be added to."""
    text = json.dumps(data, ensure_ascii=False, default=str)
    print(ACTING.sub(lambda found: f"\\u{ord(found.group()):04x}", text))


def emit_fault(message: str, remedy: str) -> None:
    """Print what went wrong as one JSON object on standard error."""
    print(json.dumps({"error": message, "remedy": remedy}), file=sys.stderr)


def missing_key(app: App, writer: WriterName) -> list[str]:
    """Return why a writer cannot start, as a list of sentences: a dry run shows the price without a key too."""
    try:
        app.writer(writer)
    except SetupFault as fault:
        return [str(fault)]
    return []


def show_problems(problems: Sequence[str]) -> None:
    """Say beside the price what a real run would be refused for."""
    for problem in problems:
        err.print(f"[yellow]Without --dry-run this would be refused: {escape(problem)}[/yellow]")


def print_table(table: Table) -> None:
    """Print a table as wide as it is: a line that a terminal breaks is better than a cell that rich does."""
    SafeConsole(width=max(out.width, WIDEST), highlight=False).print(table)


def job_json(job: Job) -> dict[str, object]:
    """Return a job as `status --json` prints it."""
    counts = job.counts
    return {
        "id": job.id,
        "name": job.name,
        "status": job.status.value,
        "counts": {
            "queued": counts.queued,
            "processing": counts.processing,
            "completed": counts.completed,
            "failed": counts.failed,
            "cancelled": counts.cancelled,
        },
        "cost": round(job.money.spent, 6),
        "possible_cost": round(job.money.possible, 6),
        "budget": job.money.budget,
        "writer": job.options.writer.value,
        "model": job.options.model,
        "delivery": job.options.delivery.value,
        "parts_out": job.parts_out,
        "pause_reason": job.pause_reason,
        "preview": job.preview,
        "seconds_left": job.seconds_left,
        "created_by": job.created_by,
        "created_at": job.created_at.isoformat(),
        "started_at": job.started_at.isoformat() if job.started_at else None,
        "completed_at": job.completed_at.isoformat() if job.completed_at else None,
    }


def duration(seconds: float | None) -> str:
    """Return a time left as a person says it."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
