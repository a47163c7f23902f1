"""Scenarios from the scaffolding: axes, rules, how many of the combinations, and how they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.errors import InvalidInput
from brightrun.domain.scenario import EmotionalArc, Scenario, Tier
from brightrun.domain.space import SCAFFOLDING, Method, Rule, grouped, own_axes
from brightrun.services.drafts import own_variables
from brightrun.services.plans import MAX_ITEMS
from brightrun.services.scenarios import AXIS_NAMES, Axes
from brightrun.services.spaces import Chosen
from brightrun.ui.axes import axis_names
from brightrun.ui.constraints import draw_constraints
from brightrun.ui.counts import ask_count
from brightrun.ui.frame import Place, empty_state
from brightrun.ui.plan_map import draw_plan_map
from brightrun.ui.session import place, set_place
from brightrun.ui.text import counted, distinct, label_safe, plain, words
from brightrun.ui.variables import draw_axes

METHODS = {
    Method.EVERY: "Every combination",
    Method.SAMPLE: "A random sample",
    Method.COVER: "Cover every pair",
}
TEMPLATE = "order-template"
"""Where the template that is chosen for the batch is kept."""
INSTEAD = {
    "persona": "Choose personas in their own list, above.",
    "arc": "Choose emotional arcs in their own list, above.",
    "topic": "Choose topics in their own list, above.",
    "tier": "Choose tiers in their own list, beside this one.",
}
"""What to do where a variable of one's own would have the name of a part of the scaffolding."""


def draw_space(app: App) -> tuple[str, Chosen] | None:
    """Let a person choose axes and how to combine them; returns a key that is equal when the choice is."""
    known = app.scenarios.axes()
    if not (known.personas and known.arcs and known.topics):
        empty_state(
            "The scaffolding is empty",
            "There are no personas, emotional arcs or topics to combine. Load the seed, or use a file.",
            link=Place.SYSTEM,
            label="What is missing",
        )
        return None
    _follow_link(app, known)
    axes = {**_scaffolding(known), **_chosen_template(app), **_own_variables()}
    chosen = {axis: tuple(values) for axis, values in axes.items() if values}
    if not chosen:
        st.info("Choose at least one persona, arc or topic. An empty list leaves that open.")
        return None
    _draw_formula(chosen)
    faults: list[InvalidInput] = []
    method, number, seed, strength = _method(faults)
    rules = draw_constraints(known, chosen)
    only_fitting = st.checkbox(
        "Leave out combinations whose parts are not made for each other",
        key="axis-only-fitting",
        persist_state="session",
        help="An arc or topic can name the personas, arcs and topics it suits. The others can be written too.",
    )
    is_new = st.checkbox(
        "Leave out what is already written or on its way",
        key="axis-new",
        persist_state="session",
        help="A scenario whose every conversation was rejected counts as not written.",
    )
    if (
        faults
    ):  # said beside the field, and nothing is chosen by another number than the one that stands there
        return None
    made = _chosen(app, chosen, tuple(rules), only_fitting, method, number, seed, strength, is_new)
    _draw_choice(app, made, chosen)
    return repr((chosen, rules, only_fitting, method, number, seed, strength, len(made.scenarios))), made


def draw_top_up(app: App) -> Sequence[Scenario]:
    """Show what rejection emptied and return it; empty where there is nothing."""
    emptied = app.spaces.emptied()
    if not emptied:
        st.info("Nothing to top up: no scenario has lost every conversation to rejection.")
        return []
    st.markdown(
        f"{counted(len(emptied), 'scenario')} lost every conversation to rejection and will be written again:"
    )
    rows = [
        dict.fromkeys(AXIS_NAMES.values(), "any")
        | app.scenarios.parts(s)
        | {"Scenario": app.scenarios.title(s)}
        for s in emptied[:200]
    ]
    st.dataframe(
        pd.DataFrame(rows).map(plain, na_action="ignore"),
        hide_index=True,
        height="content" if len(rows) < 7 else 240,
    )
    return emptied


def _follow_link(app: App, known: Axes) -> None:
    """Choose what the address asks for, once: a link may name one persona, arc and topic."""
    fields = {"persona": "axis-personas", "arc": "axis-arcs", "topic": "axis-topics"}
    wanted = {name: place(name) for name in fields}
    if not any(wanted.values()):
        return
    offered, every = axis_names(known), axis_names(app.scenarios.axes(active_only=False))
    for name, key in fields.items():
        asked = wanted[name]
        st.session_state[key] = [asked] if asked in offered[name] else []
        set_place(name, None)
        if asked is None or asked in offered[name]:
            continue
        if asked in every[name]:
            st.warning(
                f"The {name} {label_safe(every[name][asked], limit=60)} is not offered any more, and not chosen. "
                "Offer it again on the Scaffolding page."
            )
        else:
            st.warning(f"There is no {name} {label_safe(asked, limit=60)} in the scaffolding.")


def _scaffolding(known: Axes) -> dict[str, list[str]]:
    labels = distinct([(f"{p.name}, {p.archetype}", p.persona_key) for p in known.personas], limit=80)
    personas = dict(zip((p.persona_key for p in known.personas), labels, strict=True))
    chosen_personas = _choose("Personas: who asks", personas, "axis-personas")
    chosen_arcs = _choose_arcs(known.arcs)
    chosen_topics = _choose("Topics: what it is about", axis_names(known)["topic"], "axis-topics")
    return {"persona": chosen_personas, "arc": chosen_arcs, "topic": chosen_topics}


def _choose(label: str, names: Mapping[str, str], key: str) -> list[str]:
    return st.multiselect(
        label,
        list(names),
        format_func=lambda value: plain(names[value]),
        key=key,
        persist_state="session",
        placeholder="Any",
        wrap=True,  # else a row that is directly in a column scrolls sideways and hides the first
    )


