"""The two documents of a conversation: final (what it is) and enriched (one training pair an assistant turn).

Every field but the turns comes from our own parameters, never from the model's text. Emotional figures
that nobody computed are left out. Both documents can be derived again from what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brightrun.domain.conversation import Role, Turn
from brightrun.domain.ids import ConversationKey, ItemId, JobId
from brightrun.domain.quality import Assessment
from brightrun.domain.scenario import Cast
from brightrun.domain.template import Prompt

ENRICHMENT_VERSION = "brightrun-2"


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one conversation when its documents are written."""

    key: ConversationKey
    item_id: ItemId | None
    job_id: JobId | None
    created_at: str
    """ISO 8601."""
    cast: Cast
    prompt: Prompt
    turns: tuple[Turn, ...]
    assessment: Assessment
    writer: str
    model: str
    template_key: str | None
    template_version: int | None
    source: Mapping[str, object] | None = None
    """Where an imported conversation came from: import, file and line."""

    @property
    def is_demo(self) -> bool:
        return self.writer == "demo"


def final_document(record: Record) -> dict[str, Any]:
    """Return what lies at final/: the conversation whole, with where it came from."""
    head = (
        [{"role": "system", "content": record.prompt.dataset_system}] if record.prompt.dataset_system else []
    )
    return {
        "conversation_id": record.key,
        "created_at": record.created_at,
        "provenance": _provenance(record),
        "input_parameters": _parameters(record.cast),
        "messages": head + [{"role": t.role.value, "content": t.content} for t in record.turns],
        "turns": [t.to_json() for t in record.turns],
        "quality": record.assessment.to_json(),
    }


def enrich(record: Record) -> dict[str, Any]:
    """Return what lies at enriched/: a training pair for each assistant turn."""
    return {
        "enrichment_version": ENRICHMENT_VERSION,
        "conversation_id": record.key,
        "dataset_metadata": {
            "conversation_source": _source(record),
            "tier": record.cast.scenario.tier.value,
            "total_turns": len(record.turns),
            "created_at": record.created_at,
        },
        "assistant_profile": {"system": record.prompt.dataset_system},
        "input_parameters": _parameters(record.cast),
        "provenance": _provenance(record),
        "training_pairs": [
            _pair(record, place)
            for place, turn in enumerate(record.turns)
            if turn.role is Role.ASSISTANT and place > 0 and turn.train
        ],
    }


def _source(record: Record) -> str:
    if record.source:
        return "imported"
    return "demo" if record.is_demo else "synthetic"


def _pair(record: Record, place: int) -> dict[str, Any]:
    question = record.turns[place - 1]
    pair: dict[str, Any] = {
        "id": f"{record.key}-{place + 1}",
        "conversation_id": record.key,
        "turn_number": place + 1,
        "system_prompt": record.prompt.dataset_system,
        "conversation_history": _history(record.turns[: place - 1]),
        "current_user_input": question.content,
        "target_response": record.turns[place].content,
        "training_metadata": {
            "quality_score": record.assessment.score,
            "flags": list(record.assessment.flags),
            "human_reviewed": False,
        },
    }
    if question.emotion:
        pair["emotional_context"] = question.to_json()["emotional_context"]
    return pair


def _history(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The turns before the question; the question itself stands in its own field only."""
    return [{"turn": number, "role": t.role.value, "content": t.content} for number, t in enumerate(turns, 1)]


def _parameters(cast: Cast) -> dict[str, Any]:
    scenario = cast.scenario
    data: dict[str, Any] = {"tier": scenario.tier.value, "variables": dict(scenario.variables)}
    if cast.persona:
        data["persona"] = {
            "persona_key": cast.persona.persona_key,
            "name": cast.persona.name,
            "archetype": cast.persona.archetype,
        }
    if cast.arc:
        data["emotional_arc"] = {
            "arc_key": cast.arc.arc_key,
            "name": cast.arc.name,
            "starting_emotion": cast.arc.starting_emotion,
            "ending_emotion": cast.arc.ending_emotion,
        }
    if cast.topic:
        data["training_topic"] = {
            "topic_key": cast.topic.topic_key,
            "name": cast.topic.name,
            "complexity_level": cast.topic.complexity_level,
        }
    return data


def _provenance(record: Record) -> dict[str, Any]:
    data: dict[str, Any] = {
        "writer": record.writer,
        "is_demo": record.is_demo,
        "model": record.model,
        "template_key": record.template_key,
        "template_version": record.template_version,
        "job_id": record.job_id,
        "item_id": record.item_id,
    }
    revision = record.cast.scenario.revision
    if revision:
        data["revision_of"] = {
            "conversation": revision.parent_id,
            "version": revision.version,
            "feedback": revision.note,
        }
    return data | {"source": dict(record.source)} if record.source else data
