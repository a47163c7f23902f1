"""Templates, their immutable versions, and the prompt a version renders to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from brightrun.domain.ids import TemplateId, TemplateVersionId
from brightrun.domain.scenario import Tier
from brightrun.domain.variable import Variable


@dataclass(frozen=True, slots=True)
class TemplateVersion:
    """One published, unchangeable text of a template."""

    id: TemplateVersionId
    template_id: TemplateId
    version: int
    system_text: str
    """Jinja2: the system prompt the writer is sent."""
    user_text: str
    """Jinja2: the order the writer is sent."""
    dataset_system_text: str
    """Jinja2: the system message the trained assistant will see; may be empty."""
    required: tuple[str, ...]
    """Variables without which it cannot be rendered."""
    optional: tuple[str, ...]
    """Variables that render as empty text where a scenario has none."""
    words_min: int
    """Words the text asks of one assistant turn, at least."""
    words_max: int
    created_by: str
    created_at: datetime
    variables: tuple[Variable, ...] = ()
    """Its own variables, described."""


@dataclass(frozen=True, slots=True)
class Template:
    id: TemplateId
    template_key: str
    name: str
    description: str
    category: str
    tier: Tier
    arc_key: str | None
    """The emotional arc it was written for; None fits any."""
    suitable_personas: tuple[str, ...]
    suitable_topics: tuple[str, ...]
    rating: float
    usage_count: int
    is_active: bool
    version: TemplateVersion
    """The current version."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent to a writer for one item."""

    system: str
    user: str
    dataset_system: str
    turns: int
    """Messages asked for, both roles together; even."""
    words_min: int
    words_max: int

    def digest(self) -> str:
        return hashlib.sha256(f"{self.system}\0{self.user}".encode("utf-8", "replace")).hexdigest()


@dataclass(frozen=True, slots=True)
class Choice:
    """Which template an item is written with, and why it was chosen."""

    template: Template
    reason: str
