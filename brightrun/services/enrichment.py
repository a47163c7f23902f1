"""Enrichment: the final and enriched documents of a conversation, made again on demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from brightrun import saol
from brightrun.domain.bucket import Bucket
from brightrun.domain.conversation import Conversation, EnrichmentStatus
from brightrun.domain.enrichment import Record, enrich, final_document
from brightrun.domain.errors import BrightRunError, NotAllowed
from brightrun.domain.ids import ConversationId, JobId
from brightrun.domain.person import Action
from brightrun.domain.quality import assess
from brightrun.domain.standard import STANDARD, Standard
from brightrun.services.answers import document_keys
from brightrun.services.imports import Imports, imported_record
from brightrun.services.rights import needs
from brightrun.services.scenarios import Scenarios
from brightrun.services.templates import Templates
from brightrun.stores import batches
from brightrun.stores import conversations as store


@dataclass(frozen=True, slots=True)
class Enriched:
    """One conversation's enrichment: done, or why not."""

    id: ConversationId
    error: str | None = None


class Enrichment:
    """Costs nothing: everything is derived from what is stored."""

    def __init__(
        self,
        db: saol.Database,
        templates: Templates,
        scenarios: Scenarios,
        files: Bucket,
        standard: Standard = STANDARD,
    ) -> None:
        self._db = db
        self._imports = Imports(db, scenarios, files, standard)
        self._standard = standard
        self._templates = templates
        self._scenarios = scenarios
        self._files = files

    @needs(Action.ENRICH)
    def enrich(self, conversation_id: ConversationId) -> None:
        """Write both documents of a conversation again and record it; a failure is recorded and raised."""
        conversation = store.get(self._db, conversation_id)
        try:
            record = self.record(conversation)
            final, enriched = document_keys(conversation.key)
            self._files.put(final, orjson.dumps(final_document(record)), overwrite=True)
            self._files.put(enriched, orjson.dumps(enrich(record)), overwrite=True)
        except BrightRunError as fault:
            store.set_enrichment(self._db, conversation_id, EnrichmentStatus.FAILED, error=str(fault))
            raise
        store.set_enrichment(self._db, conversation_id, EnrichmentStatus.COMPLETED, path=enriched)

    def states(self, job_id: JobId) -> dict[EnrichmentStatus, int]:
        """Return how many conversations of a job are in each state of enrichment."""
        return store.count_enriched(self._db, job_id)

    @needs(Action.ENRICH)
    def enrich_job(self, job_id: JobId) -> Iterator[Enriched]:
        """Enrich every conversation of a job, one a step, so that a page can show how far it is."""
        for conversation_id in store.of_job(self._db, job_id):
            try:
                self.enrich(conversation_id)
            except BrightRunError as fault:
                yield Enriched(conversation_id, str(fault))
            else:
                yield Enriched(conversation_id)

    def document(self, path: str) -> bytes:
        """Return a stored document (raw, final or enriched) by its path; raises ObjectMissing."""
        return self._files.get(path)

    def record(self, conversation: Conversation) -> Record:
        """Return all that is known of a conversation, assessed as its turns stand; raises NotAllowed."""
        if conversation.import_id:
            cast = self._scenarios.cast(conversation.scenario)
            return imported_record(
                conversation, self._imports.get(conversation.import_id), cast, self._standard
            )
        if not conversation.template_version_id or not conversation.item_id or not conversation.job_id:
            raise NotAllowed(
                "This conversation was neither written by a batch nor imported, so there is nothing to enrich from."
            )
        version = self._templates.version(conversation.template_version_id)
        cast = self._scenarios.cast(conversation.scenario)
        options = batches.view(self._db, conversation.job_id).options
        turns = self._templates.turns_for(cast, options.turns, seed=options.seed)
        prompt = self._templates.render(version, cast, turns=turns)
        return Record(
            key=conversation.key,
            item_id=conversation.item_id,
            job_id=conversation.job_id,
            created_at=conversation.created_at.isoformat(),
            cast=cast,
            prompt=prompt,
            turns=tuple(conversation.turns),
            assessment=assess(conversation.turns, cast=cast, prompt=prompt, standard=self._standard),
            writer=conversation.writer,
            model=conversation.model,
            template_key=self._templates.of_version(version).template_key,
            template_version=version.version,
        )
