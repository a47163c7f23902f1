"""The full training file: one object a conversation with its scaffolding, its metadata and its training pairs.

The successor of `brightrun-lora-v4`: the same places for the same things, and what was wrong there is right
here. A pair is an assistant turn, the question stands once, ids are unique, and nothing is made up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brightrun.domain.dataset import Row

SPEC = "brightrun-lora-v5"


def file_metadata(manifest: Mapping[str, Any], file_name: str) -> dict[str, Any]:
    """Return `training_file_metadata`, from what the manifest counted."""
    report = manifest["report"]
    return {
        "file_name": file_name,
        "version": "5.0.0",
        "format_spec": SPEC,
        "created_date": manifest["created_at"],
        "total_conversations": report["rows"],
        "total_training_pairs": report["assistant_turns"] - report.get("skipped_turns", 0),
        "quality_summary": {
            **report["scores"],
            "human_reviewed_count": report["reviewed"],
            "human_reviewed_percentage": round(100 * report["reviewed"] / max(report["rows"], 1), 1),
        },
        "scaffolding_distribution": {
            "personas": report["strata"]["persona"],
            "emotional_arcs": report["strata"]["emotional_arc"],
            "training_topics": report["strata"]["topic"],
        },
    }


def conversation(row: Row) -> dict[str, Any]:
    """Return one conversation: `conversation_metadata` and `training_pairs`."""
    return {
        "conversation_metadata": {
            "conversation_id": row.key,
            "id": row.id,
            "version": row.version,
            "created_date": row.created_at,
            "total_turns": len(row.spoken),
            "quality_tier": row.tier,
            "quality_score": row.quality_score,
            "split": row.split,
            "writer": row.writer,
            "model": row.model,
            "template": row.template,
            "scaffolding": {
                "persona_key": row.persona_key,
                "emotional_arc_key": row.arc_key,
                "training_topic_key": row.topic_key,
                "variables": dict(row.variables),
            },
            "review": {
                "decision": row.decision,
                "reviewer": row.reviewer,
                "reviewed_at": row.reviewed_at,
                "reason": row.reason,
            },
        },
        "training_pairs": [
            _pair(row, place) for place in range(1, len(row.spoken), 2) if place not in row.skipped
        ],
    }


def _pair(row: Row, place: int) -> dict[str, Any]:
    return {
        "id": f"{row.id}/{place + 1}",
        "conversation_id": row.key,
        "turn_number": place + 1,
        "system_prompt": row.system,
        "conversation_history": [
            {"turn": number, **message} for number, message in enumerate(row.spoken[: place - 1], 1)
        ],
        "current_user_input": row.spoken[place - 1]["content"],
        "target_response": row.spoken[place]["content"],
    }
