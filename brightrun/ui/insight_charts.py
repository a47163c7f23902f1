"""The charts of the insight page: each readable without its colours, on a light ground and on a dark one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import altair as alt
import pandas as pd

from brightrun.domain.insight import HALF, Band, half
from brightrun.ui.theme import DECISION_SHADES, heat, ink, quiet

Chart = alt.Chart | alt.LayerChart
CHARTED = 25
"""More rows than this are for the table."""
ROW = 30
CELL = 34
LEAST_COLUMNS = 4
"""As wide as one of so many a cell is at most: one alone across the page would look like a bar."""
SLANTED = 6
"""So many slanted names of columns leave room for the cells beside a form."""
ACCENT = "#0d9488"
FAINT = 0.4
DECISIONS = {"approved": "Approved", "needs_revision": "Needs revision", "rejected": "Rejected"}


@dataclass(frozen=True, slots=True)
class Interval:
    """A share, where it likely lies, and what it was counted from."""

    name: str
    share: float
    low: float
    high: float
    note: str


@dataclass(frozen=True, slots=True)
class Count:
    """One cell of a matrix; `id` comes back when it is chosen."""

    row: str
    column: str
    number: int
    note: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Amount:
    """A sum of money with what is written beside its bar."""

    name: str
    dollars: float
    note: str


@dataclass(frozen=True, slots=True)
class Decided:
    """How many decisions of one kind a person made."""

    name: str
    decision: str
    number: int


def intervals(rows: Sequence[Interval], title: str) -> Chart:
    """Return a dot for each share on the bar of its interval, with the counts beside it."""
    base = alt.Chart(_frame(rows)).encode(y=_rows("name", [row.name for row in rows]))
    tooltip = [
        alt.Tooltip("name:N", title="Value"),
        alt.Tooltip("share:Q", title=title, format=".0%"),
        alt.Tooltip("low:Q", title="At least", format=".0%"),
        alt.Tooltip("high:Q", title="At most", format=".0%"),
        alt.Tooltip("note:N", title="Counted from"),
    ]
    x = alt.X("low:Q", title=title, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
    bars = base.mark_rule(strokeWidth=8, opacity=FAINT, color=ACCENT, strokeCap="round").encode(
        x=x, x2="high:Q", tooltip=tooltip
    )
    dots = base.mark_point(filled=True, size=110, color=ACCENT, opacity=1).encode(
        x="share:Q", tooltip=tooltip
    )
    notes = base.mark_text(align="left", dx=8, dy=-9, fontSize=11, color=quiet()).encode(
        x="share:Q", text="note:N"
    )
    return _finished(alt.LayerChart(layer=[bars, dots, notes]), alt.Step(ROW))


def matrix(
    cells: Sequence[Count],
    rows: Sequence[str],
    columns: Sequence[str],
    titles: tuple[str, str, str],
    *,
    chosen: str | None = None,
    is_narrow: bool = False,
) -> Chart:
    """Return numbers as cells; a cell with nothing in it stays visible, as an outline with a nought.

    `titles` say what rows, columns and numbers are; `chosen` names a selection whose cells come back by their `id`.
    Where it `is_narrow`, many columns have upright names: slanted ones would take the cells' room.
    """
    angle = -90 if is_narrow and len(columns) > SLANTED else -35
    known = {(cell.row, cell.column): cell for cell in cells}
    full = [known.get((row, column), Count(row, column, 0)) for row in rows for column in columns]
    room = [" " * number for number in range(1, LEAST_COLUMNS - len(columns) + 1)]
    most = max((cell.number for cell in full), default=0)
    frame = _frame(full)
    frame["said"] = [f"{c.row}, {c.column}: {c.note or f'{c.number:,}'}" for c in full]
    base = alt.Chart(frame).encode(
        x=alt.X("column:N", title=None, scale=alt.Scale(domain=[*columns, *room]), axis=alt.Axis(
            values=list(columns), orient="top", labelAngle=0 if len(columns) == 1 else angle, labelLimit=170, labelColor=ink(), domain=False, ticks=False, labelOverlap=False, labelFlush=False, labelFontSize=12)),
        y=_rows("row", rows),
        description="said:N",
        tooltip=[alt.Tooltip("row:N", title=titles[0]), alt.Tooltip("column:N", title=titles[1]),
                 alt.Tooltip("number:Q", title=titles[2], format=","), *_notes(full)],
    )  # fmt: skip
    shades, strong = heat()
    fill = alt.condition(
        "datum.number > 0",
        alt.Color("number:Q", scale=alt.Scale(domain=[0, max(most, 1)], range=shades), legend=None),
        alt.value("rgba(128,128,128,0.04)"),
    )
    tiles = base.mark_rect(cornerRadius=3, stroke=quiet(), strokeOpacity=0.35, strokeWidth=1).encode(
        color=fill
    )
    if chosen:
        picked = alt.selection_point(name=chosen, fields=["id"], empty=False)
        tiles = tiles.encode(
            strokeWidth=alt.condition(picked, alt.value(3), alt.value(1)),
            strokeOpacity=alt.condition(picked, alt.value(1), alt.value(0.35)),
        ).add_params(picked)
    texts = base.mark_text(fontSize=12).encode(
        text=alt.Text("number:Q", format=","),
        color=alt.condition(f"datum.number > {0.55 * most}", alt.value(strong), alt.value(ink())),
        opacity=alt.condition("datum.number > 0", alt.value(1), alt.value(0.6)),
    )
    finished = _finished(alt.LayerChart(layer=[tiles, texts]), alt.Step(CELL))
    # The last label leans out to the right, and its room is reckoned a letter too narrow.
    return finished.properties(padding={"left": 5, "top": 5, "right": 18, "bottom": 5})


def score_rates(rows: Sequence[Interval]) -> Chart:
    """Return, for each half point of the score, the share approved on the bar of its interval; names are its start."""
    frame = _frame(rows)
    frame["score"] = [float(row.name) + HALF / 2 for row in rows]
    frame["number"] = [row.note.rpartition(" ")[2] for row in rows]
    base = alt.Chart(frame).encode(
        x=_score_axis("score:Q", title="Score"),
        tooltip=[alt.Tooltip("name:N", title="Score from"), alt.Tooltip("share:Q", title="Approved", format=".0%"),
                 alt.Tooltip("note:N", title="Counted from")],
    )  # fmt: skip
    y = alt.Y("low:Q", title="Approved of decided", scale=alt.Scale(domain=[0, 1.08]),
              axis=alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1], minExtent=40))  # fmt: skip
    bars = base.mark_rule(strokeWidth=8, opacity=FAINT, color=ACCENT, strokeCap="round").encode(
        y=y, y2="high:Q"
    )
    dots = base.mark_point(filled=True, size=90, color=ACCENT, opacity=1).encode(y="share:Q")
    numbers = base.mark_text(dy=-9, fontSize=11, color=quiet()).encode(y="high:Q", text="number:N")
    return _finished(alt.LayerChart(layer=[bars, dots, numbers]), 220)


def score_histogram(bands: Sequence[Band]) -> Chart:
    """Return how many conversations of each half point were decided how."""
    counts = Counter[tuple[float, str]]()
    for band in bands:
        counts[half(band.score), DECISIONS[band.decision]] += band.times
    frame = pd.DataFrame([
        {"from": start, "to": start + HALF, "decision": decision, "number": number}
        for (start, decision), number in sorted(counts.items())
    ])  # fmt: skip
    chart = (
        alt.Chart(frame)
        .mark_bar()
        .encode(
            x=_score_axis("from:Q", title="Score", bin="binned"),
            x2="to:Q",
            y=alt.Y("number:Q", title="Conversations", stack="zero", axis=_counts_axis()),
            color=_decision_colour(),
            order=alt.Order("decision:N"),
            tooltip=[alt.Tooltip("from:Q", title="Score from"), alt.Tooltip("to:Q", title="to"),
                     alt.Tooltip("decision:N", title="Decision"),
                     alt.Tooltip("number:Q", title="Conversations", format=",")],
        )
    )  # fmt: skip
    return _finished(chart, 240)


def amounts(rows: Sequence[Amount], title: str) -> Chart:
    """Return a bar for each sum of money, with its words beside it."""
    base = alt.Chart(_frame(rows)).encode(
        y=_rows("name", [row.name for row in rows]),
        x=alt.X("dollars:Q", title=title, axis=alt.Axis(format="$~g", tickCount=5, orient="top"),
                scale=alt.Scale(domain=[0, 1.35 * max((row.dollars for row in rows), default=0) or 1])),
        tooltip=[alt.Tooltip("name:N", title="Template and model"), alt.Tooltip("note:N", title=" ")],
    )  # fmt: skip
    bars = base.mark_bar(color=ACCENT, height=14, cornerRadiusEnd=3)
    notes = base.mark_text(align="left", dx=6, fontSize=12, color=ink()).encode(text="note:N")
    return _finished(alt.LayerChart(layer=[bars, notes]), alt.Step(ROW))


def people(rows: Sequence[Decided]) -> Chart:
    """Return a bar for each person, parted by what was decided."""
    frame = _frame([Decided(row.name, DECISIONS[row.decision], row.number) for row in rows])
    names = list(dict.fromkeys(row.name for row in rows))
    chart = (
        alt.Chart(frame)
        .mark_bar(height=18)
        .encode(
            y=_rows("name", names),
            x=alt.X("number:Q", title="Decisions", stack="zero", axis=_counts_axis()),
            color=_decision_colour(),
            order=alt.Order("decision:N"),
            tooltip=[alt.Tooltip("name:N", title="Person"), alt.Tooltip("decision:N", title="Decision"),
                     alt.Tooltip("number:Q", title="Decisions", format=",")],
        )
    )  # fmt: skip
    return _finished(chart, alt.Step(ROW))


def _rows(field: str, order: Sequence[str]) -> alt.Y:
    return alt.Y(
        f"{field}:N",
        sort=list(order),
        title=None,
        axis=alt.Axis(
            labelLimit=260,
            labelColor=ink(),
            domain=False,
            ticks=False,
            minExtent=120,
            labelOverlap=False,
            labelFlush=False,
            labelFontSize=12,
        ),
    )


def _score_axis(field: str, *, title: str | None, bin: Literal["binned"] | None = None) -> alt.X:
    return alt.X(field, title=title, scale=alt.Scale(domain=[0, 10]), bin=bin,
                 axis=alt.Axis(values=list(range(11)), format="d", grid=False, minExtent=20))  # fmt: skip


def _counts_axis() -> alt.Axis:
    return alt.Axis(format="~s", tickMinStep=1, tickCount=5, minExtent=40)


def _notes(cells: Sequence[Count]) -> list[alt.Tooltip]:
    return [alt.Tooltip("note:N", title="In all")] if any(cell.note for cell in cells) else []


def _decision_colour() -> alt.Color:
    return alt.Color(
        "decision:N",
        title=None,
        scale=alt.Scale(domain=list(DECISIONS.values()), range=[DECISION_SHADES[key] for key in DECISIONS]),
        legend=alt.Legend(orient="top", symbolType="square"),
    )


def _frame(rows: Sequence[Interval] | Sequence[Count] | Sequence[Amount] | Sequence[Decided]) -> pd.DataFrame:
    return pd.DataFrame([asdict(row) for row in rows])


def _finished(chart: Chart, height: int | alt.Step) -> Chart:
    finished: Chart = chart.properties(height=height).configure_view(strokeWidth=0)
    return finished
