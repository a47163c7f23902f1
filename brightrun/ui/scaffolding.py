"""Personas, emotional arcs and topics: read, edited, taken out of use, brought and taken along as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError
from brightrun.domain.person import Action
from brightrun.domain.scaffolding import (
    DRAFTS,
    NAMED,
    Draft,
    Kind,
    key_of,
    lines_of,
    pairs_of,
    text_of,
)
from brightrun.domain.scenario import Tier
from brightrun.domain.text import shortened
from brightrun.services.scaffolding import Change, Removal
from brightrun.ui.downloads import draw_download
from brightrun.ui.frame import show_error, show_faults
from brightrun.ui.session import begin
from brightrun.ui.text import counted, distinct, label_safe, plain, words

NAMES = {Kind.PERSONA: "Personas", Kind.ARC: "Emotional arcs", Kind.TOPIC: "Topics"}
NEW = "new"
SHORT = ("name", "age_range", "occupation", "income_range", "starting_emotion", "ending_emotion", "archetype")
HELP = {
    "typical_turn_count_min": "Messages, both roles together; even.",
    "demographics": "One a line: name: value",
}


def draw_scaffolding(app: App) -> None:
    """Let a person choose a kind, see all of it, and edit one."""
    kind = st.segmented_control(
        "Kind",
        list(Kind),
        default=Kind.PERSONA,
        required=True,
        format_func=NAMES.__getitem__,
        key="scaffolding-kind",
    )
    kind = Kind(str(kind))
    every, uses = app.scaffolding.all(kind), app.scaffolding.uses(kind)
    st.dataframe(_frame(every, uses), hide_index=True, height="content" if len(every) < 12 else 420)
    drafts = {key_of(draft): draft for draft in every}
    labels = distinct([(str(draft.model_dump()["name"]), key) for key, draft in drafts.items()])
    names: dict[str, str] = dict(zip(drafts, labels, strict=True))
    names[NEW] = "A new one"
    chosen = st.selectbox(
        "Edit", list(names), format_func=names.__getitem__, key=f"scaffolding-{kind.value}", width=420
    )
    draft = drafts.get(str(chosen))
    if draft is not None:
        _draw_offer(app, kind, draft, uses[key_of(draft)])
    _draw_form(app, kind, draft)
    _draw_table_file(app, kind)


def _frame(every: Sequence[Draft], uses: Mapping[str, int]) -> pd.DataFrame:
    rows = []
    for draft in every:
        held = draft.model_dump()
        key = key_of(draft)
        about = (
            held.get("archetype")
            or held.get("description")
            or f"{held.get('starting_emotion')} → {held.get('ending_emotion')}"
        )
        rows.append(
            {
                "Key": key,
                "Name": plain(held["name"]),
                "About": shortened(plain(str(about)), 120),
                "Used": uses.get(key, 0),
                "Offered": held["is_active"],
            }
        )
    return pd.DataFrame(rows, columns=["Key", "Name", "About", "Used", "Offered"])


def _draw_offer(app: App, kind: Kind, draft: Draft, uses: int) -> None:
    is_active = bool(draft.is_active)  # type: ignore[attr-defined]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Stop offering it" if is_active else "Offer it again",
            key="scaffolding-offer",
            on_click=_offer,
            args=(app, kind, key_of(draft), not is_active),
            disabled=not app.may(Action.EDIT_SCAFFOLDING),
        )
        if not uses:
            _draw_removal(app, kind, key_of(draft))


def _draw_removal(app: App, kind: Kind, key: str) -> None:
    """Ask before something is deleted that nothing uses; what is used can only be offered no more."""
    with st.popover(
        "Delete it…", key=f"scaffolding-removal-{key}", disabled=not app.may(Action.EDIT_SCAFFOLDING)
    ):
        st.markdown(f"Nothing uses **{label_safe(key)}**. Deleted, it is gone for good.")
        st.button(
            f"Delete {label_safe(key)}",
            key=f"scaffolding-remove-{key}",
            on_click=_remove,
            args=(app, kind, key),
        )


def _draw_form(app: App, kind: Kind, draft: Draft | None) -> None:
    known = {other: [key_of(one) for one in app.scaffolding.all(other)] for other in Kind}
    prefix = f"scaffolding-{kind.value}-{key_of(draft) if draft else NEW}"
    may = app.may(Action.EDIT_SCAFFOLDING)
    seen = _seen(draft, prefix)
    if draft and seen and seen.model_dump(mode="json") != draft.model_dump(mode="json"):
        st.warning("Somebody has changed it since you opened it. Load the page again to go on from that.")
    values: dict[str, object] = {}
    # No form: what is typed in one is lost as soon as somebody looks at another entry or page.
    with st.container(border=True, key=prefix):
        columns = st.columns(2)
        for number, (name, field) in enumerate(DRAFTS[kind].model_fields.items()):
            if name == "is_active":
                continue
            default = field.get_default(call_default_factory=True)
            held = getattr(seen, name) if seen else (None if field.is_required() else default)
            with columns[number % 2]:
                values[name] = _draw_field(
                    name,
                    field.annotation,
                    held,
                    known,
                    f"{prefix}-{name}",
                    locked=not may or (draft is not None and name == kind.key),
                )
        st.caption("Items that wait are written with what stands here when their turn comes.")
        if not st.button("Save", type="primary", key=f"{prefix}-save", disabled=not may):
            return
    values["is_active"] = draft.is_active if draft else True  # type: ignore[attr-defined]
    _save(app, kind, values, seen, prefix)


def _seen(draft: Draft | None, prefix: str) -> Draft | None:
    """Return what a form is filled with: its fields keep it for as long as they are drawn, whatever others save."""
    kept = f"{prefix}-seen"
    if f"{prefix}-name" not in st.session_state:  # drawn for the first time, or again after another one
        st.session_state[kept] = draft
    seen: Draft | None = st.session_state[kept]
    # Whether it is offered is no field of the form, and changes beside it.
    return seen.model_copy(update={"is_active": draft.is_active}) if seen and draft else None  # type: ignore[attr-defined]


def _draw_field(
    name: str, annotation: Any, held: Any, known: Mapping[Kind, Sequence[str]], key: str, *, locked: bool
) -> object:
    label = words(name)
    looks: dict[str, Any] = {"key": key, "disabled": locked, "persist_state": "session"}
    if name in NAMED:
        options = list(dict.fromkeys([*known[NAMED[name]], *(held or ())]))
        return tuple(st.multiselect(f"{label}: none fits all", options, default=list(held or ()), **looks))
    if get_origin(annotation) is Literal or annotation is Tier:
        choices = list(Tier) if annotation is Tier else list(get_args(annotation))
        return st.selectbox(label, choices, index=choices.index(held), format_func=words, **looks)
    if annotation is float:
        return st.number_input(
            label, 0.0, 1.0, held if held is not None else 0.5, step=0.05, format="%.2f", **looks
        )
    if annotation is int:
        return int(st.number_input(label, 2, 200, held, step=2, help=HELP.get(name), **looks))
    if isinstance(held, tuple):
        return lines_of(st.text_area(f"{label}, one a line", text_of(held), height=100, **looks) or "")
    if isinstance(held, dict):
        return pairs_of(st.text_area(label, text_of(held), height=100, help=HELP.get(name), **looks) or "")
    if name in SHORT or name.endswith("_key") or name == "category":
        return st.text_input(label, held or "", **looks)
    return st.text_area(label, held or "", height=100, **looks)


def _save(app: App, kind: Kind, values: Mapping[str, object], seen: Draft | None, prefix: str) -> None:
    try:
        draft = DRAFTS[kind].model_validate(values)
    except ValidationError as fault:
        show_faults("This cannot be saved yet.", fault)
        return
    own = begin()
    try:
        app.scaffolding.save(kind, [draft], seen=[seen] if seen else ())
    except BrightRunError as fault:
        show_error(fault)
        return
    st.session_state[f"{prefix}-seen"] = draft if seen else None
    own.notify(f"{label_safe(key_of(draft))} is saved.")
    st.rerun()


def _draw_table_file(app: App, kind: Kind) -> None:
    with st.expander("Download or upload all of them as a CSV"):
        draw_download(
            "Download the CSV",
            lambda: app.scaffolding.to_csv(kind),
            file_name=f"{kind.value}s.csv",
            mime="text/csv",
            key=f"scaffolding-csv-{kind.value}",
        )
        uploaded = st.file_uploader(
            "A CSV with the same columns", type=["csv"], key=f"scaffolding-upload-{kind.value}"
        )
        if uploaded is None:
            st.caption("A cell holds a list with one thing a line. What a file does not name stays as it is.")
            return
        try:
            change = app.scaffolding.from_csv(kind, uploaded.getvalue(), uploaded.name)
        except BrightRunError as fault:
            show_error(fault)
            return
        st.markdown(f"{len(change.new)} new, {len(change.changed)} changed, {len(change.same)} as they are.")
        for title, keys in (("New", change.new), ("Changed", change.changed)):
            if keys:
                st.text(f"{title}: {', '.join(keys[:30])}")
        for note in change.notes:
            st.caption(label_safe(note))
        st.button(
            "Save all of it",
            type="primary",
            key="scaffolding-import",
            disabled=not (change.new or change.changed) or not app.may(Action.EDIT_SCAFFOLDING),
            on_click=_import,
            args=(app, kind, change),
        )


def _offer(app: App, kind: Kind, key: str, active: bool) -> None:
    _do(
        lambda: app.scaffolding.offer(kind, key, active=active),
        f"{key} is {'offered' if active else 'not offered'} now.",
    )


def _remove(app: App, kind: Kind, key: str) -> None:
    own = begin()
    try:
        removal, uses = app.scaffolding.remove(kind, key)
    except BrightRunError as fault:
        own.complain(fault)
        return
    gone = removal is Removal.REMOVED
    own.notify(
        f"{label_safe(key)} is deleted."
        if gone
        else f"{label_safe(key)} is used {counted(uses, 'time')} and not offered any more."
    )


def _import(app: App, kind: Kind, change: Change) -> None:
    _do(
        lambda: app.scaffolding.save(kind, change.drafts, seen=change.before),
        f"{len(change.new)} new and {len(change.changed)} changed are saved.",
    )


def _do(deed: Any, done: str) -> None:
    own = begin()
    try:
        deed()
    except BrightRunError as fault:
        own.complain(fault)
    else:
        own.notify(label_safe(done))
