"""Templates: read one, see the prompt it becomes, publish the next version of it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.conversation import MAX_TURNS
from brightrun.domain.errors import BrightRunError, InvalidInput
from brightrun.domain.person import Action
from brightrun.domain.scenario import Scenario
from brightrun.domain.template import Prompt, Template, TemplateVersion
from brightrun.domain.variable import Variable
from brightrun.services.drafts import draft_of, to_file
from brightrun.services.templates import DEFAULT_TURNS
from brightrun.ui.axes import axis_names
from brightrun.ui.costs import draw_estimate, draw_template_costs
from brightrun.ui.counts import ask_count
from brightrun.ui.downloads import draw_download
from brightrun.ui.drafts import NEW, TEXTS, begin_from, draw_editor
from brightrun.ui.frame import Place, empty_state, show_error
from brightrun.ui.session import desk, place, set_place
from brightrun.ui.text import distinct, label_safe, plain, words
from brightrun.ui.variables import draw_values, draw_variables

CHOSEN = "template-chosen"
SAME = (
    "What a version keeps is the same in both: texts, variables and words of a turn. What a template has besides, "
    "such as its name, tier, description and rating, is kept only as it is now."
)


def draw_list(app: App) -> Template | None:
    """Draw every template and let one be chosen; returns it, None for a new one or where there is none."""
    templates = app.templates.all(active_only=False)
    if not templates:
        empty_state(
            "No template yet",
            "Load supabase/seed.sql, or write one below.",
            link=Place.SYSTEM,
            label="What is missing",
        )
        return None
    labels = distinct([(t.name, t.template_key) for t in templates])
    names = dict(zip((t.template_key for t in templates), labels, strict=True)) | {NEW: "A new template"}
    wanted, heard = place("template"), desk().heard
    if wanted != NEW and wanted in names and (wanted, names[wanted]) != heard.get(CHOSEN):
        st.session_state[CHOSEN] = (
            wanted  # a link leads there, a publication, or a name it did not have before
        )
    st.dataframe(
        _frame(app, templates), hide_index=True, height="content", column_config=COLUMNS, key="templates-list"
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Template",
            list(names),
            format_func=lambda key: names.get(key, key),
            key=CHOSEN,
            width=420,
        )
    heard[CHOSEN] = (chosen, names[chosen])
    set_place("template", None if chosen == NEW else str(chosen))
    return next((t for t in templates if t.template_key == chosen), None)


COLUMNS = {
    "Rating": st.column_config.NumberColumn(format="%.1f", width=70),
    "Used": st.column_config.NumberColumn(width=70),
    "Version": st.column_config.NumberColumn(width=70),
    "Offered": st.column_config.CheckboxColumn(width=70),
    "Name": st.column_config.TextColumn(width="medium"),
    "Needs": st.column_config.TextColumn(width="large"),
}


def draw_template(app: App, template: Template) -> None:
    """Draw one template: its texts, a preview, the editor, and what changed between versions."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(label_safe(template.name), anchor=False, width="content")
        st.badge(f"v{template.version.version}", color="blue")
        if not template.is_active:
            st.badge("Not offered", color="gray")
        st.button(
            "Stop offering it" if template.is_active else "Offer it again",
            key="template-active",
            on_click=_set_active,
            args=(app, template),
            help="Batches that use it go on; it is just not chosen for new ones.",
            disabled=not app.may(Action.PUBLISH_TEMPLATE),
        )
        draw_download(
            "Download it as a file",
            partial(to_file, draft_of(template, template.version)),
            file_name=f"{template.template_key}-v{template.version.version}.json",
            mime="application/json",
            key=f"template-file-{template.version.id}",
        )
    if template.description:
        st.caption(label_safe(template.description, limit=600))
    preview, text, edit, variables, versions, cost = st.tabs(
        ["Preview", "Text", "Edit", "Variables", "Versions", "Cost"]
    )
    with preview:
        _draw_preview(app, template)
    with text:
        _draw_text(template.version)
    with edit:
        draw_editor(app, template)
    with variables:
        draw_variables(app, template)
    with versions:
        _draw_versions(app, template)
    with cost:
        draw_template_costs(app, template)


def _draw_preview(app: App, template: Template) -> None:
    names = axis_names(app.scenarios.axes())
    columns = st.columns(4)
    persona = _axis(columns[0], "Persona", names["persona"])
    arc = _axis(columns[1], "Emotional arc", names["arc"], start=template.arc_key)
    topic = _axis(columns[2], "Topic", names["topic"])
    faults: list[InvalidInput] = []
    turns = ask_count(
        columns[3],
        "Messages",
        (2, MAX_TURNS),
        faults,
        key="preview-turns",
        value=str(DEFAULT_TURNS),
        is_needed=True,
    )
    scenario = Scenario(template.tier, persona, arc, topic)
    own = draw_values(template.version, f"preview-{template.id}")
    scenario = replace(scenario, variables={name: value for name, value in own.items() if value})
    if (
        turns is None
    ):  # said beside the field: a prompt and a price of another number would be read for its own
        return
    turns += turns % 2  # as a batch makes it
    try:
        prompt = app.templates.render(template.version, app.scenarios.cast(scenario), turns=turns)
    except BrightRunError as fault:
        show_error(fault)
        return
    _draw_price(app, template.version, prompt)
    for label, text in zip(TEXTS.values(), (prompt.system, prompt.user, prompt.dataset_system), strict=True):
        st.caption(label)
        st.code(text or "(empty)", language=None, wrap_lines=True)


