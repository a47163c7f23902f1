"""The editor of templates: the next version of one, a new one, or one that comes from a file."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError, InvalidInput
from brightrun.domain.person import Action
from brightrun.domain.scenario import Tier
from brightrun.domain.template import Template, TemplateVersion
from brightrun.services.drafts import MAX_KEY, MAX_NAME, MAX_WORDS, TemplateDraft, from_file
from brightrun.services.prompts import ARC, BUILT_IN, PERSONA, RESERVED
from brightrun.ui.counts import ask_count
from brightrun.ui.frame import show_error, show_faults
from brightrun.ui.session import begin, desk, person
from brightrun.ui.text import counted, label_safe, words

TEXTS = {
    "system_text": "System prompt sent to the writer",
    "user_text": "Order sent to the writer",
    "dataset_system_text": "System message of the training row (may be empty)",
}
NEW = "new"
FIELDS = ("name", "tier", *TEXTS, "required", "optional", "min", "max")
"""What can be typed of a version, by the ends of its fields' keys."""


def draw_upload(app: App) -> None:
    """Let a person bring a template from a file: it becomes the next version of its key."""
    with st.expander("Publish a template from a file"):
        uploaded = st.file_uploader("A template's file", type=["json"], key="template-upload")
        if uploaded is None:
            st.caption(
                "Made by “Download it as a file” or by `brightrun templates export`, here or elsewhere."
            )
            return
        try:
            draft = from_file(uploaded.getvalue(), uploaded.name)
        except BrightRunError as fault:
            show_error(fault)
            return
        known = {template.template_key for template in app.templates.all(active_only=False)}
        place = "the next version of" if draft.template_key in known else "a new template"
        st.markdown(f"**{label_safe(draft.name)}** will be {place} `{draft.template_key}`.")
        if st.button(
            "Publish it",
            type="primary",
            key="template-upload-publish",
            disabled=not app.may(Action.PUBLISH_TEMPLATE),
        ):
            publish(app, draft.model_dump())


def draw_editor(app: App, template: Template | None) -> None:
    """Let a person edit the next version; nothing is published while anything is wrong with it.

    No form: what is typed in one reaches nobody before it is sent, and a look at another page would lose it.
    """
    version = _begun_from(app, template) if template else None
    prefix = _prefix(version)
    locked = not app.may(Action.PUBLISH_TEMPLATE)
    looks: dict[str, Any] = {"disabled": locked, "persist_state": "session"}
    changed: dict[str, object] = _draw_names(template, prefix, looks)
    for field, label in TEXTS.items():
        changed[field] = st.text_area(
            label,
            value=getattr(version, field) if version else "",
            height=120 if field == "dataset_system_text" else 260,
            key=f"{prefix}-{field}",
            **looks,
        )
    faults: list[InvalidInput] = []
    declared = _draw_declared(version, prefix, looks) | _draw_words(version, prefix, looks, faults)
    _draw_variables()
    if st.button(
        "Publish the next version" if template else "Publish",
        type="primary",
        key=f"{prefix}-publish",
        disabled=locked,
    ):
        for wrong in faults:
            show_error(wrong)
        if faults:
            return
        kept = _kept(template, version, {*declared["required"], *declared["optional"]})
        publish(app, kept | changed | declared, edited=template)
    _remember(prefix)


def _prefix(version: TemplateVersion | None) -> str:
    return f"edit-{version.id}" if version else f"edit-{NEW}-{desk().published}"


def begin_from(template: Template, version: TemplateVersion) -> None:
    """Put a version's texts into the editor, in place of what is typed there."""
    held, prefix = st.session_state, _prefix(version)
    for name in (f"first-{prefix}", *(f"{prefix}-{field}" for field in FIELDS)):
        held.pop(name, None)
    held[_editing(template)] = version.id
    desk().heard[_editing(template)] = version.id
    begin().notify(f"Version {version.version} stands in the editor: see Edit.")


def _begun_from(app: App, template: Template) -> TemplateVersion:
    """Return the version that is being edited: what is typed outlives the next version of somebody else."""
    held, newest = st.session_state, template.version
    begun = app.templates.version(held.setdefault(_editing(template), newest.id))
    if begun.id == newest.id:
        return newest
    if desk().heard.get(_editing(template)) == begun.id:  # somebody has chosen it
        st.info(f"This begins from version {begun.version}. Published, it is version {newest.version + 1}.")
    elif _is_touched(_prefix(begun)):
        st.warning(
            f"Version {newest.version} was published while you edit version {begun.version}. What you typed is kept: "
            "compare under Versions, then publish it as the next one, or begin again."
        )
    else:
        held[_editing(template)] = newest.id
        return newest
    st.button(
        f"Begin again from version {newest.version}",
        key="edit-again",
        on_click=_begin_again,
        args=(template,),
    )
    return begun


def _begin_again(template: Template) -> None:
    st.session_state.pop(_editing(template), None)
    desk().heard.pop(_editing(template), None)


