"""A template's own variables: what each may hold, what stands there without a value, and what it is for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from brightrun.domain.errors import TemplateFault
from brightrun.domain.text import without_nul

T = TypeVar("T")
Value = Annotated[str, Field(min_length=1, max_length=500)]


class VariableType(StrEnum):
    TEXT = "text"
    """Any text."""
    NUMBER = "number"
    """A number, with a point for decimals."""
    CHOICE = "choice"
    """One of the allowed values, spelt as they are."""


class Variable(BaseModel):
    """One variable of a template's own, described."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    name: str = Field(pattern=r"^[A-Za-z_]\w*$", max_length=80)
    type: VariableType = VariableType.TEXT
    choices: tuple[Value, ...] = Field((), max_length=200)
    """Allowed values of a choice; none for the other types."""
    default: str = Field("", max_length=2_000)
    """What a scenario without a value gets; empty: nothing."""
    help: str = Field("", max_length=500)

    @field_validator("*")
    @classmethod
    def _storable(cls, value: T) -> T:
        return without_nul(value)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.type is VariableType.CHOICE and not self.choices:
            raise ValueError(f"{self.name} is a choice without values")
        if self.type is not VariableType.CHOICE and self.choices:
            raise ValueError(f"{self.name} has allowed values but is no choice")
        if self.default and (why := self._why_not(self.default)):
            raise ValueError(f"the default of {why}")
        return self

    def sample(self, text: str) -> str:
        """Return a value that is allowed: this text where any is."""
        if self.choices:
            return self.choices[0]
        return "1" if self.type is VariableType.NUMBER else text

    def require(self, value: str) -> None:
        """Raise TemplateFault where a value is not one of those allowed."""
        why = self._why_not(value)
        if not why:
            return
        close = difflib.get_close_matches(value.lower(), [choice.lower() for choice in self.choices], n=1)
        meant = next((c for c in self.choices if close and c.lower() == close[0]), None)
        raise TemplateFault(
            f"{why[0].upper()}{why[1:]}.",
            remedy=f"Did you mean {meant}?" if meant else "Give the scenario another value.",
            variable=self.name,
        )

    def _why_not(self, value: str) -> str:
        if self.type is VariableType.CHOICE and value not in self.choices:
            return f"{self.name} is {value!r}, allowed are: {', '.join(self.choices)}"
        if self.type is VariableType.NUMBER and not _is_number(value):
            return f"{self.name} is {value!r}, which is no number"
        return ""


def filled(variables: Sequence[Variable], own: Mapping[str, object]) -> dict[str, object]:
    """Return values with the defaults of those that have none; raises TemplateFault for a misspelt one."""
    values = dict(own)
    for variable in variables:
        value = values.get(variable.name)
        if value in (None, ""):
            if variable.default:
                values[variable.name] = variable.default
            continue
        variable.require(str(value))
    return values


def _is_number(text: str) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    return number == number and abs(number) != float("inf")