def _draw_price(app: App, version: TemplateVersion, prompt: Prompt) -> None:
    """Say how many tokens the prompt has and what one conversation costs with the chosen model."""
    settings = app.settings
    models = list(dict.fromkeys([settings.model, *(price.model for price in app.prices.in_force())]))
    model = st.selectbox("What one conversation costs with", models, key="preview-model", width=420)
    options = JobOptions(WriterName.CLAUDE, str(model or settings.model), settings.max_tokens)
    try:
        draw_estimate(app.planner.price(version, prompt, options))
    except BrightRunError as fault:
        show_error(fault)


def _axis(
    column: st.delta_generator.DeltaGenerator, label: str, names: dict[str, str], start: str | None = None
) -> str | None:
    keys = list(names)
    chosen = column.selectbox(
        label,
        keys,
        index=keys.index(start) if start in keys else (0 if keys else None),
        format_func=lambda key: plain(names.get(key, key)),
        key=f"preview-{label}",
    )
    return str(chosen) if chosen else None


def _draw_text(version: TemplateVersion) -> None:
    for field, label in TEXTS.items():
        st.caption(label)
        st.code(getattr(version, field) or "(empty)", language="jinja2", wrap_lines=True)


def _draw_versions(app: App, template: Template) -> None:
    versions = app.templates.versions(template.id)
    for version in versions:
        when = f"{version.created_at.astimezone():%d %b %Y, %H:%M}"
        st.markdown(f"**v{version.version}** · {label_safe(version.created_by)} · {when}")
    if len(versions) < 2:
        st.caption("When there is a second version, what changed is shown here.")
        return
    by_number = {version.version: version for version in versions}
    numbers = list(by_number)
    place = f"{template.id}-{numbers[0]}"  # the newest two, whenever there is a newer one
    left, right = st.columns(2)
    older = left.selectbox(
        "What changed from", numbers, index=1, format_func="v{}".format, key=f"older-{place}"
    )
    newer = right.selectbox("to", numbers, format_func="v{}".format, key=f"newer-{place}")
    changed = _difference(by_number[int(older)], by_number[int(newer)])
    st.code(
        "\n".join(changed) or SAME,
        language="diff" if changed else None,
        wrap_lines=True,
    )
    st.button(
        f"Begin the next version from v{older}",
        key="versions-begin",
        on_click=begin_from,
        args=(template, by_number[int(older)]),
        disabled=not app.may(Action.PUBLISH_TEMPLATE),
        help="Puts its texts, variables and lengths into the editor; nothing is published by that.",
    )


def _difference(older: TemplateVersion, newer: TemplateVersion) -> list[str]:
    before, after = _parts(older), _parts(newer)
    return [
        line
        for part in before
        for line in difflib.unified_diff(
            before[part],
            after[part],
            f"v{older.version} {part}",
            f"v{newer.version} {part}",
            lineterm="",
        )
    ]


def _parts(version: TemplateVersion) -> dict[str, list[str]]:
    """Return what an editor changes, by what it is called there, as lines."""
    texts = {label: getattr(version, field).splitlines() for field, label in TEXTS.items()}
    return texts | {
        "Variables it needs": sorted(version.required),
        "Variables it may do without": sorted(version.optional),
        "Variables as described": [_described(variable) for variable in version.variables],
        "Words of an assistant turn": [f"{version.words_min} to {version.words_max}"],
    }


def _described(variable: Variable) -> str:
    said = {
        "": ", ".join(variable.choices) or variable.type.value,
        "default ": variable.default,
        "for ": variable.help,
    }
    told = "; ".join(f"{head}{value}" for head, value in said.items() if value)
    return f"{variable.name}: {plain(told)}"


def _set_active(app: App, template: Template) -> None:
    app.templates.set_active(template.id, active=not template.is_active)


def _frame(app: App, templates: Sequence[Template]) -> pd.DataFrame:
    arcs = {arc.arc_key: arc.name for arc in app.scenarios.axes().arcs}
    return pd.DataFrame(
        {
            "Name": [plain(t.name) for t in templates],
            "Tier": [words(t.tier.value) for t in templates],
            "Arc": [plain(arcs.get(t.arc_key or "", words(t.arc_key or "any"))) for t in templates],
            "Rating": [t.rating for t in templates],
            "Used": [t.usage_count for t in templates],
            "Version": [t.version.version for t in templates],
            "Offered": [t.is_active for t in templates],
            "Needs": [", ".join(t.version.required) for t in templates],
        }
    )
