"""Variables of a template: what is allowed, what stands there without a value, and what is refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from brightrun.domain.errors import TemplateFault
from brightrun.domain.variable import Variable, VariableType, filled

MOOD = Variable(
    name="mood", type=VariableType.CHOICE, choices=("Calm", "Tense"), default="Calm", help="Of the visitor"
)
AGE = Variable(name="age", type=VariableType.NUMBER)


def test_a_default_stands_where_a_scenario_has_no_value() -> None:
    """What is left out or empty gets the default; what is given stays; what has no default stays away."""
    assert filled((MOOD, AGE), {}) == {"mood": "Calm"}
    assert filled((MOOD, AGE), {"mood": "", "age": "40"}) == {"mood": "Calm", "age": "40"}
    assert filled((MOOD,), {"mood": "Tense", "other": "x"}) == {"mood": "Tense", "other": "x"}


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        (MOOD, "calm", "Did you mean Calm"),
        (MOOD, "Tens", "Did you mean Tense"),
        (MOOD, "furious", "allowed are: Calm, Tense"),
        (AGE, "forty", "no number"),
        (AGE, "inf", "no number"),
        (AGE, "nan", "no number"),
    ],
)
def test_a_misspelt_value_is_refused_with_what_was_meant(variable: Variable, value: str, said: str) -> None:
    """Nobody pays for a conversation about a mood that does not exist."""
    with pytest.raises(TemplateFault) as caught:
        filled((variable,), {variable.name: value})
    assert said in f"{caught.value.message} {caught.value.remedy}"
    assert caught.value.variable == variable.name


@pytest.mark.parametrize(
    "held",
    [
        {"name": "a b"},
        {"name": "a", "type": "choice"},
        {"name": "a", "choices": ("x",)},
        {"name": "a", "type": "choice", "choices": ("x",), "default": "y"},
        {"name": "a", "type": "number", "default": "many"},
    ],
)
def test_a_description_that_contradicts_itself_is_refused(held: dict[str, object]) -> None:
    """A default that is not allowed would be refused in every conversation."""
    with pytest.raises(ValidationError):
        Variable.model_validate(held)