def _choose_arcs(arcs: Sequence[EmotionalArc]) -> list[str]:
    row = st.container(horizontal=True, vertical_alignment="top")  # where there is no room, it wraps
    column, kind = row.container(width="stretch"), row.container(width="content")
    shown = kind.segmented_control(
        "Kinds of arc",
        ["all", "core", "edge"],
        default="all",
        required=True,
        format_func=words,
        key="axis-arc-kind",
        help="Edge arcs are rare or difficult: crisis, hostility, out of scope.",
    )
    labels = distinct(
        [(f"{a.name} ({a.starting_emotion} → {a.ending_emotion})", a.arc_key) for a in arcs], limit=90
    )
    names = dict(zip((a.arc_key for a in arcs), labels, strict=True))
    offered = [a.arc_key for a in arcs if shown == "all" or a.category == shown]
    kept = [key for key in st.session_state.get("axis-arcs", []) if key not in offered]
    with column:
        return _choose(
            "Emotional arcs: how the feeling moves", {k: names[k] for k in [*offered, *kept]}, "axis-arcs"
        )


def _chosen_template(app: App) -> dict[str, list[str]]:
    """Ask for the variables of the template that is chosen further down, or for all that are described."""
    key = st.session_state.get(TEMPLATE)
    templates = app.templates.all()
    template = next((t for t in templates if t.template_key == key), None)
    if template is not None:
        return draw_axes(own_variables(template.version), template.version.variables)
    described = {v.name: v for t in templates for v in t.version.variables}
    if not described:
        return {}
    with st.expander("Variables that a template describes"):
        return draw_axes(list(described), list(described.values()))


def _own_variables() -> dict[str, list[str]]:
    """Return tiers and own variables where a person lets them vary too."""
    with st.expander("Let something else vary"):
        tiers = st.multiselect(
            "Tiers",
            [tier.value for tier in Tier],
            format_func=words,
            key="axis-tiers",
            persist_state="session",
            placeholder="Each arc's own",
            wrap=True,
        )
        text = st.text_area(
            "Variables of your own, one a line",
            key="axis-own",
            persist_state="session",
            placeholder="mood: calm, tense\ncountry: Austria, Kenya, Peru",
            height=100,
            help="A template reads them by their names.",
        )
    axes: dict[str, list[str]] = {"tier": list(tiers)}
    return axes | own_axes("The list of variables", (text or "").splitlines(), INSTEAD)


def _draw_formula(chosen: Mapping[str, Sequence[str]]) -> None:
    total = 1
    parts = []
    for axis in dict.fromkeys(("persona", "arc", "topic", *chosen)):
        number = len(chosen.get(axis, ()))
        total *= number or 1
        name = axis if axis in SCAFFOLDING else label_safe(axis, limit=30)
        parts.append(counted(number, name) if number else f"any {name}")
    st.markdown(f"{' × '.join(parts)} = **{counted(total, 'combination')}**")


def _method(faults: list[InvalidInput]) -> tuple[Method, int | None, int, int]:
    """Ask how many, in fields that outlive a run without them: a cover that was forgotten becomes all there are."""
    method = st.segmented_control(
        "How many of them",
        list(METHODS),
        default=Method.EVERY,
        required=True,
        format_func=METHODS.__getitem__,
        key="axis-method",
        persist_state="session",
        help="A cover holds every allowed pair of a persona and a topic, a persona and an arc, and so on.",
    )
    if method is Method.EVERY:
        return Method.EVERY, None, 0, 2
    left, right = st.columns(2)
    number, strength = None, 2
    if method is Method.SAMPLE:
        number = ask_count(
            left, "How many to draw", (1, MAX_ITEMS), faults, key="axis-number", value="100", is_needed=True
        )
    else:
        strength = left.selectbox(
            "Values covered together",
            [2, 3, 4],
            key="axis-strength",
            persist_state="session",
            help="2 covers every allowed pair, 3 every triple: far more scenarios, far fewer surprises.",
        )
    seed = ask_count(
        right, "Seed", (0, 1_000_000), faults, key="axis-seed", value="0", help="Another seed, another draw."
    )
    return Method(str(method)), number, seed or 0, strength


@st.cache_resource(max_entries=3, ttl=60, scope="session", show_spinner="Choosing scenarios…")
def _chosen(
    _app: App,
    axes: Mapping[str, tuple[str, ...]],
    rules: tuple[Rule, ...],
    only_fitting: bool,
    method: Method,
    number: int | None,
    seed: int,
    strength: int,
    is_new: bool,
) -> Chosen:
    space = _app.spaces.space(axes, rules, only_fitting=only_fitting)
    return _app.spaces.choose(
        space, method, number=number, seed=seed, strength=strength, leave_out_known=is_new
    )


def _draw_choice(app: App, made: Chosen, chosen: Mapping[str, Sequence[str]]) -> None:
    told = [f"**{counted(len(made.scenarios), 'conversation')}**"]
    if made.allowed != made.total:
        told.append(f"{made.allowed:,} of {made.total:,} combinations are allowed")
    if made.groups:
        share = made.covered / made.groups
        told.append(f"{made.covered:,} of {made.groups:,} {grouped(made.strength)} are covered ({share:.0%})")
    if made.known:
        told.append(f"{made.known:,} left out: written or on their way")
    st.markdown(" · ".join(told))
    for caution in made.cautions(axis_names(app.scenarios.axes())):
        st.warning(label_safe(caution, limit=400))
    if made.scenarios:
        draw_plan_map(app, made, chosen)
