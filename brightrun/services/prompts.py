"""Prompts: what a template may read of a scenario, and the text it renders to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_type_hints

from jinja2 import TemplateSyntaxError

from brightrun.domain.errors import InvalidInput, TemplateFault
from brightrun.domain.scenario import Cast, EmotionalArc, Persona, Topic
from brightrun.domain.text import clean
from brightrun.services.cell import Cell
from brightrun.services.rendering import FAULTS, finished, is_plain, names, told

MAX_VARIABLE = 8_000


_CELL = Cell()


def render(text: str, variables: Mapping[str, Any], *, name: str) -> str:
    """Return the rendered text; raises TemplateFault naming the variable or the line.

    A text whose work nobody can foresee is rendered in a process of its own, which may be ended over it.
    """
    with _named(name):
        return finished(text, variables) if is_plain(text) else _CELL.render(text, variables)


def variables_of(text: str, *, name: str = "template") -> set[str]:
    """Return the variables a text reads; raises TemplateFault with the line of a syntax error."""
    with _named(name):
        return names(text) if is_plain(text) else _CELL.names(text)


def cast_variables(cast: Cast) -> dict[str, Any]:
    """Return what a template may read of the scaffolding and of the scenario's own variables.

    Raises InvalidInput for an own variable that hides a built-in one, or is too long.
    """
    built_in = _scaffolding(cast)
    own: dict[str, str] = {}
    for name, value in cast.scenario.variables.items():
        if name in built_in or name in RESERVED:
            raise InvalidInput(
                f"The variable {name!r} is one of Bright Run's own.", remedy="Map the column to another name."
            )
        text = clean(value)
        if len(text) > MAX_VARIABLE:
            raise InvalidInput(
                f"The variable {name!r} has {len(text):,} characters; {MAX_VARIABLE:,} are allowed."
            )
        own[name] = text
    return built_in | own


def made_up(text: str) -> dict[str, Any]:
    """Return values for all that Bright Run gives a template, of the types they have, each text this one."""
    found: dict[str, Any] = {"tier": text, "turns": 6, "words_min": 40, "words_max": 80}
    for kind, fields in ((Persona, PERSONA), (EmotionalArc, ARC), (Topic, TOPIC)):
        types = get_type_hints(kind)
        samples = {str: text, float: 0.5, tuple[str, ...]: (text, text)}
        found |= {name: samples.get(types[field], {}) for name, field in fields.items()}
    return found


RESERVED = frozenset({"turns", "words_min", "words_max", "tier"})


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn whatever goes wrong with a text into a TemplateFault that says in which template."""
    try:
        yield
    except TemplateSyntaxError as fault:
        raise TemplateFault(
            f"Template {name}, line {fault.lineno}: {(fault.message or '').rstrip('.')}.",
            remedy="Correct that line.",
            line=fault.lineno,
        ) from fault
    except TemplateFault as fault:
        raise _fault(name, fault.message.rstrip("."), fault.variable, fault.remedy) from fault
    except FAULTS as fault:
        message, variable = told(fault)
        raise _fault(name, message, variable) from fault


def _fault(name: str, message: str, variable: str | None, remedy: str = "") -> TemplateFault:
    if variable:
        remedy = "Give the scenario that variable, or correct its name in the template."
    return TemplateFault(
        f"Template {name}: {message}.", remedy=remedy or "Correct the template.", variable=variable
    )


def _scaffolding(cast: Cast) -> dict[str, Any]:
    found: dict[str, Any] = {"tier": cast.scenario.tier.value}
    for holder, fields in ((cast.persona, PERSONA), (cast.arc, ARC), (cast.topic, TOPIC)):
        if holder:
            found |= {name: getattr(holder, field) for name, field in fields.items()}
    if cast.persona:
        found["persona_demographics"] = dict(cast.persona.demographics)
    return found


PERSONA = {
    "persona_key": "persona_key",
    "persona_name": "name",
    "persona_archetype": "archetype",
    "persona_age": "age_range",
    "persona_occupation": "occupation",
    "persona_income": "income_range",
    "persona_demographics": "demographics",
    "persona_financial_background": "financial_background",
    "persona_financial_situation": "financial_situation",
    "persona_communication_style": "communication_style",
    "persona_emotional_baseline": "emotional_baseline",
    "persona_typical_questions": "typical_questions",
    "persona_common_concerns": "common_concerns",
    "persona_language_patterns": "language_patterns",
}
ARC = {
    "emotional_arc_key": "arc_key",
    "emotional_arc_name": "name",
    "starting_emotion": "starting_emotion",
    "starting_intensity_min": "starting_intensity_min",
    "starting_intensity_max": "starting_intensity_max",
    "ending_emotion": "ending_emotion",
    "ending_intensity_min": "ending_intensity_min",
    "ending_intensity_max": "ending_intensity_max",
    "arc_strategy": "arc_strategy",
    "arc_key_principles": "key_principles",
    "arc_characteristic_phrases": "characteristic_phrases",
    "arc_techniques": "response_techniques",
    "arc_avoid_tactics": "avoid_tactics",
}
TOPIC = {
    "topic_key": "topic_key",
    "topic_name": "name",
    "topic_category": "category",
    "topic_description": "description",
    "topic_complexity": "complexity_level",
    "topic_example_questions": "typical_question_examples",
    "topic_key_concepts": "key_concepts",
}
BUILT_IN = (*PERSONA, *ARC, *TOPIC)
"""Variables that the scaffolding gives: each where its persona, arc or topic is chosen."""
