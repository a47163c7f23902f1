"""Enriching again: the same documents from what is stored, and a failure that is on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Job
from brightrun.domain.conversation import Conversation, EnrichmentStatus
from brightrun.domain.errors import BrightRunError, ObjectMissing
from brightrun.domain.ids import ConversationId
from brightrun.domain.review import ConversationFilter

Start = Callable[..., Job]


def write(app: App, start: Start) -> Conversation:
    job = start(1)
    app.batches.process_next(job.id)
    return app.reviews.read(ConversationId(app.reviews.page(ConversationFilter())[0]["id"]))


def test_enriching_again_gives_the_same_document(app: App, start: Start) -> None:
    """On demand, both documents are made again from the row, equal to those the batch made."""
    conversation = write(app, start)
    assert conversation.enrichment_status is EnrichmentStatus.COMPLETED
    paths = [str(conversation.final_path), str(conversation.enriched_path)]
    before = [json.loads(app.enrichment.document(path)) for path in paths]
    app.enrichment.enrich(conversation.id)
    after = [json.loads(app.enrichment.document(path)) for path in paths]
    for document in (*before, *after):
        document.pop("created_at", None)
        document.get("dataset_metadata", {}).pop("created_at", None)
    assert after == before


def test_a_whole_job_is_enriched_one_step_at_a_time(app: App, start: Start) -> None:
    """A job's conversations are enriched one after the other, each with its result."""
    job = start(3)
    while app.batches.process_next(job.id).job.is_open:
        continue
    done = list(app.enrichment.enrich_job(job.id))
    assert len(done) == 3
    assert not any(step.error for step in done)


def test_a_failed_enrichment_is_on_record_and_can_be_repeated(app: App, start: Start, tmp_path: Path) -> None:
    """A store that cannot be written marks the conversation as failed; mended, the same call succeeds."""
    conversation = write(app, start)
    final = tmp_path / "buckets" / "conversation-files" / str(conversation.final_path)
    final.unlink()
    final.mkdir()
    (final / "in-the-way").touch()
    with pytest.raises(BrightRunError):
        app.enrichment.enrich(conversation.id)
    assert app.reviews.read(conversation.id).enrichment_status is EnrichmentStatus.FAILED
    (final / "in-the-way").unlink()
    final.rmdir()
    app.enrichment.enrich(conversation.id)
    assert app.reviews.read(conversation.id).enrichment_status is EnrichmentStatus.COMPLETED


def test_a_missing_document_is_named(app: App) -> None:
    """Asking for a file that is not there says so."""
    with pytest.raises(ObjectMissing):
        app.enrichment.document("raw/00000000-0000-4000-8000-000000000000/x.json")
