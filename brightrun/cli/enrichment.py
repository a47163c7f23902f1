"""The command that makes the documents of a job again."""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.progress import track

from brightrun.cli.console import JobArgument, Json, emit, err, opened, reported


def enrich(job: JobArgument, as_json: Json = False) -> None:
    """Make the final and the enriched documents of a job's conversations again, for nothing."""
    with reported(as_json=as_json), opened() as app:
        job_id = app.batches.find(job)
        total = sum(app.enrichment.states(job_id).values())
        failed: dict[str, str] = {}
        making = app.enrichment.enrich_job(job_id)
        quiet = as_json or not err.is_terminal
        for done in track(making, "Making documents", total, console=err, disable=quiet):
            if done.error:
                failed[done.id] = done.error
        if as_json:
            emit({"id": job_id, "made": total - len(failed), "failed": failed})
        else:
            err.print(f"{total - len(failed):,} pairs of documents made again, {len(failed):,} failed.")
            for key, reason in failed.items():
                err.print(f"[yellow]{key[:8]}: {escape(reason)}[/yellow]")
        if failed:
            raise typer.Exit(1)
