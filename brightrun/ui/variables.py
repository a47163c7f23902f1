"""A template's own variables on the screen: described once, then asked for with that everywhere."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.person import Action
from brightrun.domain.template import Template, TemplateVersion
from brightrun.domain.variable import Variable, VariableType
from brightrun.services.drafts import draft_of, own_variables
from brightrun.ui.drafts import publish
from brightrun.ui.text import label_safe, plain, words


def draw_variables(app: App, template: Template) -> None:
    """Let a person describe each variable that the template's text reads and Bright Run does not give."""
    version = template.version
    names = own_variables(version)
    if not names:
        st.caption("Its text reads nothing but what Bright Run gives.")
        return
    known = {variable.name: variable for variable in version.variables}
    locked = not app.may(Action.PUBLISH_TEMPLATE)
    with st.form(f"variables-{version.id}", border=False):
        st.caption("A value that is not allowed is refused before anything is paid for.")
        described = [
            _draw_one(known.get(name) or Variable(name=name), f"variable-{version.id}-{name}", locked=locked)
            for name in names
        ]
        if not st.form_submit_button(
            "Publish the next version with these", type="primary", key="variables-publish", disabled=locked
        ):
            return
    publish(app, draft_of(template, version).model_dump() | {"variables": described})


def draw_values(version: TemplateVersion, key: str) -> dict[str, str]:
    """Ask for one value of each of a version's own variables, by how they are described."""
    known = {variable.name: variable for variable in version.variables}
    return {
        name: _ask(known.get(name) or Variable(name=name), f"{key}-{name}") for name in own_variables(version)
    }


def draw_axes(names: Sequence[str], variables: Sequence[Variable]) -> dict[str, list[str]]:
    """Ask which values of variables vary in a plan, by how they are described; none leaves one at its default."""
    known = {variable.name: variable for variable in variables}
    return {name: _vary(known.get(name) or Variable(name=name), f"vary-{name}") for name in names}


def _draw_one(variable: Variable, key: str, *, locked: bool) -> dict[str, object]:
    st.markdown(f"**{label_safe(variable.name)}**")
    kind_at, choices_at, default_at, help_at = st.columns([2, 4, 3, 5])
    kind = kind_at.selectbox(
        f"Type of {variable.name}",
        list(VariableType),
        index=list(VariableType).index(variable.type),
        format_func=words,
        key=f"{key}-type",
        disabled=locked,
    )
    choices = choices_at.text_input(
        f"Allowed values of {variable.name}",
        ", ".join(variable.choices),
        key=f"{key}-choices",
        placeholder="calm, tense",
        help="For a choice, with commas between.",
        disabled=locked,
    )
    default = default_at.text_input(
        f"Default of {variable.name}", variable.default, key=f"{key}-default", disabled=locked
    )
    told = help_at.text_input(
        f"What {variable.name} is for", variable.help, key=f"{key}-help", disabled=locked
    )
    return {
        "name": variable.name,
        "type": kind,
        "choices": tuple(part.strip() for part in (choices or "").split(",") if part.strip()),
        "default": default or "",
        "help": told or "",
    }


def _ask(variable: Variable, key: str) -> str:
    key = f"{key}-{variable.type}"
    if variable.type is VariableType.CHOICE:
        chosen = st.selectbox(
            label_safe(variable.name),
            variable.choices,
            index=None,
            format_func=plain,
            key=key,
            placeholder=variable.default or "Nothing",
            help=variable.help or None,
        )
        return str(chosen or "")
    return str(
        st.text_input(
            label_safe(variable.name), key=key, placeholder=variable.default, help=variable.help or None
        )
        or ""
    )


def _vary(variable: Variable, key: str) -> list[str]:
    key = f"{key}-{variable.type}"
    label = f"{label_safe(variable.name)}{f': {label_safe(variable.help)}' if variable.help else ''}"
    empty = f"{variable.default}, its default" if variable.default else "Nothing"
    if variable.type is VariableType.CHOICE:
        return list(
            st.multiselect(
                label,
                variable.choices,
                format_func=plain,
                key=key,
                persist_state="session",
                placeholder=empty,
                wrap=True,
            )
        )
    text = st.text_area(
        f"{label}, one value a line", key=key, persist_state="session", placeholder=empty, height=80
    )
    return [line.strip() for line in (text or "").splitlines() if line.strip()]
