"""The list a reviewer works through: one page from the database, what is selected, what is being read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from brightrun.bootstrap import App
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.ids import ConversationId
from brightrun.domain.review import WORDLESS, ConversationFilter, Seen
from brightrun.ui.filters import AT, SORT, WRITERS, forget_filters, next_reading
from brightrun.ui.frame import Place, empty_state
from brightrun.ui.grid import TWO_LINES, Press, draw_grid, hear_move, height_of, ordered, touched
from brightrun.ui.session import desk, page_at, place, set_place
from brightrun.ui.text import counted, plain, words

PAGE = 50
HEIGHT = height_of(12)
GRID = "review-grid"

COLUMNS: Sequence[dict[str, Any]] = (
    {
        "field": "scenario",
        "headerName": "Scenario",
        "flex": 4,
        "minWidth": 160,
        "tooltipField": "scenario",
        "cellRenderer": TWO_LINES,
    },
    {
        "field": "score",
        "headerName": "Score",
        "width": 88,
        "type": "numericColumn",
        "tooltipField": "findings",
    },
    {
        "field": "opening",
        "headerName": "Begins with",
        "flex": 3,
        "minWidth": 110,
        "tooltipField": "opening",
        "cellRenderer": TWO_LINES,
    },
    {"field": "findings", "headerName": "Findings", "width": 140, "tooltipField": "findings"},
    {"field": "status", "headerName": "Status", "width": 118},
    {"field": "persona", "headerName": "Persona", "width": 140},
    {"field": "arc", "headerName": "Arc", "width": 170},
    {"field": "topic", "headerName": "Topic", "width": 170},
    {"field": "turns", "headerName": "Turns", "width": 78, "type": "numericColumn"},
    {"field": "words", "headerName": "Words", "width": 104, "type": "numericColumn"},
    {"field": "writer", "headerName": "Writer", "width": 100},
    {"field": "tier", "headerName": "Tier", "width": 110},
    {"field": "template", "headerName": "Template", "width": 190},
    {"field": "model", "headerName": "Model", "width": 150},
    {"field": "reviewer", "headerName": "Decided by", "width": 120},
    {"field": "written", "headerName": "Written", "width": 140},
)
ORDERS = {
    ("score", "desc"): "best",
    ("score", "asc"): "worst",
    ("words", "desc"): "longest",
    ("words", "asc"): "shortest",
    ("written", "desc"): "newest",
    ("written", "asc"): "oldest",
}
"""What a click on the head of a column asks for."""
HEADINGS = {str(column["field"]): str(column["headerName"]) for column in COLUMNS}
FIRST_SHOWN = ("scenario", "score", "opening", "status")
"""What is shown to who has not chosen: as much as stands beside a conversation without being moved."""


@dataclass(frozen=True, slots=True)
class Queue:
    """One page of the list as the reviewer sees it."""

    chosen: ConversationFilter
    rows: Sequence[dict[str, Any]]
    total: int
    counts: Mapping[ConversationStatus, int]
    """How many match in each status."""
    pages: int
    selected: Sequence[Seen]
    reading: Seen
    """The conversation on the right, as it was when the reviewer began to read it."""
    presses: Sequence[Press]
    """Keys pressed on rows; who decides by them has to hear them."""

    @property
    def targets(self) -> Sequence[Seen]:
        """What a decision applies to: the selection, or else the conversation being read."""
        return self.selected or ([self.reading] if self.reading.row_version else [])

    @property
    def holds_decided(self) -> bool:
        """Whether something of it may have been decided on, and can go back to the queue."""
        is_elsewhere = self.reading.id not in {str(row["id"]) for row in self.rows}
        return self.chosen.status is not ConversationStatus.PENDING_REVIEW or is_elsewhere

    def pressed(self, press: Press) -> Sequence[Seen]:
        """What a key decides on: the selection, or else the row it was pressed on."""
        if not self.selected and press.id == self.reading.id:
            return self.targets
        return self.selected or [_seen(row) for row in self.rows if row["id"] == press.id]

    def after(self, decided: Sequence[Seen]) -> str | None:
        """Return the row to read once some have left the page: the next below, else the last above.

        What is read without being on this page stays: its neighbours are elsewhere, and nobody asked for another one.
        """
        gone = {seen.id for seen in decided}
        ids = [str(row["id"]) for row in self.rows]
        if self.reading.id in gone and self.reading.id not in ids:
            return self.reading.id
        start = ids.index(self.reading.id) if self.reading.id in ids else 0
        below = [i for i in ids[start:] if i not in gone]
        above = [i for i in ids[:start] if i not in gone]
        return next(iter(below + above[::-1]), None)


def heed_heads() -> None:
    """Take over the order that was asked for at the head of a column, before the choice of orders is drawn."""
    asked = ordered(GRID)
    if asked in ORDERS:
        st.session_state[SORT] = ORDERS[asked]
        st.session_state[AT] = 1
        set_place("id", None)


def look(app: App, chosen: ConversationFilter, sort: str) -> Queue:
    """Read the page the address names, with what the grid says about it."""
    counts = app.reviews.count_statuses(chosen)
    total = sum(counts.values()) if chosen.status is None else counts.get(chosen.status, 0)
    pages = max(1, -(-total // PAGE))
    at = page_at(AT, pages)
    rows = (
        app.reviews.page(chosen, sort=sort, limit=PAGE, offset=(at - 1) * PAGE, total=total) if total else []
    )
    ids = [str(row["id"]) for row in rows]
    touch = touched(GRID, ids)
    if touch.read:
        set_place("id", touch.read)
        hear_move(GRID)
    picked = set(touch.selected)
    selected = [_seen(row) for row in rows if row["id"] in picked]
    reading = _reading(app, rows)
    return Queue(chosen, rows, total, counts, pages, selected, reading, touch.presses)


def _reading(app: App, rows: Sequence[dict[str, Any]]) -> Seen:
    """Return what is being read: it stays, whatever others decide meanwhile, and so does how it was seen.

    Each click draws the list afresh. Without this the next conversation would slip under the hand of whoever
    is about to decide, or a decision of somebody else would count as seen.
    """
    own = desk()
    wanted = place("id") or (str(rows[0]["id"]) if rows else "")
    if own.reading is None or own.reading.id != wanted:
        found = [_seen(row) for row in rows if row["id"] == wanted]
        own.reading = found[0] if found else app.reviews.seen(ConversationId(wanted))
        set_place("id", wanted)
    return own.reading


def draw_list(app: App, queue: Queue, fields: Sequence[str], sort: str, above: DeltaGenerator) -> None:
    """Draw the grid with these columns in this order, how many match in the row above, and its pages."""
    orders = {field: None for field, _ in ORDERS} | {
        field: way for (field, way), name in ORDERS.items() if name == sort
    }
    draw_grid(_frame(app, queue.rows), _columns(queue.chosen, fields), orders, key=GRID, height=HEIGHT)
    others = [f"{words(s)} {n:,}" for s, n in queue.counts.items() if s is not queue.chosen.status]
    matching = counted(queue.total, "conversation matches", "conversations match")
    above.caption(" · ".join([f"{matching}.", *others]))
    if queue.pages > 1:
        st.pagination(queue.pages, key=AT, bind="query-params", on_change=next_reading)


def draw_nothing(app: App, chosen: ConversationFilter) -> None:
    """Say why the list is empty and what to do next."""
    if not app.reviews.count(ConversationFilter()):
        empty_state(
            "Nothing has been written yet",
            "A batch writes conversations; they wait here until somebody has read them.",
            link=Place.GENERATE,
            label="Make the first batch",
        )
        return
    if chosen == ConversationFilter(status=ConversationStatus.PENDING_REVIEW):
        empty_state(
            "All caught up",
            "Every conversation has been decided on. What was approved can be taken away as a dataset.",
            link=Place.DATASETS,
            label="Make a dataset",
        )
        return
    why = WORDLESS if chosen.is_wordless else "No conversation fits these filters."
    empty_state("Nothing matches", why)
    st.button("Clear filters", key="nothing-clear", on_click=forget_filters)


def _columns(chosen: ConversationFilter, fields: Sequence[str]) -> list[dict[str, Any]]:
    """Leave out what nobody wants to see, and what the filter makes the same in every row."""
    same = set()
    if chosen.status is not None:
        same.add("status")
    if chosen.status is ConversationStatus.PENDING_REVIEW:
        same.add("reviewer")
    wanted = [column for column in COLUMNS if column["field"] in fields and column["field"] not in same]
    return wanted or list(COLUMNS[:1])


def _seen(row: dict[str, Any]) -> Seen:
    return Seen(ConversationId(row["id"]), int(row["row_version"]))


def _frame(app: App, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([_cells(app, row) for row in rows])


def _cells(app: App, row: dict[str, Any]) -> dict[str, object]:
    findings = ", ".join(words(flag) for flag in row["flags"] or ())
    return {
        "id": str(row["id"]),
        "scenario": plain(row["name"]),
        "opening": plain(row["first_words"] or ""),
        "score": f"{_mark(row)}{float(row['quality_score']):.1f}",
        "findings": ("Blocked: " if row["has_blockers"] else "") + findings,
        "status": words(row["status"]),
        **{axis: _called(app, axis, row[f"{axis}_key"]) for axis in ("persona", "arc", "topic")},
        "turns": int(row["turn_count"]),
        "words": int(row["word_count"]),
        "writer": WRITERS.get(row["writer"], plain(row["writer"])),
        "tier": words(row["tier"]),
        "model": plain(row["model"]),
        "template": _template(row),
        "reviewer": plain(row["reviewed_by"] or ""),
        "written": f"{datetime.fromisoformat(row['created_at']).astimezone():%d %b, %H:%M}",
    }


def _called(app: App, axis: str, key: str | None) -> str:
    return plain(app.scenarios.called(axis, key)) if key else "–"


def _mark(row: dict[str, Any]) -> str:
    """Return the sign of what was found, which stands in sight where the column of findings does not."""
    return "✕ " if row["has_blockers"] else "⚠ " if row["flags"] else ""


def _template(row: dict[str, Any]) -> str:
    return f"{plain(row['template_name'])} v{row['template_version']}" if row["template_name"] else "–"
