"""Ways into a batch: combinations of the scaffolding, the rows of a file, or what rejection emptied."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError
from brightrun.domain.scenario import Scenario
from brightrun.domain.text import shortened
from brightrun.services.scenarios import AXES, Planned, guess_mapping, read_sheet
from brightrun.services.sheets import Sheet
from brightrun.ui.desk import Upload
from brightrun.ui.frame import show_error
from brightrun.ui.session import desk
from brightrun.ui.spaces import draw_space, draw_top_up
from brightrun.ui.text import counted, label_safe, plain

SCAFFOLDING = "Personas, arcs and topics"
FILE = "A CSV file"
REJECTED = "What was rejected"
LEFT_OUT = "(leave out)"
SAMPLE_ROWS = 5
FILE_KEY = "intake-file"
TYPES = ["csv", "tsv", "txt", "xlsx", "xls", "ods"]
"""Workbooks among them, so that they are told to be saved as CSV, and do not leave the file before in force."""


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
        [SCAFFOLDING, FILE, REJECTED],
        default=SCAFFOLDING,
        required=True,
        key="intake-way",
        persist_state="session",
        label_visibility="collapsed",
    )
    ways = {FILE: _from_file, REJECTED: _from_rejection}
    return ways.get(str(way), _from_scaffolding)(app)


def _from_scaffolding(app: App) -> Intake | None:
    found = draw_space(app)
    if found is None or not found[1].scenarios:
        return None
    key, made = found
    return Intake(key, "Combinations of the scaffolding", made.scenarios)


def _from_rejection(app: App) -> Intake | None:
    emptied = draw_top_up(app)
    if not emptied:
        return None
    key = repr([scenario.fingerprint() for scenario in emptied])
    return Intake(key, "Top-up of what was rejected", emptied)


def _from_file(app: App) -> Intake | None:
    found = _draw_file()
    if found is None:
        st.caption(
            "The first line names the columns. Each column becomes a variable a template can read; columns "
            "called persona, arc, topic or tier are looked up in the scaffolding."
        )
        return None
    try:
        sheet = _read(found.data, found.name)
        _draw_sample(sheet)
        mapping = _draw_mapping(app, sheet)
        digest = hashlib.sha256(found.data).hexdigest()
        planned = _planned(app, digest, tuple(sorted(mapping.items())), sheet)
    except BrightRunError as fault:
        show_error(fault)
        return None
    return Intake(
        repr((digest, sorted(mapping.items()))),
        shortened(plain(found.name.rsplit(".", 1)[0]), 80),
        planned.scenarios,
        planned.duplicates,
        [note for note in planned.notes if note not in sheet.notes],
    )


def _draw_file() -> Upload | None:
    """Draw where a file is brought, and the one that was before the reader looked at another page."""
    own = desk()
    uploaded = st.file_uploader(
        "A CSV file, one scenario a row, at most 10 MB",
        type=TYPES,
        key=FILE_KEY,
        on_change=_keep,
    )
    if uploaded is None and own.upload is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                f"**{label_safe(own.upload.name, limit=80)}**, as you brought it before", width="content"
            )
            st.button("Take it away", key="intake-forget", type="tertiary", on_click=_forget)
    return own.upload


def _keep() -> None:
    """Keep what was brought: the field itself forgets it when another page is opened."""
    brought = st.session_state.get(FILE_KEY)
    desk().upload = Upload(brought.name, brought.getvalue()) if brought is not None else None


def _forget() -> None:
    desk().upload = None


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
    sample = [[shortened(plain(cell), 160) for cell in row] for row in sheet.rows[:SAMPLE_ROWS]]
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
        persist_state="session",
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
