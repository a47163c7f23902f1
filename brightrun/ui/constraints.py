"""What a plan may not hold, or only so often: stated one by one, listed as sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from brightrun.domain.errors import BrightRunError, InvalidInput
from brightrun.domain.scenario import Tier
from brightrun.domain.space import (
    SCAFFOLDING,
    AtMost,
    Never,
    Only,
    Parts,
    Rule,
    Weight,
    at_most,
    never,
    only,
    weight,
)
from brightrun.services.scenarios import Axes
from brightrun.ui.frame import show_error
from brightrun.ui.session import begin, desk
from brightrun.ui.text import label_safe, plain, words

NEVER, AT_MOST, WEIGHT = "Never together", "At most, in each", "Draw more often"
TIES = {f"{words(axis)} only with": axis for axis in SCAFFOLDING}
HELP = {
    NEVER: "Pick values on two axes or more: no scenario holds them all.",
    AT_MOST: "Pick values, or leave an axis empty to leave it out; “each” counts every picked value by itself.",
    WEIGHT: "Pick values: a random sample draws them so many times as often, a cover where it has places to spare.",
}


Names = Mapping[tuple[str, str], str]


def draw_constraints(known: Axes, chosen: Mapping[str, Sequence[str]]) -> tuple[Rule, ...]:
    """Let a person state, read and remove rules; returns those that hold."""
    own, names = desk(), _names(known)
    with st.expander("Rules: never together, only with, at most, more often"):
        for place, rule in enumerate(own.constraints):
            sentence, button = st.columns([9, 2], vertical_alignment="center")
            sentence.markdown(f"{place + 1}. {label_safe(_sentence(rule, names), limit=300)}")
            button.button("Remove", key=f"rule-remove-{place}", on_click=_remove, args=(place,))
        _draw_form(chosen, names)
    return tuple(own.constraints)


def _draw_form(chosen: Mapping[str, Sequence[str]], names: Names) -> None:
    ties = [label for label, axis in TIES.items() if axis in chosen]
    left, right = st.columns([3, 2])
    kind = left.selectbox("Kind of rule", [NEVER, *ties, AT_MOST, WEIGHT], key="rule-kind")
    number = right.number_input(
        "How many" if kind == AT_MOST else "How many times as often",
        0.0 if kind == AT_MOST else 0.1,
        1000.0,
        5.0 if kind == AT_MOST else 2.0,
        step=1.0,
        disabled=kind not in (AT_MOST, WEIGHT),
        key=f"rule-number-{kind == AT_MOST}",
    )
    turn = len(desk().constraints)  # a rule that was added leaves empty fields behind
    picked = {
        axis: tuple(
            st.multiselect(
                words(axis) if axis in SCAFFOLDING else label_safe(axis, limit=40),
                list(values),
                format_func=partial(_name, names, axis),
                key=f"rule-{axis}-{turn}",
                placeholder="Not part of this rule",
                wrap=True,
            )
        )
        for axis, values in chosen.items()
    }
    st.caption(HELP.get(str(kind), "Where the first has one of its values, the others have only theirs."))
    if st.button("Add this rule", key="rule-add"):
        own = begin()
        try:
            rule = _rule(
                str(kind), float(number), {axis: values for axis, values in picked.items() if values}
            )
        except BrightRunError as fault:
            show_error(fault)  # here, not above the page, where it would close what is open
        else:
            own.constraints.append(rule)
            st.rerun()


def _remove(place: int) -> None:
    own = begin()
    if place < len(own.constraints):
        del own.constraints[place]


def _rule(kind: str, number: float, parts: Parts) -> Rule:
    if kind == NEVER:
        return never(parts)
    if kind in TIES:
        return only(TIES[kind], parts)
    if kind == AT_MOST:
        if number != int(number):
            raise InvalidInput("“At most” needs a whole number.", remedy="Leave the fraction out.")
        return at_most(int(number), parts)
    return weight(number, parts)


def _sentence(rule: Rule, names: Names) -> str:
    if isinstance(rule, Never):
        return f"Never together: {_told(rule.parts, names)}"
    if isinstance(rule, Only):
        held = _told({rule.axis: rule.values}, names)
        return f"{held}: only with {_told(rule.others, names)}"
    if isinstance(rule, AtMost):
        return f"At most {rule.number:,} in each of: {_told(rule.parts, names)}"
    assert isinstance(rule, Weight)
    return f"{rule.factor:g} times as often: {_told(rule.parts, names)}"


def _told(parts: Parts, names: Names) -> str:
    told = {
        axis: " or ".join(_name(names, axis, value) for value in values) for axis, values in parts.items()
    }
    return " and ".join(f"{axis} {values or '(each)'}" for axis, values in told.items())


def _names(known: Axes) -> Names:
    return {
        **{("persona", p.persona_key): p.name for p in known.personas},
        **{("arc", a.arc_key): a.name for a in known.arcs},
        **{("topic", t.topic_key): t.name for t in known.topics},
        **{("tier", tier.value): words(tier.value) for tier in Tier},
    }


def _name(names: Names, axis: str, value: str) -> str:
    return plain(names.get((axis, value), value))
