"""The space of scenarios: axes with their values, and what is allowed, weighed and limited in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod

from brightrun.domain.errors import InvalidInput
from brightrun.domain.scenario import Scenario, Tier

SCAFFOLDING = ("persona", "arc", "topic", "tier")
MAX_COMBINATIONS = 20_000_000
"""More could not be gone through while a page waits; each combination costs four bytes meanwhile."""
MAX_WEIGHT = 1_000.0
FORMS = (
    "Write: never persona=a,b topic=c · only tier=edge_case arc=d · at most 5 persona topic · "
    "weight 3 persona=a."
)

Parts = Mapping[str, tuple[str, ...]]
"""Values by axis; none stands for every value of that axis."""


class Method(StrEnum):
    """How scenarios are chosen from the allowed combinations."""

    EVERY = "every"
    SAMPLE = "sample"
    COVER = "cover"
    """As few as hold every allowed pair (or triple) of values."""


@dataclass(frozen=True, slots=True)
class Never:
    """Values that never stand together."""

    parts: Parts


@dataclass(frozen=True, slots=True)
class Only:
    """Where `axis` has one of `values`, the other axes have only theirs."""

    axis: str
    values: tuple[str, ...]
    others: Parts


@dataclass(frozen=True, slots=True)
class AtMost:
    """No more than `number` scenarios in each cell that `parts` spans."""

    number: int
    parts: Parts

    def cell(self, values: Mapping[str, str]) -> tuple[str, ...] | None:
        """Return which of its cells a combination fills; None where it speaks of others."""
        if all(not named or values[axis] in named for axis, named in self.parts.items()):
            return tuple(values[axis] for axis in self.parts)
        return None


@dataclass(frozen=True, slots=True)
class Weight:
    """These values are drawn `factor` times as often as others."""

    factor: float
    parts: Parts


Rule = Never | Only | AtMost | Weight


@dataclass(frozen=True, slots=True)
class Space:
    """Axes in order, each with its distinct values; an axis without values is left open."""

    axes: Mapping[str, Sequence[str]]
    rules: Sequence[Rule] = ()
    tier_of_arc: Mapping[str, Tier] = field(default_factory=dict)
    """The tier of a scenario where `tier` is no axis."""

    @property
    def size(self) -> int:
        """Return how many combinations there are, allowed or not; nothing to vary is none."""
        return prod(len(values) for values in self.axes.values()) if self.axes else 0

    def require(self) -> None:
        """Raise InvalidInput where a rule names what is not there, or the space is too large."""
        for number, rule in enumerate(self.rules, start=1):
            for axis, values in _named(rule).items():
                self._require(number, axis, values)
        if self.size > MAX_COMBINATIONS:
            raise InvalidInput(
                f"{self.size:,} combinations are more than can be looked through ({MAX_COMBINATIONS:,}).",
                remedy="Choose fewer values on an axis, or plan in parts.",
            )

    def scenario(self, values: Mapping[str, str]) -> Scenario:
        """Return the scenario of one combination."""
        arc = values.get("arc")
        tier = values.get("tier") or self.tier_of_arc.get(arc or "", Tier.SCENARIO)
        own = {name: value for name, value in values.items() if name not in SCAFFOLDING}
        return Scenario(Tier(tier), values.get("persona"), arc, values.get("topic"), own)

    def _require(self, number: int, axis: str, values: Iterable[str]) -> None:
        if axis not in self.axes:
            raise InvalidInput(
                f"Rule {number} speaks of {axis!r}, which does not vary in this plan.",
                remedy=f"Choose values for it, or use one of: {', '.join(self.axes) or 'nothing varies yet'}.",
            )
        for value in values:
            if value not in self.axes[axis]:
                raise InvalidInput(
                    f"Rule {number}: {axis} {value!r} is not among the chosen ones.",
                    remedy=f"Chosen are: {', '.join(list(self.axes[axis])[:8])}.",
                )


def grouped(strength: int) -> str:
    """Return what so many values that stand together are called."""
    return {2: "pairs of values", 3: "triples of values"}.get(strength, f"combinations of {strength} values")


def parse_rule(text: str) -> Rule:
    """Return the rule a line states; raises InvalidInput with the forms there are.

    `never persona=a,b topic=c` · `only tier=edge_case arc=d,e` · `at most 5 persona topic=c` ·
    `weight 3 persona=a`
    """
    words = text.split()
    head = " ".join(words[:2]).lower()
    try:
        if head.startswith("never "):
            return never(_parts(words[1:]))
        if head.startswith("only "):
            parts = _parts(words[1:])
            axis = next(iter(parts))
            return only(axis, parts)
        if head == "at most":
            return at_most(int(words[2]), _parts(words[3:]))
        if head.startswith("weight "):
            return weight(float(words[1]), _parts(words[2:]))
    except (ValueError, IndexError, StopIteration) as fault:
        raise _unclear(text) from fault
    except InvalidInput as fault:
        raise InvalidInput(f"The rule {text!r}: {fault.message}", remedy=FORMS) from fault
    raise _unclear(text)


def own_axes(source: str, lines: Iterable[str], instead: Mapping[str, str]) -> dict[str, list[str]]:
    """Return variables of one's own and their values, one a line: `mood: calm, tense` or `mood=calm,tense`.

    source: what the lines are called where a line is refused; instead: the remedy by the name that is not one's
    own to give. Raises InvalidInput.
    """
    axes: dict[str, list[str]] = {}
    for line in filter(str.strip, lines):
        name, *rest = (part.strip() for part in re.split("[:=]", line, maxsplit=1))
        values = [value.strip() for value in "".join(rest).split(",") if value.strip()]
        if name in SCAFFOLDING:
            raise InvalidInput(
                f"{source} names {name!r}, which Bright Run gives itself.", remedy=instead[name]
            )
        if not name.isidentifier() or not values:
            raise InvalidInput(
                f"{source}: {line.strip()!r} is not a variable with values.",
                remedy="Write mood=calm,tense or mood: calm, tense.",
            )
        if name in axes:  # neither list of values is more meant
            raise InvalidInput(
                f"{source} names {name!r} twice.", remedy="Give all its values once; nothing was done."
            )
        axes[name] = values
    return axes


def never(parts: Parts) -> Never:
    """Return a rule that needs at least two axes with values; raises InvalidInput."""
    if len(parts) < 2 or not all(parts.values()):
        raise InvalidInput(
            "“Never together” needs values on at least two axes.",
            remedy="Pick a persona and a topic, for example.",
        )
    return Never(parts)


def only(axis: str, parts: Parts) -> Only:
    """Return a rule that ties one axis' values to those of others; raises InvalidInput."""
    others = {name: values for name, values in parts.items() if name != axis}
    if not parts.get(axis) or not others or not all(others.values()):
        raise InvalidInput(
            f"“{axis.capitalize()} only with” needs values of {axis} and of at least one other axis.",
            remedy="Pick a tier and the arcs it may have, for example.",
        )
    return Only(axis, parts[axis], others)


