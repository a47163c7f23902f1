"""What conversations say, without anything around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from brightrun import saol
from brightrun.stores import conversations

MOST = 20_000
"""Conversations held at once; ids are random, so the first by id are a fair sample of more."""


@dataclass(frozen=True, slots=True)
class Said:
    """One conversation: all its text, and the assistant's turns."""

    id: str
    text: str
    answers: Sequence[str]
    cell: str = ""
    """Its persona, arc and topic; empty where it has none of them."""
    key: str = ""
    """What a sample is taken by, where that is not the id: the key a dataset knows it by."""


def said(db: saol.Database, where: Sequence[tuple[str, str, object]]) -> list[Said]:
    """Return what matches, by id, at most the first 20,000."""
    rows = conversations.every(
        db, where, ["id", "conversation_id", "turns", "persona_key", "arc_key", "topic_key"]
    )
    return [_said(row) for row in islice(rows, MOST)]


def _said(row: Mapping[str, Any]) -> Said:
    contents = [turn["content"] for turn in row["turns"]]
    answers = [turn["content"] for turn in row["turns"] if turn["role"] == "assistant"]
    keys = [row["persona_key"], row["arc_key"], row["topic_key"]]
    cell = " ".join(map(str, keys)) if any(keys) else ""
    return Said(str(row["id"]), "\n".join(contents), answers, cell, str(row["conversation_id"]))
