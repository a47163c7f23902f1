"""Scenarios: one set of parameter values, and the scaffolding they are drawn from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from brightrun.domain.ids import ArcId, PersonaId, TopicId
from brightrun.domain.revision import Revision
from brightrun.domain.text import shortened


class Tier(StrEnum):
    TEMPLATE = "template"
    """The ordinary case a template was made for."""
    SCENARIO = "scenario"
    """A concrete situation with its own facts."""
    EDGE_CASE = "edge_case"
    """A rare or difficult case: crisis, hostility, out of scope."""


@dataclass(frozen=True, slots=True)
class Persona:
    id: PersonaId
    persona_key: str
    name: str
    archetype: str
    age_range: str
    occupation: str
    income_range: str
    demographics: Mapping[str, str]
    financial_background: str
    financial_situation: str
    communication_style: str
    emotional_baseline: str
    typical_questions: tuple[str, ...]
    common_concerns: tuple[str, ...]
    language_patterns: tuple[str, ...]
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class EmotionalArc:
    id: ArcId
    arc_key: str
    name: str
    category: str
    """`core` or `edge`."""
    tier: Tier
    starting_emotion: str
    starting_intensity_min: float
    starting_intensity_max: float
    ending_emotion: str
    ending_intensity_min: float
    ending_intensity_max: float
    arc_strategy: str
    key_principles: tuple[str, ...]
    characteristic_phrases: tuple[str, ...]
    response_techniques: tuple[str, ...]
    avoid_tactics: tuple[str, ...]
    typical_turn_count_min: int
    """Messages, both roles together; even."""
    typical_turn_count_max: int
    suitable_personas: tuple[str, ...] = ()
    suitable_topics: tuple[str, ...] = ()
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Topic:
    id: TopicId
    topic_key: str
    name: str
    category: str
    description: str
    complexity_level: str
    typical_question_examples: tuple[str, ...]
    key_concepts: tuple[str, ...]
    suitable_personas: tuple[str, ...] = ()
    suitable_emotional_arcs: tuple[str, ...] = ()
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Scenario:
    """One set of parameter values: scaffolding by key, and free variables."""

    tier: Tier = Tier.SCENARIO
    persona_key: str | None = None
    arc_key: str | None = None
    topic_key: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    revision: Revision | None = None
    """What it is written again for; None the first time."""
    turns: int | None = None
    """Messages it is to have where the batch does not decide that: after its preview was read."""

    def fingerprint(self) -> str:
        """Return a hash that two scenarios share exactly when all their values are equal, however long they are."""
        held = {name: value for name, value in self.to_json().items() if name != "turns"}
        text = json.dumps(held, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def to_json(self) -> dict[str, object]:
        data: dict[str, object] = {
            "tier": self.tier.value,
            "persona_key": self.persona_key,
            "arc_key": self.arc_key,
            "topic_key": self.topic_key,
            "variables": dict(self.variables),
        }
        if self.turns is not None:
            data["turns"] = self.turns
        return data | {"revision": self.revision.to_json()} if self.revision else data

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Scenario:
        variables = data.get("variables") or {}
        revision = data.get("revision")
        assert isinstance(variables, Mapping)
        assert revision is None or isinstance(revision, Mapping)
        return cls(
            tier=Tier(str(data.get("tier") or Tier.SCENARIO)),
            persona_key=_text(data.get("persona_key")),
            arc_key=_text(data.get("arc_key")),
            topic_key=_text(data.get("topic_key")),
            variables={str(name): str(value) for name, value in variables.items()},
            revision=Revision.from_json(revision) if revision else None,
            turns=int(str(data["turns"])) if data.get("turns") else None,
        )

    @property
    def is_told(self) -> bool:
        """Whether it says who asks, how it moves or what happens; an imported conversation may come without."""
        return bool(self.persona_key or self.arc_key or self.topic_key or self.variables.get(_TOLD_BY))

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The axis and the key of each part of the scaffolding that it names."""
        axes = (("persona", self.persona_key), ("arc", self.arc_key), ("topic", self.topic_key))
        return [(axis, key) for axis, key in axes if key]

    def title(self, names: Mapping[tuple[str, str], str] | None = None) -> str:
        """Return a short name a person can tell it by, at most 80 characters.

        `names` says what a persona, an arc or a topic is called, by axis and key; what is not there goes by its key.
        """
        known = names or {}
        text = " · ".join(known.get(part) or part[1].replace("_", " ") for part in self.parts)
        if not text:
            told = self.variables.get(_TOLD_BY) or max(self.variables.values(), key=len, default="")
            text = told or "scenario"
        text = " ".join(text.split())
        return shortened(text, 80)


_TOLD_BY = "scenario"
"""The variable that says what happens, where there is one of that name: the others may well be the same in every row."""


def _text(value: object) -> str | None:
    return str(value) if value else None


@dataclass(frozen=True, slots=True)
class Cast:
    """A scenario with its scaffolding looked up: what a template and a writer work from."""

    scenario: Scenario
    persona: Persona | None
    arc: EmotionalArc | None
    topic: Topic | None

    def title(self) -> str:
        """Return the scenario's short name by what its parts are called."""
        found = {"persona": self.persona, "arc": self.arc, "topic": self.topic}
        parts = ((part, found[part[0]]) for part in self.scenario.parts)
        return self.scenario.title({part: one.name for part, one in parts if one})


def fits(cast: Cast) -> bool:
    """Return whether the scaffolding's parts name each other as suitable; an empty list suits everybody."""
    persona, arc, topic = (cast.scenario.persona_key, cast.scenario.arc_key, cast.scenario.topic_key)
    pairs: list[tuple[tuple[str, ...], str | None]] = []
    if cast.arc:
        pairs += [(cast.arc.suitable_personas, persona), (cast.arc.suitable_topics, topic)]
    if cast.topic:
        pairs += [(cast.topic.suitable_personas, persona), (cast.topic.suitable_emotional_arcs, arc)]
    return all(not suitable or key is None or key in suitable for suitable, key in pairs)
