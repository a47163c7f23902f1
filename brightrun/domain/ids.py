"""Identities: one type a noun, so that mixing two of them up is a type error."""

from __future__ import annotations

from typing import NewType
from uuid import UUID

from brightrun.domain.errors import InvalidInput

JobId = NewType("JobId", str)
ItemId = NewType("ItemId", str)
AttemptId = NewType("AttemptId", str)
FencingToken = NewType("FencingToken", str)
PartId = NewType("PartId", str)
TemplateId = NewType("TemplateId", str)
TemplateVersionId = NewType("TemplateVersionId", str)
PersonaId = NewType("PersonaId", str)
ArcId = NewType("ArcId", str)
TopicId = NewType("TopicId", str)
ReviewId = NewType("ReviewId", str)
DatasetId = NewType("DatasetId", str)
ImportId = NewType("ImportId", str)

ConversationId = NewType("ConversationId", str)
"""The primary key `conversations.id`: what every call, link and foreign key uses."""

ConversationKey = NewType("ConversationKey", str)
"""The business key `conversations.conversation_id`: file names and exports only."""

CHOOSE_FOR_ME = TemplateId("00000000-0000-0000-0000-000000000000")
"""A template id of all zeros asks Bright Run to choose the template."""

NO_TEMPLATE = TemplateVersionId(CHOOSE_FOR_ME)
"""What is not written but judged has no template."""


def parse_uuid(text: str, noun: str) -> str:
    """Return `text` as a canonical UUID, or raise InvalidInput naming the noun."""
    article = "an" if noun[:1] in "aeiou" else "a"
    try:
        return str(UUID(text.strip()))
    except ValueError as exc:
        raise InvalidInput(
            f"{text!r} is not {article} {noun} id.", remedy=f"Give the {noun}'s full id."
        ) from exc
