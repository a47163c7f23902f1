"""Which conversations are meant: one row of choices, kept in the address of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from brightrun.bootstrap import App
from brightrun.domain.batch import WriterName
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import BrightRunError
from brightrun.domain.ids import ImportId, JobId, TemplateVersionId
from brightrun.domain.imports import IMPORT_WRITER
from brightrun.domain.review import MAX_LENGTH, MAX_SCORE, MAX_TEXT, ConversationFilter
from brightrun.domain.scenario import Tier
from brightrun.domain.text import clean
from brightrun.ui.axes import axis_names
from brightrun.ui.session import desk, place, set_place
from brightrun.ui.text import label_safe, named, plain, words

ANY = "any"
STATUS = "status"
AT = "page"
STATUSES = [ANY, *(s.value for s in ConversationStatus if s is not ConversationStatus.ARCHIVED)]
SORTS = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "best": "Best score first",
    "worst": "Worst score first",
    "longest": "Longest first",
    "shortest": "Shortest first",
}
WRITERS = {
    WriterName.DEMO.value: "Demo writer",
    WriterName.CLAUDE.value: "Claude",
    IMPORT_WRITER: "Import",
}
SEARCH = "q"
SORT = "sort"
FIGURES = ("score", "most")
LENGTHS = ("turns_from", "turns_to", "words_from", "words_to")
DAYS = ("since", "until")
CHOICES = (
    *("persona", "arc", "topic", "tier", "writer", "model", "template", "flag", "approvable"),
    *FIGURES,
    *LENGTHS,
    *DAYS,
)
PLACES = ("job", "import")
"""What is listed by where it came from: parts of the address that no widget holds."""
UNSET = (None, ANY, 0.0)
FACET_SECONDS = 60


def draw_filters(app: App, corner: DeltaGenerator, above: DeltaGenerator) -> tuple[ConversationFilter, str]:
    """Draw the status, the order `above` the list and, in the page's corner, the rest.

    Returns the filter with the order's name.
    """
    names = lists_of(app)
    _read_address({STATUS: {status: words(status) for status in STATUSES}, SORT: SORTS, **names})
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        status = st.segmented_control(
            "Status",
            STATUSES,
            default=ConversationStatus.PENDING_REVIEW.value,
            required=True,
            format_func=words,
            key=STATUS,
            bind="query-params",
            label_visibility="collapsed",
            on_change=first_page,
            width=450,  # its own: stretched, it hides its end where the window is narrow
        )
        text = st.text_input(
            "Search the turns",
            key=SEARCH,
            bind="query-params",
            label_visibility="collapsed",
            placeholder="Words in turns",
            icon=":material/search:",
            max_chars=MAX_TEXT,
            on_change=first_page,
        )
    sort = above.selectbox(
        "Order",
        list(SORTS),
        format_func=SORTS.__getitem__,
        key=SORT,
        bind="query-params",
        label_visibility="collapsed",
        on_change=first_page,
        width=160,
    )
    used = sum(_is_set(name) for name in CHOICES)
    with corner, st.popover(f"Filters · {used}" if used else "Filters", key="filters-more"):
        more = _more(names)
    chosen = replace(
        more,
        status=None if status == ANY else ConversationStatus(str(status)),
        job_id=draw_job_chip(app),
        import_id=_draw_import_chip(app),
        text=clean(text or "").strip() or None,
    )
    return chosen, str(sort)


def draw_job_chip(app: App) -> JobId | None:
    """Say when only one batch is shown, with a way back to all; returns its id.

    Where there is no such batch the run ends here: everything would be shown instead, and could be decided on.
    """
    wanted = place("job")
    if wanted is None:
        return None
    try:
        job = app.batches.get(app.batches.find(wanted))
    except BrightRunError as fault:
        st.warning(label_safe(fault.message))
        job = None
    with st.container(horizontal=True, vertical_alignment="center", key="job-chip"):
        name = label_safe(job.name, limit=60) if job else label_safe(wanted)
        st.badge(f"Only from the batch {name}", color="blue")
        st.button("Show all batches", key="job-any", type="tertiary", on_click=_show_all)
    if job is None:
        st.stop()
    return job.id


def _draw_import_chip(app: App) -> ImportId | None:
    """The same for an import."""
    wanted = place("import")
    if wanted is None:
        return None
    try:
        found = app.imports.get(app.imports.find(wanted))
    except BrightRunError as fault:
        st.warning(label_safe(fault.message))
        found = None
    with st.container(horizontal=True, vertical_alignment="center", key="import-chip"):
        st.badge(
            f"Only from the import {label_safe(found.name if found else wanted, limit=60)}", color="blue"
        )
        st.button("Show everything", key="import-any", type="tertiary", on_click=_show_all)
    if found is None:
        st.stop()
    return found.id


def lists_of(app: App) -> dict[str, dict[str, str]]:
    """Return what each list of choices offers, by its name: the values with what stands for them, in the address too.

    Parts of the scaffolding that are not offered any more too: conversations have them, and can be looked for.
    """
    axes = app.scenarios.axes(active_only=False)
    facets = _facets(app, str(app.settings.home))
    templates = {t["id"]: f"{t['name']} v{t['version']}" for t in facets["templates"]}
    offered = {
        "tier": {t.value: words(t.value) for t in Tier},
        "flag": {flag: words(flag) for flag in facets["flags"]},
        "writer": {w: WRITERS.get(w, w) for w in facets["writers"]} | WRITERS,
        "model": {model: model for model in facets["models"]},
        "template": templates,
        "approvable": {"yes": "Yes", "no": "No, a finding blocks it"},
    }
    lists = axis_names(axes) | {key: named(names) for key, names in offered.items()}
    return {key: {ANY: "Any"} | names for key, names in lists.items()}


def first_page() -> None:
    """Go back to page one: another filter has other pages."""
    st.session_state[AT] = 1
    next_reading()


def next_reading() -> None:
    """Let the first row of the list that comes be read."""
    desk().moves["id"] = None


def forget_filters() -> None:
    """Set every choice but the status back to any."""
    for name in (*CHOICES, SEARCH):
        st.session_state[name] = unset(name)
    _show_all()
    first_page()


def unset(name: str) -> object:
    """Return what a choice is where nobody has chosen; set as a value, so that the address follows."""
    if name in (*LENGTHS, *DAYS):
        return None
    others = {STATUS: ConversationStatus.PENDING_REVIEW.value, SORT: "newest", SEARCH: ""}
    return others.get(name, {"score": 0.0, "most": MAX_SCORE}.get(name, ANY))


def _show_all() -> None:
    for name in PLACES:
        desk().moves[name] = None


def _is_set(name: str) -> bool:
    value = st.session_state.get(name)
    return value not in UNSET and not (name == "most" and value == MAX_SCORE)


@st.cache_data(ttl=FACET_SECONDS, refresh_mode="background", show_spinner=False)
def _facets(_app: App, database: str) -> dict[str, Any]:
    return _app.reviews.facets()


def _read_address(known: Mapping[str, Mapping[str, str]]) -> None:
    """Take values of the address that stand there as the shell writes them, and say which are not known.

    A choice that knows nothing of what the address says is what it is at first, and another list than was asked for
    could be decided on.
    """
    is_new = False
    for key, labels in known.items():
        said = place(key)
        if said is None or key in st.session_state or said in labels.values():
            continue
        if said in labels:
            set_place(key, labels[said])
            is_new = True
        else:
            _pass_over(key, said, "is not there")
    for key in (*FIGURES, *LENGTHS, *DAYS):
        said = place(key)
        if said is not None and key not in st.session_state and not _is_readable(key, said):
            _pass_over(key, said, "cannot be read")
    if is_new:  # choices read the address as it was when the run began
        st.rerun()


def _pass_over(key: str, said: str, why: str) -> None:
    st.warning(f"The address asks for {key} “{label_safe(said)}”, which {why}: it is passed over.")


def _is_readable(key: str, said: str) -> bool:
    """Whether the field of a figure or a day takes what the address says; it says nothing itself of what it does not."""
    try:
        if key in DAYS:
            date.fromisoformat(said)
            return True
        return 0 <= float(said) <= (MAX_SCORE if key in FIGURES else MAX_LENGTH)
    except ValueError:
        return False


def _more(names: Mapping[str, Mapping[str, str]]) -> ConversationFilter:
    left, right = st.columns(2, gap="medium")
    with left:
        persona, arc, topic, tier, flag = (
            _one(label, key, names[key])
            for label, key in (
                ("Persona", "persona"),
                ("Emotional arc", "arc"),
                ("Topic", "topic"),
                ("Tier", "tier"),
                ("Finding", "flag"),
            )
        )
    with right:
        writer, model, template, approvable = (
            _one(label, key, names[key])
            for label, key in (
                ("Writer", "writer"),
                ("Model", "model"),
                ("Template", "template"),
                ("Can be approved", "approvable"),
            )
        )
        with st.container(horizontal=True):
            since, until = _day("Written since", "since"), _day("Until", "until")
    with left:
        least = _score("Score at least", "score", 0.0)
        most = _score("Score at most", "most", MAX_SCORE)
    with right, st.container(horizontal=True):
        turns = (_length("Turns from", "turns_from"), _length("to", "turns_to"))
    with right, st.container(horizontal=True):
        lengths = (_length("Words from", "words_from"), _length("to", "words_to"))
    st.button("Clear filters", key="filters-clear", on_click=forget_filters, width="stretch")
    return ConversationFilter(
        writer=writer,
        tier=tier,
        persona_key=persona,
        arc_key=arc,
        topic_key=topic,
        model=model,
        template_version_id=TemplateVersionId(template) if template else None,
        flag=flag,
        blocked=None if approvable is None else approvable == "no",
        min_score=least or None,
        max_score=most if most < MAX_SCORE else None,
        min_turns=turns[0],
        max_turns=turns[1],
        min_words=lengths[0],
        max_words=lengths[1],
        since=since,
        until=until,
    )


def _score(label: str, key: str, default: float) -> float:
    return st.slider(
        label, 0.0, MAX_SCORE, default, 0.5, format="%.1f", key=key, bind="query-params", on_change=first_page
    )


def _length(label: str, key: str) -> int | None:
    value = st.number_input(
        label,
        min_value=0,
        max_value=MAX_LENGTH,
        value=None,
        step=1,
        key=key,
        bind="query-params",
        on_change=first_page,
        placeholder="any",
        width=110,
    )
    return None if value is None else int(value)


def _day(label: str, key: str) -> str | None:
    value = st.date_input(
        label, value=None, key=key, bind="query-params", on_change=first_page, format="YYYY-MM-DD", width=150
    )
    return value.isoformat() if isinstance(value, date) else None


def _one(label: str, key: str, names: Mapping[str, str]) -> str | None:
    chosen = st.selectbox(
        label,
        list(names),
        format_func=lambda value: names.get(value, plain(value)),
        key=key,
        bind="query-params",
        on_change=first_page,
    )
    return None if chosen in (None, ANY) else str(chosen)
