"""Commands for datasets."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress as Bar

from brightrun.bootstrap import App
from brightrun.cli.console import Json, emit, err, opened, out, reported
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.dataset import Dataset, DatasetOptions, Split
from brightrun.domain.errors import DatabaseFault, InvalidInput, SetupFault
from brightrun.domain.formats import UNEVEN, Format
from brightrun.domain.report import lack_of
from brightrun.domain.review import ConversationFilter
from brightrun.domain.text import counted
from brightrun.services.datasets import Progress
from brightrun.services.exports import WHOLE, Export, require_sides
from brightrun.services.targets import check_folder, require_free

FREEZING = (
    "job",
    "status",
    "min_score",
    "name",
    "validation",
    "test",
    "merge_system",
    "drop_trailing_user",
    "split_tokens",
)
"""Options of `export` that say what a new dataset is to be; one that is frozen takes none of them."""

DatasetArgument = Annotated[str, typer.Argument(help="A name, `name@version`, or an id.")]


def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
    chosen: Annotated[Format, typer.Option("--format", help="What to write.")] = Format.MESSAGES,
    job: Annotated[str | None, typer.Option(help="Only this job's conversations.")] = None,
    status: Annotated[str, typer.Option(help="Only `approved` conversations may leave.")] = "approved",
    min_score: Annotated[float | None, typer.Option(help="Only with at least this score.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the dataset.")] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Write this one again instead of freezing a new one.")
    ] = None,
    validation: Annotated[float, typer.Option(help="Share of rows to validate with.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of rows to test with.")] = 0.0,
    merge_system: Annotated[
        bool, typer.Option("--merge-system", help="Put the system text into the first user turn.")
    ] = False,
    drop_trailing_user: Annotated[
        bool, typer.Option("--drop-trailing-user", help="Leave out a last user turn without an answer.")
    ] = False,
    split_tokens: Annotated[int | None, typer.Option(help="Cut conversations longer than this.")] = None,
    side: Annotated[Split | None, typer.Option(help="Write only this side of the split.")] = None,
    as_json: Json = False,
) -> None:
    """Freeze the approved conversations as a dataset and write its files."""
    with reported(as_json=as_json):
        if dataset is not None:
            _require_no_freezing(context, dataset)
        require_sides(chosen, side)
    with reported(as_json=as_json), opened() as app:
        check_folder(folder)
        if dataset is not None:
            frozen = app.datasets.find(dataset)
        else:
            wanted = ConversationFilter(
                status=_status(status),
                job_id=app.batches.find(job) if job is not None else None,
                min_score=min_score,
            )
            options = DatasetOptions(validation, test, merge_system, drop_trailing_user, split_tokens)
            title = f"export {datetime.now(UTC):%Y-%m-%d}" if name is None else name
            require_free(app.datasets, wanted, name=title, chosen=chosen, folder=folder, side=side)
            with _bar(as_json=as_json) as progress:
                frozen = app.datasets.freeze(
                    wanted,
                    name=title,
                    actor=app.settings.person,
                    options=options,
                    purpose=chosen,
                    progress=progress,
                )
        with _naming(frozen, chosen, side), _bar(as_json=as_json) as progress:
            repeated = app.datasets.repeated(frozen) if dataset is None else None
            written = app.exports.write(frozen, chosen, folder, progress, side)
        if as_json:
            files = [str(path) for path in written.files]
            told = {"dataset": frozen.id, "left_out": written.left_out, "duplicates": frozen.duplicate_count}
            same = {"same_as": f"{repeated.name}@{repeated.version}"} if repeated else {}
            emit({"rows": written.rows, "splits": dict(written.splits), "files": files, **told, **same})
            return
        _tell(app, frozen)
        if repeated:
            err.print(
                f"Its approved conversations and splits are those of {repeated.name}@{repeated.version}.",
                style="yellow",
                markup=False,
            )
        _tell_splits(written, chosen, side)
        if lack := lack_of(app.datasets.report(frozen), chosen):
            err.print(lack, style="yellow")
        for path in written.files:
            print(path)


def datasets(
    compare: Annotated[
        tuple[str, str] | None, typer.Option(help="Show what differs from the first to the second.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the frozen datasets, or compare two of them."""
    with reported(as_json=as_json), opened() as app:
        if compare:
            _compare(app, *compare, as_json=as_json)
            return
        if as_json:
            emit({"datasets": [_json(dataset) for dataset in app.datasets.every()]})
            return
        if not app.datasets.count():
            out.print("No dataset is frozen yet. Freeze what is approved: brightrun export --out DIR")
            return
        for dataset in app.datasets.every():
            out.print(
                f"{dataset.name}@{dataset.version}  {dataset.row_count} conversations  "
                f"{dataset.created_at:%Y-%m-%d %H:%M}  {dataset.id}"
            )


