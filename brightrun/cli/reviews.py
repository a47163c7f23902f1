"""Commands for reviewing in bulk."""

from __future__ import annotations

from typing import Annotated

import typer

from brightrun.cli.console import Json, emit, opened, out, reported
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import InvalidInput
from brightrun.domain.review import ConversationFilter, Decision


def review(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="A job id, or the beginning of one.")
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="What is meant; may be given several times."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything that waits.")] = False,
    approve: Annotated[bool, typer.Option("--approve", help="Approve what matches.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Reject what matches.")] = False,
    min_score: Annotated[
        float | None, typer.Option(help="Only conversations with at least this score.")
    ] = None,
    max_score: Annotated[
        float | None, typer.Option(help="Only conversations with at most this score.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why; for rejecting, one of the reasons on the system page.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="Anything else to be kept with it.")] = None,
    reviewer: Annotated[str | None, typer.Option(help="Who decides; default: you.")] = None,
    as_json: Json = False,
) -> None:
    """Approve or reject what waits for review: of a job, under a filter, or all; without a decision, count it."""
    with reported(as_json=as_json):
        if approve and reject:
            raise InvalidInput("It cannot be both.", remedy="Give one of --approve and --reject.")
        if sum((job is not None, bool(given), everything)) != 1:
            raise InvalidInput("Say what is meant.", remedy="Give exactly one of JOB, --filter and --all.")
        with opened() as app:
            chosen = ConversationFilter.parse(
                given or (), find_job=app.batches.find, find_import=app.imports.find
            )
            waiting = chosen.narrowed(
                status=chosen.status or ConversationStatus.PENDING_REVIEW,
                min_score=chosen.min_score if min_score is None else min_score,
                max_score=chosen.max_score if max_score is None else max_score,
                job_id=app.batches.find(job) if job else chosen.job_id,
            )
            if not approve and not reject:
                _tell_count(app.reviews.count(waiting), waiting, as_json=as_json)
                return
            verdict = app.reviews.decide_matching(
                waiting,
                Decision.APPROVED if approve else Decision.REJECTED,
                reviewer=reviewer or app.settings.person,
                reason=reason,
                note=note,
            )
            left = app.reviews.count(_whole(waiting))
        if as_json:
            emit(
                {
                    "decision": "approved" if approve else "rejected",
                    "decided": verdict.decided,
                    "blocked": verdict.blocked,
                    "waiting": left,
                    "operation": verdict.operation_id,
                }
            )
            return
        out.print(
            f"{verdict.decided:,} {'approved' if approve else 'rejected'}; "
            f"{_owner(waiting)}{left:,} still {'waits' if left == 1 else 'wait'} for review."
        )
        if verdict.blocked:
            out.print(f"{verdict.blocked} have a blocking finding and cannot be approved.")


def _whole(chosen: ConversationFilter) -> ConversationFilter:
    """Return what waits of the job or import that was named, or of everything: whatever else the filter asked for."""
    return ConversationFilter(
        status=ConversationStatus.PENDING_REVIEW, job_id=chosen.job_id, import_id=chosen.import_id
    )


def _owner(chosen: ConversationFilter) -> str:
    """Say of what the rest is counted."""
    named = [word for word, it in (("job", chosen.job_id), ("import", chosen.import_id)) if it]
    return f"of the {' and the '.join(named)} " if named else "in all "


def _tell_count(number: int, chosen: ConversationFilter, *, as_json: bool) -> None:
    if as_json:
        emit({"matching": number, "filter": chosen.to_json()})
        return
    out.print(f"{number:,} match. Decide with --approve or --reject.")