def _editing(template: Template) -> str:
    return f"editing-{template.id}"


def _remember(prefix: str) -> None:
    """Keep what the fields held when they were first drawn, to tell whether anything was typed."""
    st.session_state.setdefault(
        f"first-{prefix}", {f"{prefix}-{name}": st.session_state.get(f"{prefix}-{name}") for name in FIELDS}
    )


def _is_touched(prefix: str) -> bool:
    first = st.session_state.get(f"first-{prefix}", {})
    return any(st.session_state.get(key, value) != value for key, value in first.items())


def _draw_names(template: Template | None, prefix: str, looks: dict[str, Any]) -> dict[str, object]:
    left, middle, right = st.columns([3, 3, 2])
    key = left.text_input(
        "Key: small letters, digits, _",
        value=template.template_key if template else "",
        max_chars=MAX_KEY,
        key=f"{prefix}-key",
        **(looks | {"disabled": looks["disabled"] or template is not None}),
    )
    name = middle.text_input(
        "Name",
        value=template.name if template else "",
        max_chars=MAX_NAME,
        key=f"{prefix}-name",
        **looks,
    )
    tier = right.selectbox(
        "Tier",
        list(Tier),
        index=list(Tier).index(template.tier) if template else 0,
        format_func=words,
        key=f"{prefix}-tier",
        **looks,
    )
    return {"template_key": key, "name": name, "tier": tier}


def _draw_declared(version: TemplateVersion | None, prefix: str, looks: dict[str, Any]) -> dict[str, Any]:
    """Draw which variables the texts read."""
    needs, may = st.columns(2)
    required = needs.text_area(
        "Variables it needs, with commas between",
        value=", ".join(version.required) if version else "",
        height=100,
        key=f"{prefix}-required",
        **looks,
    )
    optional = may.text_area(
        "Variables it may do without",
        value=", ".join(version.optional) if version else "",
        height=100,
        key=f"{prefix}-optional",
        **looks,
    )
    return {"required": _names(required), "optional": _names(optional)}


def _draw_words(
    version: TemplateVersion | None, prefix: str, looks: dict[str, Any], faults: list[InvalidInput]
) -> dict[str, Any]:
    """Draw how long an answer is to be; what cannot be taken joins the faults."""
    held = (version.words_min, version.words_max) if version else (60, 180)
    fields = ("words_min", "at least", "min"), ("words_max", "at most", "max")
    return {
        field: ask_count(
            column,
            f"Words of an assistant turn, {label}",
            (1, MAX_WORDS),
            faults,
            key=f"{prefix}-{key}",
            value=str(number),
            is_needed=True,
            **looks,
        )
        for column, (field, label, key), number in zip(st.columns(2), fields, held, strict=True)
    }


def publish(app: App, values: dict[str, object], *, edited: Template | None = None) -> None:
    """Publish a draft and show it, or say what keeps it from that; what was `edited` is begun anew afterwards."""
    try:
        draft = TemplateDraft.model_validate(values)
    except ValidationError as fault:
        show_faults("This cannot be published yet.", fault)
        return
    problems = app.templates.problems(draft)
    if problems:
        st.error(f"**{counted(len(problems), 'problem')}; nothing was published.**")
        st.text("\n".join(f"• {problem}" for problem in problems))
        return
    own, actor = begin(), person()
    try:
        published = own.once(
            ("publish", draft.model_dump_json()), lambda: app.templates.publish(draft, actor=actor)
        )
    except BrightRunError as fault:
        show_error(fault)
        return
    own.published += 1
    own.notify(f"{label_safe(published.name)} v{published.version.version} is published.")
    if edited:
        _begin_again(edited)
    own.moves["template"] = published.template_key
    st.rerun()


def _kept(template: Template | None, begun: TemplateVersion | None, declared: set[str]) -> dict[str, object]:
    """Return what the editor does not show, so that a new version keeps it."""
    if template is None or begun is None:
        return {}
    described = {v.name: v for v in (*begun.variables, *template.version.variables)}
    return {
        "description": template.description,
        "category": template.category,
        "arc_key": template.arc_key,
        "suitable_personas": template.suitable_personas,
        "suitable_topics": template.suitable_topics,
        "rating": template.rating,
        "variables": [v.model_dump() for v in described.values() if v.name in declared],
    }


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _draw_variables() -> None:
    """Say which variables are there anyway, and when."""
    with st.expander("Variables that Bright Run gives"):
        sources = {**dict.fromkeys(RESERVED, "always"), **dict.fromkeys(BUILT_IN, "where a topic is chosen")}
        sources |= dict.fromkeys(ARC, "where an emotional arc is chosen")
        sources |= dict.fromkeys(PERSONA, "where a persona is chosen")
        rows = [
            {"Variable": f"{{{{ {name} }}}}", "Is there": when, "Means": words(name)}
            for name, when in sources.items()
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, height=220)
        st.caption("Every other variable comes from a column of the scenario file or one that varies.")
