"""Scaffolding as people edit it: personas, emotional arcs and topics, each field with what it may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from brightrun.domain.scenario import Tier

Key = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=80)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=8_000)]
Texts = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=2_000)], ...], Field(max_length=100)]
Keys = Annotated[tuple[Key, ...], Field(max_length=1_000)]
Intensity = Annotated[float, Field(ge=0, le=1), AfterValidator(lambda level: round(level, 2))]
Turns = Annotated[int, Field(ge=2, le=200, multiple_of=2)]

MAX_SHOWN = 40
"""Characters of a wrong value that a message shows."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one field of a draft, or with the draft as a whole."""

    field: str
    """Empty where it is about more than one."""
    number: int | None
    """Which thing of the field's list, from 1."""
    said: str

    def placed(self, field: str) -> str:
        """Return it after the name that its field has where it is read."""
        place = f", number {self.number} of its list" if self.number else ""
        return f"{field}{place}: {self.said}" if self.field else self.said


class Kind(StrEnum):
    """What a scenario's scaffolding is made of."""

    PERSONA = "persona"
    """Who asks."""
    ARC = "arc"
    """How the feeling moves."""
    TOPIC = "topic"
    """What it is about."""

    @property
    def key(self) -> str:
        """The name of the field that the others know it by."""
        return f"{self.value}_key"


class Draft(BaseModel):
    """One of a kind, whole and sound; lists hold one thing each."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class PersonaDraft(Draft):
    persona_key: Key
    name: Name
    archetype: Text = ""
    age_range: Text = ""
    occupation: Text = ""
    income_range: Text = ""
    demographics: dict[str, str] = Field(default_factory=dict)
    financial_background: Text = ""
    financial_situation: Text = ""
    communication_style: Text = ""
    emotional_baseline: Text = ""
    typical_questions: Texts = ()
    common_concerns: Texts = ()
    language_patterns: Texts = ()
    is_active: bool = True


class ArcDraft(Draft):
    arc_key: Key
    name: Name
    category: Literal["core", "edge"] = "core"
    tier: Tier = Tier.TEMPLATE
    starting_emotion: Name
    starting_intensity_min: Intensity
    starting_intensity_max: Intensity
    ending_emotion: Name
    ending_intensity_min: Intensity
    ending_intensity_max: Intensity
    arc_strategy: Text = ""
    key_principles: Texts = ()
    characteristic_phrases: Texts = ()
    response_techniques: Texts = ()
    avoid_tactics: Texts = ()
    typical_turn_count_min: Turns = 4
    """Messages, both roles together; even, because the assistant has the last word."""
    typical_turn_count_max: Turns = 8
    suitable_personas: Keys = ()
    suitable_topics: Keys = ()
    is_active: bool = True

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for name in ("starting_intensity", "ending_intensity", "typical_turn_count"):
            if getattr(self, f"{name}_min") > getattr(self, f"{name}_max"):
                raise ValueError(f"{name}_min is more than {name}_max")
        return self


class TopicDraft(Draft):
    topic_key: Key
    name: Name
    category: Text = ""
    description: Text = ""
    complexity_level: Literal["beginner", "intermediate", "advanced"] = "intermediate"
    typical_question_examples: Texts = ()
    key_concepts: Texts = ()
    suitable_personas: Keys = ()
    suitable_emotional_arcs: Keys = ()
    is_active: bool = True


DRAFTS: dict[Kind, type[Draft]] = {Kind.PERSONA: PersonaDraft, Kind.ARC: ArcDraft, Kind.TOPIC: TopicDraft}
NAMED = {
    "suitable_personas": Kind.PERSONA,
    "suitable_topics": Kind.TOPIC,
    "suitable_emotional_arcs": Kind.ARC,
}
"""Fields that name others by their keys; empty fits all of them."""


def text_of(value: object) -> str:
    """Return a field as people edit it: a list with one thing a line, a mapping with `name: value` a line."""
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {held}" for name, held in value.items())
    return "\n".join(map(str, value)) if isinstance(value, tuple) else str(value)


def lines_of(text: str) -> tuple[str, ...]:
    """Return the list that `text_of` wrote."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def pairs_of(text: str) -> dict[str, str]:
    """Return the mapping that `text_of` wrote."""
    return {head.strip(): tail.strip() for head, _, tail in (line.partition(":") for line in lines_of(text))}


def key_of(draft: Draft) -> str:
    """Return the key a draft is known by."""
    return str(getattr(draft, next(kind.key for kind, made in DRAFTS.items() if isinstance(draft, made))))


def faults_of(fault: ValidationError) -> list[Fault]:
    """Return what validators found in a draft, as a person says it."""
    found = []
    for error in fault.errors():
        field, *within = error["loc"] or ("",)
        number = next((one + 1 for one in within if isinstance(one, int)), None)
        said = _told(error["type"], error["input"], error.get("ctx", {}), error["msg"])
        found.append(Fault(str(field), number, said))
    return found


def _told(kind: str, given: object, context: Mapping[str, object], message: str) -> str:
    """Return what a validator found as a person says it; its own words where it has no others here."""
    if isinstance(given, str) and not given.strip():
        return "it is empty"
    shown = repr(given if len(str(given)) <= MAX_SHOWN else f"{str(given)[:MAX_SHOWN]}…")
    held = {"given": shown, "length": len(str(given)), **context}
    return _PLAIN[kind].format_map(held) if kind in _PLAIN else message.removeprefix("Value error, ")


_PLAIN = {
    "string_pattern_mismatch": "{given} is no key; a key has only small letters a to z, digits and _",
    "string_too_long": "it has {length:,} characters; {max_length:,} are allowed",
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "string_type": "it is no text",
    "too_long": "it holds more than {max_length:,} things",
    "literal_error": "{given} is none of {expected}",
    "enum": "{given} is none of {expected}",
    "bool_parsing": "{given} is neither yes nor no",
    "float_parsing": "{given} is not a number",
    "int_parsing": "{given} is not a whole number",
    "less_than_equal": "{given} is more than {le:g}",
    "greater_than_equal": "{given} is less than {ge:g}",
    "multiple_of": "{given} is not a multiple of {multiple_of:g}",
}
"""What pydantic's validators find, by its name for it, in plain words."""
