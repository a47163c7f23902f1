"""One page of rows in AgGrid: what it shows, and what comes back when a person touches it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from st_aggrid import AgGrid, JsCode, StAggridTheme

from brightrun.ui.desk import Desk
from brightrun.ui.session import desk
from brightrun.ui.theme import is_dark

ROW_HEIGHT = 52
HEADER_HEIGHT = 40
BORDERS = 2

# Only ids come back: the default modes return every row at each click. The page sees the last state alone, and
# a quick hand is faster than a run of it, so the keys pressed lately come along with every state.
RETURNED = JsCode("""
function ({streamlitRerunEventTriggerName, eventData}) {
  const api = eventData.api;
  const cell = api.getFocusedCell();
  const row = cell ? api.getDisplayedRowAtIndex(cell.rowIndex) : null;
  window.presses = window.presses || [];
  if (streamlitRerunEventTriggerName === "cellKeyDown" && eventData.node) {
    const last = window.presses.length ? window.presses[window.presses.length - 1][0] : 0;
    window.presses.push([Math.max(Date.now(), last + 1), eventData.event.key, eventData.node.id]);
    window.presses = window.presses.slice(-20);
  }
  if (streamlitRerunEventTriggerName === "sortChanged") {
    const column = api.getColumnState().find((one) => one.sort);
    if (column) window.order = [Date.now(), column.colId, column.sort];
  }
  return {
    selected: api.getSelectedNodes().map((node) => node.id),
    read: row ? row.id : null,
    presses: window.presses,
    order: window.order,
    at: Date.now(),
  };
}
""")
# Of all keys only those that decide; the others stay the grid's own. An order the page has set is no news to it.
RETURNS = JsCode("""
function ({streamlitRerunEventTriggerName, eventData}) {
  if (streamlitRerunEventTriggerName === "sortChanged") return eventData.source === "uiColumnSorted";
  if (streamlitRerunEventTriggerName !== "cellKeyDown") return true;
  const event = eventData.event;
  return !event.ctrlKey && !event.metaKey && !event.altKey && "axn".includes(event.key);
}
""")
ROW_ID = JsCode("function (params) { return params.data.id; }")
# Text on two lines, cut off after them; as text, whatever stands in it.
TWO_LINES = JsCode("""
class {
  init(params) {
    this.span = document.createElement("span");
    this.span.className = "two-lines";
    this.span.textContent = params.value;
  }
  getGui() { return this.span; }
}
""")
AS_IT_COMES = JsCode("function () { return 0; }")


@dataclass(frozen=True, slots=True)
class Press:
    """A key that was pressed on a row."""

    at: int
    key: str
    id: str


@dataclass(frozen=True, slots=True)
class Touch:
    """What a person chose in the grid; ids that left the page are gone from it."""

    selected: tuple[str, ...] = ()
    read: str | None = None
    """The row under the cursor; None where it has not moved since it was heard."""
    presses: tuple[Press, ...] = ()
    """Keys that nobody has acted on yet, in their order."""


def height_of(rows: int) -> int:
    """Return the height in pixels of a grid that shows this many rows whole."""
    return HEADER_HEIGHT + rows * ROW_HEIGHT + BORDERS


def touched(key: str, ids: Sequence[str]) -> Touch:
    """Return what the grid of this key says, before it is drawn; `ids` are those on the page."""
    value = st.session_state.get(key)
    if not isinstance(value, Mapping):
        return Touch()
    shown = set(ids)
    selected = tuple(i for i in value.get("selected") or () if i in shown)
    read = value.get("read")
    heard = desk().heard
    presses = [Press(int(at), str(pressed), str(row)) for at, pressed, row in value.get("presses") or ()]
    return Touch(
        selected,
        read if read in shown and heard.get(key) != value.get("at") else None,
        tuple(press for press in presses if press.at > heard.get((key, "press"), 0)),
    )


def ordered(key: str) -> tuple[str, str] | None:
    """Return the column whose head was clicked in the grid of this key, with "asc" or "desc"; each click once."""
    value = st.session_state.get(key)
    asked = value.get("order") if isinstance(value, Mapping) else None
    heard = desk().heard
    if not asked or heard.get((key, "order"), 0) >= asked[0]:
        return None
    heard[key, "order"] = asked[0]
    return str(asked[1]), str(asked[2])


def hear_move(key: str) -> None:
    """Note that the last move in the grid of this key was followed; until then each run tells of it."""
    value = st.session_state.get(key)
    if isinstance(value, Mapping):
        desk().heard[key] = value.get("at")


def hear_press(own: Desk, key: str, press: Press) -> None:
    """Note that a key is being acted on, and those before it."""
    own.heard[key, "press"] = press.at


def draw_grid(
    rows: pd.DataFrame,
    columns: Sequence[Mapping[str, Any]],
    orders: Mapping[str, str | None],
    *,
    key: str,
    height: int,
) -> None:
    """Draw rows of plain text, whole numbers, rounded figures and yes or no; `id` is never shown.

    Filter, order and page are the database's: a click on the head of a column in `orders` only asks for another
    (see `ordered`), and `orders` says which of them are ordered by, "asc" or "desc".
    """
    options = {
        "columnDefs": [{"field": "id", "hide": True}, *(_headed(column, orders) for column in columns)],
        "suppressMultiSort": True,
        "defaultColDef": {
            "sortable": False,
            "filter": False,
            "resizable": True,
            "suppressHeaderMenuButton": True,
        },
        "selectionColumnDef": {"width": 44, "pinned": "left"},
        "getRowId": ROW_ID,
        "rowHeight": ROW_HEIGHT,
        "headerHeight": HEADER_HEIGHT,
        "rowSelection": {
            "mode": "multiRow",
            "checkboxes": True,
            "headerCheckbox": True,
            "enableClickSelection": False,
        },
        "animateRows": False,
        "suppressContextMenu": True,
        "suppressDragLeaveHidesColumns": True,
        "tooltipShowDelay": 400,
    }
    AgGrid(
        rows,
        gridOptions=options,
        key=key,
        height=height,
        theme=_theme(),
        custom_css=_style(),
        data_return_mode="CUSTOM",
        custom_jscode_for_grid_return=RETURNED,
        should_grid_return=RETURNS,
        update_on=[("selectionChanged", 120), ("cellFocused", 150), "cellKeyDown", "sortChanged"],
        allow_unsafe_jscode=True,
        server_sync_strategy="server_wins",
        show_toolbar=False,
    )


@cache
def _style() -> dict[str, dict[str, str]]:
    """Return what the theme of the grid cannot say; within its frame the app's own typeface has to be fetched again."""
    found = sorted((Path(st.__file__).parent / "static/static/media").glob("SourceSansVF-Upright*"))
    face = {
        "font-family": "'Source Sans'",
        "font-weight": "200 900",
        "src": f"url(../../static/media/{found[0].name})" if found else "local('Source Sans 3')",
    }
    return {
        "@font-face": face,
        ".ag-row-focus": {"box-shadow": "inset 3px 0 0 0 #0f8379"},
        ".ag-root-wrapper": {"border-radius": "8px"},
        ".two-lines": {
            "display": "-webkit-box",
            "-webkit-box-orient": "vertical",
            "-webkit-line-clamp": "2",
            "overflow": "hidden",
            "white-space": "normal",
            "overflow-wrap": "anywhere",
            "line-height": "1.35",
        },
        ".ag-cell:has(.two-lines)": {"display": "flex", "align-items": "center"},
        ".ag-cell-wrapper": {"height": "100%"},
        ".ag-cell:not(:has(.two-lines))": {"line-height": f"{ROW_HEIGHT - BORDERS}px"},
    }


def _headed(column: Mapping[str, Any], orders: Mapping[str, str | None]) -> dict[str, Any]:
    if column["field"] not in orders:
        return dict(column)
    return {
        **column,
        "sortable": True,
        "sort": orders[column["field"]],
        "sortingOrder": ["desc", "asc"],
        "comparator": AS_IT_COMES,
    }


def _theme() -> StAggridTheme:
    ground, text, line, head = (
        ("#0f1719", "#e4eceb", "#2b3a3d", "#182326")
        if is_dark()
        else ("#ffffff", "#17262b", "#d9e2e2", "#f3f6f6")
    )
    theme: StAggridTheme = StAggridTheme(base="quartz").withParams(
        fontFamily="'Source Sans', 'Segoe UI', system-ui, sans-serif",
        fontSize=14,
        cellHorizontalPadding=12,
        accentColor="#0f8379",
        backgroundColor=ground,
        foregroundColor=text,
        borderColor=line,
        headerBackgroundColor=head,
        oddRowBackgroundColor=ground,
        selectedRowBackgroundColor="#0f837926",
        rowHoverColor="#0f837914",
        browserColorScheme="dark" if is_dark() else "light",
    )
    return theme
