"""Commands for reviewing in bulk."""

from __future__ import annotations

from typing import Annotated

import typer

from brightrun.cli.console import JobArgument, Json, emit, opened, out, reported
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import InvalidInput
from brightrun.domain.review import ConversationFilter, Decision


def review(
    job: JobArgument,
    approve: Annotated[bool, typer.Option("--approve", help="Approve what matches.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="Reject what matches.")] = False,
    min_score: Annotated[
        float | None, typer.Option(help="Only conversations with at least this score.")
    ] = None,
    max_score: Annotated[
        float | None, typer.Option(help="Only conversations with at most this score.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    reviewer: Annotated[str | None, typer.Option(help="Who decides; default: you.")] = None,
    as_json: Json = False,
) -> None:
    """Approve or reject the conversations of a job that wait for review."""
    with reported(as_json=as_json):
        if approve == reject:
            raise InvalidInput("Say what to decide.", remedy="Give exactly one of --approve and --reject.")
        with opened() as app:
            waiting = ConversationFilter(
                status=ConversationStatus.PENDING_REVIEW, job_id=app.batches.find(job)
            )
            verdict = app.reviews.decide_matching(
                waiting.narrowed(min_score=min_score, max_score=max_score),
                Decision.APPROVED if approve else Decision.REJECTED,
                reviewer=reviewer or app.settings.person,
                reason=reason,
            )
            left = app.reviews.count(waiting)
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
        out.print(f"{verdict.decided} {'approved' if approve else 'rejected'}, {left} still wait for review.")
        if verdict.blocked:
            out.print(f"{verdict.blocked} have a blocking finding and cannot be approved.")
