"""Coverage: which combinations were planned, written and approved, and the way from a cell to its next step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.insight import Cell, Coverage, Scope
from brightrun.ui.axes import axis_names
from brightrun.ui.filters import ANY, WRITERS
from brightrun.ui.frame import Place, empty_state
from brightrun.ui.insight import draw_sentence, draw_table
from brightrun.ui.insight_charts import Count, matrix
from brightrun.ui.text import counted, label_safe, words

AXES = ("persona", "arc", "topic")
NAMES = {"persona": "Persona", "arc": "Emotional arc", "topic": "Topic"}
GRIDS = {"persona-arc": "Persona × arc", "persona-topic": "Persona × topic", "arc-topic": "Arc × topic"}
COUNTS = {"planned": "Planned", "written": "Written", "approved": "Approved"}
PICKED = "cell"
Names = Mapping[str, Mapping[str, str]]
"""The name of each key, for each axis."""
BETWEEN = "\x1f"


@dataclass(frozen=True, slots=True)
class Grid:
    """The heat map as chosen: two axes, what is counted, and one value of the third axis or all."""

    down: str
    across: str
    count: str
    third: str
    only: str | None


def draw_coverage(app: App, coverage: Coverage, scope: Scope) -> None:
    """Draw the heat map with its empty cells, and what can be done about one."""
    if not coverage.possible:
        empty_state(
            "The scaffolding is empty",
            "There are no personas, emotional arcs or topics to combine. Load the seed, or use a file.",
            link=Place.SYSTEM,
            label="What is missing",
        )
        return
    draw_sentence(coverage.sentence())
    every = axis_names(app.scenarios.axes(active_only=False))
    names = {axis: {key: every[axis].get(key, key) for key in keys} for axis, keys in coverage.keys.items()}
    grid = _choose(names)
    _draw_map(coverage, grid, names, scope)
    _draw_rest(coverage, grid)


def _choose(names: Names) -> Grid:
    with st.container(horizontal=True, vertical_alignment="bottom", key="coverage-choice"):
        grid = str(_segments("Cells", GRIDS, "grid"))
        count = str(_segments("Count", COUNTS, "count"))
        down, across = grid.split("-")
        third = next(axis for axis in AXES if axis not in (down, across))
        only = st.selectbox(
            NAMES[third],
            [ANY, *names[third]],
            format_func=lambda key: "Any" if key == ANY else names[third].get(key, key),
            key=third,
            bind="query-params",
            width=280,
        )
    return Grid(down, across, count, third, None if only in (None, ANY) else str(only))


def _segments(label: str, options: Mapping[str, str], key: str) -> str:
    chosen = st.segmented_control(
        label,
        list(options),
        default=next(iter(options)),
        required=True,
        format_func=options.__getitem__,
        key=key,
        bind="query-params",
        width="content",
    )
    return str(chosen)


@st.fragment
def _draw_map(coverage: Coverage, grid: Grid, names: Names, scope: Scope) -> None:
    """Draw the cells; a fragment, so that choosing one counts nothing again."""
    rows, columns = names[grid.down], names[grid.across]
    sums = _sums(coverage.cells, grid)
    cells = [
        Count(rows[down], columns[across], _at(sums, (down, across))[grid.count],
              _note(_at(sums, (down, across))), f"{down}{BETWEEN}{across}")
        for down in rows
        for across in columns
    ]  # fmt: skip
    empty = sum(cell.number == 0 for cell in cells)
    draw_sentence(f"{empty:,} of the {counted(len(cells), 'cell')} below hold nothing {grid.count} yet.")
    event: Any = st.altair_chart(
        matrix(
            cells,
            list(rows.values()),
            list(columns.values()),
            (NAMES[grid.down], NAMES[grid.across], COUNTS[grid.count]),
            chosen=PICKED,
        ),
        key="insight-coverage",
        on_select="rerun",
        selection_mode=PICKED,
        alt=f"How many conversations are {grid.count}, {GRIDS[f'{grid.down}-{grid.across}']}.",
    )
    picked = _picked(event, cells)
    if picked is None:
        st.caption("Choose a cell to review what is in it, or to write more of it.")
    else:
        _draw_cell(picked, _at(sums, _keys(picked))["written"], grid, names, scope)
    draw_table([
        {NAMES[grid.down]: cell.row, NAMES[grid.across]: cell.column,
         **{word: _at(sums, _keys(cell))[key] for key, word in COUNTS.items()}}
        for cell in cells
    ])  # fmt: skip


def _draw_cell(cell: Count, written: int, grid: Grid, names: Names, scope: Scope) -> None:
    """Say what is in a cell, and lead to its conversations and to a batch that fills it."""
    down, across = _keys(cell)
    keys = {grid.down: down, grid.across: across} | ({grid.third: grid.only} if grid.only else {})
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="coverage-cell"):
        st.markdown(f"**{label_safe(cell.row)} × {label_safe(cell.column)}**: {label_safe(cell.note)}")
        if written:
            shown = {axis: names[axis][key] for axis, key in keys.items()}
            st.page_link(Place.REVIEW.value, label="Review these", query_params=shown | _narrower(scope))
        st.page_link(Place.GENERATE.value, label="New batch for this", query_params=keys)


def _narrower(scope: Scope) -> dict[str, str]:
    """The address of the review says its choices by their labels."""
    query = {"status": words(ANY)}
    if scope.writer:
        query["writer"] = WRITERS[scope.writer]
    if scope.job_id:
        query["job"] = scope.job_id
    return query


def _draw_rest(coverage: Coverage, grid: Grid) -> None:
    """Say what has no place in the map."""
    outside = sum(c.written for c in coverage.cells if not _is_in(c, grid))
    if outside:
        st.caption(
            f"{counted(outside, 'conversation')} in no cell: without {NAMES[grid.down].lower()} or "
            f"{NAMES[grid.across].lower()}, or with one that the scaffolding no longer has."
        )
    if coverage.left_out:
        st.caption(f"{counted(coverage.left_out, 'rarer combination')} not counted in the map.")


def _sums(cells: Sequence[Cell], grid: Grid) -> dict[tuple[str, str], dict[str, int]]:
    sums: dict[tuple[str, str], dict[str, int]] = {}
    for cell in cells:
        if not _is_in(cell, grid) or (grid.only and getattr(cell, grid.third) != grid.only):
            continue
        place = sums.setdefault(
            (getattr(cell, grid.down), getattr(cell, grid.across)), dict.fromkeys(COUNTS, 0)
        )
        for count in COUNTS:
            place[count] += getattr(cell, count)
    return sums


def _is_in(cell: Cell, grid: Grid) -> bool:
    return bool(getattr(cell, grid.down) and getattr(cell, grid.across))


def _at(sums: Mapping[tuple[str, str], Mapping[str, int]], keys: tuple[str, str]) -> Mapping[str, int]:
    return sums.get(keys, dict.fromkeys(COUNTS, 0))


def _note(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{numbers[key]:,} {key}" for key in COUNTS)


def _picked(event: Any, cells: Sequence[Count]) -> Count | None:
    """Return the chosen cell, if it is one of those shown now."""
    chosen = event.selection.get(PICKED, []) if event else []
    ids = {row.get("id") for row in chosen}
    return next((cell for cell in cells if cell.id in ids), None)


def _keys(cell: Count) -> tuple[str, str]:
    down, across = cell.id.split(BETWEEN)
    return down, across
