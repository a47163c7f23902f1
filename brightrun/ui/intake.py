"""Two ways into a batch: combinations of the scaffolding, or the rows of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError
from brightrun.domain.scenario import EmotionalArc, Scenario
from brightrun.services.scenarios import AXES, Planned, guess_mapping, read_sheet
from brightrun.services.sheets import Sheet
from brightrun.ui.frame import Place, empty_state, show_error
from brightrun.ui.text import clamp, counted, label_safe, plain, words

SCAFFOLDING = "Personas, arcs and topics"
FILE = "A CSV file"
LEFT_OUT = "(leave out)"
SAMPLE_ROWS = 5


@dataclass(frozen=True, slots=True)
class Intake:
    """What a person chose to write about; `key` is equal exactly when the scenarios are."""

    key: str
    name: str
    scenarios: Sequence[Scenario]
    duplicates: int = 0
    notes: Sequence[str] = ()


def draw_intake(app: App) -> Intake | None:
    """Let a person choose scenarios; None while there are none, having said what is missing."""
    way = st.segmented_control(
        "Where the scenarios come from",
        [SCAFFOLDING, FILE],
        default=SCAFFOLDING,
        required=True,
        key="intake-way",
        label_visibility="collapsed",
    )
    return _from_file(app) if way == FILE else _from_scaffolding(app)


def _from_scaffolding(app: App) -> Intake | None:
    axes = app.scenarios.axes()
    if not (axes.personas and axes.arcs and axes.topics):
        empty_state(
            "The scaffolding is empty",
            "There are no personas, emotional arcs or topics to combine. Load the seed, or use a file.",
            link=Place.SYSTEM,
            label="What is missing",
        )
        return None
    personas = {p.persona_key: f"{p.name}, {p.archetype}" for p in axes.personas}
    chosen_personas = st.multiselect(
        "Personas: who asks",
        list(personas),
        format_func=lambda key: plain(personas[key]),
        key="axis-personas",
        persist_state="session",
        placeholder="Any",
    )
    chosen_arcs = _choose_arcs(axes.arcs)
    topics = {t.topic_key: t.name for t in axes.topics}
    chosen_topics = st.multiselect(
        "Topics: what it is about",
        list(topics),
        format_func=lambda key: plain(topics[key]),
        key="axis-topics",
        persist_state="session",
        placeholder="Any",
    )
    scenarios = app.scenarios.product(chosen_personas, chosen_arcs, chosen_topics)
    _draw_formula(len(chosen_personas), len(chosen_arcs), len(chosen_topics), len(scenarios))
    if not scenarios:
        return None
    kept = _narrowed(app, scenarios)
    key = repr((chosen_personas, chosen_arcs, chosen_topics, len(kept)))
    return Intake(key, f"{counted(len(kept), 'combination')} of the scaffolding", kept)


def _choose_arcs(arcs: Sequence[EmotionalArc]) -> list[str]:
    column, kind = st.columns([7, 4], vertical_alignment="bottom")
    shown = kind.segmented_control(
        "Kinds of arc",
        ["all", "core", "edge"],
        default="all",
        required=True,
        format_func=words,
        key="axis-arc-kind",
        help="Edge arcs are rare or difficult: crisis, hostility, out of scope.",
    )
    names = {a.arc_key: f"{a.name} ({a.starting_emotion} → {a.ending_emotion})" for a in arcs}
    offered = [a.arc_key for a in arcs if shown == "all" or a.category == shown]
    kept = [key for key in st.session_state.get("axis-arcs", []) if key not in offered]
    return column.multiselect(
        "Emotional arcs: how the feeling moves",
        [*offered, *kept],
        format_func=lambda key: plain(names[key]),
        key="axis-arcs",
        persist_state="session",
        placeholder="Any",
    )


def _draw_formula(personas: int, arcs: int, topics: int, total: int) -> None:
    if not total:
        st.info("Choose at least one persona, arc or topic. An empty list leaves that open.")
        return
    parts = [
        counted(number, noun) if number else f"any {noun}"
        for number, noun in ((personas, "persona"), (arcs, "arc"), (topics, "topic"))
    ]
    st.markdown(f"{' × '.join(parts)} = **{counted(total, 'conversation')}**")


def _narrowed(app: App, scenarios: Sequence[Scenario]) -> Sequence[Scenario]:
    fitting = app.scenarios.fitting(scenarios)
    unusual = len(scenarios) - len(fitting)
    if not unusual:
        return scenarios
    drop = st.checkbox(
        f"Leave out {counted(unusual, 'combination')} whose parts are not made for each other",
        key="axis-only-fitting",
        persist_state="session",
        help="An arc or topic can name the personas, arcs and topics it suits. The others can be written too.",
    )
    return fitting if drop else scenarios


def _from_file(app: App) -> Intake | None:
    uploaded = st.file_uploader(
        "A CSV file, one scenario a row, at most 10 MB", type=["csv", "tsv", "txt"], key="intake-file"
    )
    if uploaded is None:
        st.caption(
            "The first line names the columns. Each column becomes a variable a template can read; columns "
            "called persona, arc, topic or tier are looked up in the scaffolding."
        )
        return None
    try:
        data = uploaded.getvalue()
        sheet = _read(data, uploaded.name)
        _draw_sample(sheet)
        mapping = _draw_mapping(app, sheet)
        digest = hashlib.sha256(data).hexdigest()
        planned = _planned(app, digest, tuple(sorted(mapping.items())), sheet)
    except BrightRunError as fault:
        show_error(fault)
        return None
    return Intake(
        repr((digest, sorted(mapping.items()))),
        clamp(plain(uploaded.name.rsplit(".", 1)[0]), 80),
        planned.scenarios,
        planned.duplicates,
        planned.notes,
    )


@st.cache_resource(max_entries=2, scope="session", show_spinner="Reading the file…")
def _read(data: bytes, name: str) -> Sheet:
    return read_sheet(data, name)


@st.cache_resource(max_entries=2, scope="session", show_spinner="Reading the scenarios…")
def _planned(_app: App, digest: str, mapping: tuple[tuple[str, str], ...], _sheet: Sheet) -> Planned:
    return _app.scenarios.from_sheet(_sheet, dict(mapping))


def _draw_sample(sheet: Sheet) -> None:
    st.markdown(
        f"{counted(len(sheet.rows), 'row')}, {counted(len(sheet.columns), 'column')}. The first rows:"
    )
    sample = [[clamp(plain(cell), 160) for cell in row] for row in sheet.rows[:SAMPLE_ROWS]]
    columns = {f"c{place}": st.column_config.TextColumn(name) for place, name in enumerate(sheet.columns)}
    st.dataframe(
        pd.DataFrame(sample, columns=list(columns)), column_config=columns, hide_index=True, row_height=34
    )
    for note in sheet.notes:
        st.caption(label_safe(note))


def _draw_mapping(app: App, sheet: Sheet) -> dict[str, str]:
    """Let each column feed a variable; the guess goes by its own name."""
    guess = guess_mapping(sheet.columns)
    wanted = _wanted(app)
    mapping: dict[str, str] = {}
    st.markdown("**Which variable does each column feed?**")
    with st.container(border=True, key="mapping"):
        for place, column in enumerate(sheet.columns):
            mapping[column] = _draw_column(place, column, sheet, guess[column], wanted)
    return mapping


def _draw_column(place: int, column: str, sheet: Sheet, guess: str, wanted: Sequence[str]) -> str:
    name, target = st.columns([3, 2], vertical_alignment="center")
    example = next((row[place] for row in sheet.rows if row[place].strip()), "")
    with name:
        st.markdown(f"**{label_safe(column, limit=60)}**")
        st.caption(label_safe(example, limit=90) or "always empty")
    options = list(dict.fromkeys([guess, *wanted, LEFT_OUT]))
    chosen = target.selectbox(
        f"Variable for {label_safe(column, limit=60)}",
        options,
        format_func=_variable,
        key=f"map-{place}-{hashlib.sha256(repr(sheet.columns).encode()).hexdigest()[:12]}",
        accept_new_options=True,
        label_visibility="collapsed",
    )
    return "" if chosen in (None, LEFT_OUT) else str(chosen)


def _wanted(app: App) -> list[str]:
    """Return what a column may usefully feed: the scaffolding's axes, and what templates ask for."""
    read = {name for t in app.templates.all() for name in (*t.version.required, *t.version.optional)}
    return [*AXES, *sorted(read)]


def _variable(name: str) -> str:
    return f"{name} (from the scaffolding)" if name in AXES else name
