"""Commands for datasets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from brightrun.cli.console import Json, emit, err, opened, reported
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import InvalidInput
from brightrun.domain.review import ConversationFilter
from brightrun.services.datasets import Format, check_folder


def export(
    out: Annotated[Path, typer.Option(help="The folder to write to.")],
    chosen: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.MESSAGES,
    job: Annotated[str | None, typer.Option(help="Only this job's conversations.")] = None,
    status: Annotated[str, typer.Option(help="Only `approved` conversations may leave.")] = "approved",
    name: Annotated[str | None, typer.Option(help="What to call the dataset.")] = None,
    as_json: Json = False,
) -> None:
    """Freeze the approved conversations as a dataset and write its files."""
    with reported(as_json=as_json), opened() as app:
        wanted = ConversationFilter(
            status=_status(status), job_id=app.batches.find(job) if job is not None else None
        )
        title = name or f"export {datetime.now(UTC):%Y-%m-%d}"
        check_folder(out)
        dataset = app.datasets.freeze(wanted, name=title, actor=app.settings.person)
        written = app.datasets.write(dataset, chosen, out)
        if as_json:
            emit(
                {"rows": written.rows, "files": [str(path) for path in written.files], "dataset": dataset.id}
            )
            return
        err.print(f"{written.rows} conversations in dataset “{dataset.name}” version {dataset.version}")
        if dataset.demo_count:
            err.print(
                f"{dataset.demo_count} of them are demo text: not for training a real model.", style="yellow"
            )
        for path in written.files:
            print(path)


def _status(text: str) -> ConversationStatus:
    try:
        return ConversationStatus(text)
    except ValueError as fault:
        raise InvalidInput(
            f"{text!r} is no status of a conversation.", remedy="Leave --status out, or give `approved`."
        ) from fault
