"""Verdicts in the database: what waits for one, what was said, and how it fares against decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.conversation import Turn
from brightrun.domain.ids import ConversationId
from brightrun.domain.insight import Scope
from brightrun.domain.judging import Score, Subject, Verdict
from brightrun.domain.review import ConversationFilter
from brightrun.domain.scenario import Scenario
from brightrun.stores.conversations import turns_from


@dataclass(frozen=True, slots=True)
class Text:
    """What is to be judged."""

    subject: Subject
    scenario: Scenario
    turns: Sequence[Turn]


def to_judge(
    db: saol.Database, chosen: ConversationFilter, *, model: str, rubric: int, again: bool, limit: int
) -> list[Text]:
    """Return what a filter means of what has no verdict yet and is not on its way to one, oldest first."""
    params = {
        "p_filter": chosen.to_json(),
        "p_model": model,
        "p_rubric": rubric,
        "p_again": again,
        "p_limit": limit,
    }
    rows: list[Mapping[str, Any]] = saol.agent_execute_rpc(db, "conversations_to_judge", params).value()
    return [_text(row, Subject(ConversationId(row["id"]), int(row["version"]))) for row in rows]


def text(db: saol.Database, subject: Subject) -> Text | None:
    """Return one version of a conversation, whatever became of it since; None where it is gone."""
    params = {"p_id": subject.conversation_id, "p_version": subject.version}
    row = saol.agent_execute_rpc(db, "text_to_judge", params).value()
    return _text(row, subject) if row else None


def of_conversation(db: saol.Database, conversation_id: ConversationId) -> list[Verdict]:
    """Return every verdict on a conversation, newest first."""
    rows = saol.agent_query(
        db,
        "verdicts",
        where=[("conversation_id", "eq", conversation_id)],
        order_by=[saol.Order("created_at", descending=True), saol.Order("id")],
    ).rows()
    return [
        Verdict(
            version=int(row["version"]),
            model=str(row["model"]),
            rubric=int(row["rubric"]),
            scores=[Score.from_json(score) for score in row["scores"]],
            created_at=datetime.fromisoformat(row["created_at"]),
        )
        for row in rows
    ]


def calibration(db: saol.Database, scope: Scope) -> dict[str, Any]:
    """Return how many verdicts there are, and how often each score met an approval or not."""
    found: dict[str, Any] = saol.agent_execute_rpc(
        db, "judge_calibration", {"p_scope": scope.to_json()}
    ).value()
    return found


def _text(row: Mapping[str, Any], subject: Subject) -> Text:
    return Text(subject, Scenario.from_json(row["parameters"]), turns_from(row["turns"]))