def at_most(number: int, parts: Parts) -> AtMost:
    """Return a limit for each cell of the named axes; raises InvalidInput."""
    if number < 0 or not parts:
        raise InvalidInput(
            "“At most” needs a number from 0 and at least one axis.",
            remedy="Pick the values, or the axes, whose cells are limited.",
        )
    return AtMost(number, parts)


def weight(factor: float, parts: Parts) -> Weight:
    """Return how much more often values are drawn; raises InvalidInput."""
    if not 0 < factor <= MAX_WEIGHT or not parts or not all(parts.values()):
        raise InvalidInput(
            f"A weight is above 0, at most {MAX_WEIGHT:,.0f}, and names values.",
            remedy="Pick the values to be drawn more often.",
        )
    return Weight(factor, parts)


def _named(rule: Rule) -> Parts:
    return {rule.axis: rule.values, **rule.others} if isinstance(rule, Only) else rule.parts


def _parts(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    parts: dict[str, tuple[str, ...]] = {}
    for word in words:
        axis, _, values = word.partition("=")
        if not re.fullmatch(r"\w+", axis):
            raise ValueError(word)
        parts[axis] = tuple(value for value in values.split(",") if value)
    return parts


def _unclear(text: str) -> InvalidInput:
    return InvalidInput(f"The rule {text!r} is not understood.", remedy=FORMS)