def push(
    dataset: DatasetArgument,
    hub: Annotated[str | None, typer.Option(help="Push to this Hugging Face dataset, OWNER/NAME.")] = None,
    storage: Annotated[
        bool, typer.Option("--storage", help="Upload the folder to the bucket `datasets`.")
    ] = False,
    public: Annotated[bool, typer.Option("--public", help="A new repository is public.")] = False,
    as_json: Json = False,
) -> None:
    """Send a dataset's folder to the hub (with HF_TOKEN) or to Storage."""
    with reported(as_json=as_json), opened() as app:
        if bool(hub) == storage:
            raise InvalidInput("Say where to.", remedy="Give exactly one of --hub OWNER/NAME and --storage.")
        token = os.environ.get("HF_TOKEN", "").strip()
        if hub and not token:
            raise SetupFault("There is no token for the hub.", remedy="Set HF_TOKEN to one that may write.")
        found = app.datasets.find(dataset)
        with _bar(as_json=as_json) as progress:
            if hub:
                where = [app.exports.push(found, hub, token=token, private=not public, progress=progress)]
            else:
                where = [f"datasets/{key}" for key in app.exports.upload(found, progress)]
        if as_json:
            emit({"dataset": found.id, "to": where})
            return
        for line in where:
            print(line)


def _require_no_freezing(context: typer.Context, dataset: str) -> None:
    """Raise InvalidInput where options were given that only a new dataset can follow."""
    given = [f"--{name.replace('_', '-')}" for name in FREEZING if _is_given(context, name)]
    if given:
        raise InvalidInput(
            f"{', '.join(given)} cannot go with --dataset: {dataset!r} is frozen and leaves as it is.",
            remedy=f"Leave {', '.join(given)} out to write it again, or --dataset to freeze a new one.",
        )


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _compare(app: App, older: str, newer: str, *, as_json: bool) -> None:
    found = app.datasets.compare(app.datasets.find(older), app.datasets.find(newer))
    if as_json:
        rows = [{"kind": row.kind, "id": row.key, "name": row.name, "side": row.place} for row in found.rows]
        emit({"counts": dict(found.counts), "rows": rows})
        return
    if found.differs:
        out.print(", ".join(f"{count} {kind}" for kind, count in sorted(found.counts.items())))
    else:
        out.print(found.sameness())
    for row in found.rows:
        out.print(f"{row.kind}  {row.place}  {row.key}  {row.name}", markup=False, soft_wrap=True)


def _tell(app: App, dataset: Dataset) -> None:
    report = app.datasets.report(app.datasets.get(dataset.id))
    err.print(f"{report['rows']} conversations in dataset “{dataset.name}” version {dataset.version}")
    if report["left_out"]:
        reasons = ", ".join(f"{rule.replace('_', ' ')} {n}" for rule, n in report["dropped"].items())
        err.print(f"{report['left_out']} left out by the checks: {reasons}", style="yellow")
    if many := dataset.duplicate_count:
        err.print(f"{counted(many, 'exact duplicate')} left out", style="yellow")
    near = dataset.near_duplicates or {"left_out": 0, "labels_left_out": 0}
    if gone := near["left_out"] + near["labels_left_out"]:
        err.print(f"{gone} left out that nearly repeat conversations of another split", style="yellow")
    if dataset.demo_count:
        err.print(
            f"{dataset.demo_count} of them are demo text: not for training a real model.", style="yellow"
        )


def _tell_splits(written: Export, chosen: Format, side: Split | None) -> None:
    """Say how many rows the file has, and what it mixes, which whoever trains on all of it must know."""
    there = [f"{count:,} {split}" for split, count in written.splits.items() if count]
    if chosen in (Format.FOLDER, Format.ZIP):
        return
    unit, apart = ("conversations", "") if chosen in WHOLE else ("rows", ", --side one of them")
    if len(there) > 1:
        err.print(
            f"One file holds {', '.join(there)} {unit}; --format folder writes a file for each{apart}.",
            style="yellow",
        )
    elif chosen in UNEVEN or side:
        err.print(f"The file holds {counted(written.rows, 'row')}.")


def _json(dataset: Dataset) -> dict[str, object]:
    return {
        "id": dataset.id,
        "name": dataset.name,
        "version": dataset.version,
        "rows": dataset.row_count,
        "demo_rows": dataset.demo_count,
        "filter": dict(dataset.filter),
        "created_by": dataset.created_by,
        "created_at": dataset.created_at.isoformat(),
    }


@contextmanager
def _naming(frozen: Dataset, chosen: Format, side: Split | None) -> Iterator[None]:
    """Say of a frozen dataset that could not be written how it is written later: another export freezes another one."""
    try:
        yield
    except (SetupFault, DatabaseFault) as fault:
        name = f"{frozen.name}@{frozen.version}"
        words = ["brightrun", "export", "--dataset", name, "--out", "FOLDER", "--format", chosen.value]
        words += ["--side", side.value] if side else []
        fault.remedy += f" The dataset is frozen; write it with: {shlex.join(words)}"
        raise


@contextmanager
def _bar(*, as_json: bool) -> Iterator[Progress | None]:
    """Show a progress bar on a terminal."""
    if as_json or not err.is_terminal:
        yield None
        return
    with Bar(console=err, transient=True) as bar:
        task = bar.add_task("Rows")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _status(text: str) -> ConversationStatus:
    try:
        return ConversationStatus(text)
    except ValueError as fault:
        raise InvalidInput(
            f"{text!r} is no status of a conversation.", remedy="Leave --status out, or give `approved`."
        ) from fault
