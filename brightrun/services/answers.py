"""From a stored answer to a conversation: pure but for its documents, so that it may be done again for nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

import orjson

from brightrun.domain.answer import accept
from brightrun.domain.batch import Assignment, Claim, WriterName
from brightrun.domain.bucket import Bucket
from brightrun.domain.conversation import Turn
from brightrun.domain.enrichment import Record, enrich, final_document
from brightrun.domain.ids import ConversationKey
from brightrun.domain.quality import Assessment, assess
from brightrun.domain.scenario import Cast
from brightrun.domain.standard import STANDARD, Standard
from brightrun.domain.template import Prompt, TemplateVersion
from brightrun.domain.text import shortened, word_count
from brightrun.domain.writing import Answer, Shape
from brightrun.events.event import Event, emit
from brightrun.services.scenarios import Scenarios
from brightrun.services.spending import Spending
from brightrun.services.templates import Templates

KEY_SPACE = UUID("6f1c1c1e-8f0b-4b0e-9d0a-6272696768f7")
"""Business keys are derived from items, so that a step done twice writes the same files."""

Reader = Callable[[bytes], Answer]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a writer was asked for an item: the same each time it is worked out."""

    version: TemplateVersion
    cast: Cast
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Errand:
    """What a claimed item asks of a writer, and what its answer becomes."""

    prompt: Prompt
    cast: Cast
    shape: Shape
    finish: Callable[[bytes, dict[str, object]], Mapping[str, object]]
    """From an answer's bytes to the row that the item becomes; notes in the ledger what it used."""


class Answers:
    """Reads what writers answered; needs no key and calls nobody."""

    def __init__(
        self,
        templates: Templates,
        scenarios: Scenarios,
        files: Bucket,
        reader: Callable[[WriterName], Reader],
        spending: Spending,
        standard: Standard = STANDARD,
    ) -> None:
        self._templates = templates
        self._scenarios = scenarios
        self._files = files
        self._reader = reader
        self._spending = spending
        self._standard = standard

    def errand(self, claim: Claim) -> Errand:
        """Return what an item's writer is asked, and how its answer becomes a conversation's row."""
        asked = self.asked(claim)

        def finish(body: bytes, ledger: dict[str, object]) -> Mapping[str, object]:
            record = self.read(claim, asked, body, ledger)
            self.store_documents(record)
            return conversation_row(record, ledger)

        return Errand(asked.prompt, asked.cast, Shape.TURNS, finish)

    def asked(self, assignment: Assignment) -> Asked:
        """Return what the item's writer is asked; raises InvalidInput where that cannot be rendered."""
        options = assignment.options
        version = self._templates.version(assignment.template_version_id)
        cast = self._scenarios.cast(assignment.scenario)
        turns = self._templates.turns_for(cast, options.turns, seed=options.seed)
        return Asked(version, cast, self._templates.render(version, cast, turns=turns))

    def read(self, assignment: Assignment, asked: Asked, body: bytes, ledger: dict[str, object]) -> Record:
        """Parse and assess an answer and note in the ledger what it used; raises AnswerFault."""
        answer = self._reader(assignment.options.writer)(body)
        usage = self._spending.used(assignment, answer)
        emit(Event.ANSWER_READ, model=answer.model, **usage)
        ledger |= usage
        turns = accept(answer)
        template = self._templates.of_version(asked.version)
        return Record(
            key=ConversationKey(str(uuid5(KEY_SPACE, assignment.item_id))),
            item_id=assignment.item_id,
            job_id=assignment.job_id,
            created_at=assignment.claimed_at.isoformat(),
            cast=asked.cast,
            prompt=asked.prompt,
            turns=tuple(turns),
            assessment=assess(turns, cast=asked.cast, prompt=asked.prompt, standard=self._standard),
            writer=assignment.options.writer.value,
            model=answer.model,
            template_key=template.template_key,
            template_version=asked.version.version,
        )

    def store_documents(self, record: Record) -> None:
        """Write the final and the enriched file; both can be derived again, so nobody waits for the disk."""
        final, enriched = document_keys(record.key)
        self._files.put(final, orjson.dumps(final_document(record)), overwrite=True, durable=False)
        self._files.put(enriched, orjson.dumps(enrich(record)), overwrite=True, durable=False)


def raw_key(assignment: Assignment, number: int) -> str:
    """Return the write-once key of one attempt's answer."""
    return f"raw/{assignment.job_id}/{assignment.item_id}-{number}.json"


def document_keys(key: ConversationKey) -> tuple[str, str]:
    """Return the keys of the final and the enriched document of a conversation."""
    return f"final/{key}.json", f"enriched/{key}.json"


def conversation_row(record: Record, ledger: Mapping[str, object]) -> dict[str, object]:
    """Return the conversation an answer became, by column."""
    scenario = record.cast.scenario
    final, enriched = document_keys(record.key)
    return {
        "conversation_id": record.key,
        "name": _name(record),
        "model": record.model,
        "tier": scenario.tier.value,
        "persona_key": scenario.persona_key,
        "arc_key": scenario.arc_key,
        "topic_key": scenario.topic_key,
        "parameters": scenario.to_json(),
        "system_text": record.prompt.dataset_system,
        **content_columns(record.turns, record.assessment),
        "raw_path": ledger["raw_path"],
        "final_path": final,
        "enriched_path": enriched,
        "enrichment_status": "completed",
        "cost_usd": ledger.get("cost_usd", 0),
    }


def _name(record: Record) -> str:
    """Return what a conversation is told by in a list: an imported one that has no scenario by its first words."""
    scenario = record.cast.scenario
    if record.item_id is None and not scenario.is_told and record.turns:
        return shortened(" ".join(record.turns[0].content.split()), 80) or record.cast.title()
    return record.cast.title()


def content_columns(turns: Sequence[Turn], assessment: Assessment) -> dict[str, Any]:
    """Return what a conversation says and what was found in it, by column."""
    data = assessment.to_json()
    text = turns[0].content if turns else ""
    return {
        "turns": [turn.to_json() for turn in turns],
        "turn_count": len(turns),
        "word_count": sum(word_count(turn.content) for turn in turns),
        "first_words": " ".join(text.split())[:160],
        "quality_score": assessment.score,
        "has_blockers": bool(assessment.blockers),
        "flags": list(assessment.flags),
        "quality": {"score": data["score"], "breakdown": data["breakdown"]},
        "validation": {"blockers": data["blockers"], "warnings": data["warnings"]},
    }
