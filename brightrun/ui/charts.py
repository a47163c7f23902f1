"""Charts: few, small, and each readable without its colours."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from brightrun.domain.batch import ItemStatus
from brightrun.domain.progress import Point
from brightrun.ui.theme import ITEM_SHADES, MONEY_SHADE

HEIGHT = 250
COMPLETED, FAILED, SPENT = "Completed", "Failed", "Dollars spent"


def job_course(points: Sequence[Point], total: int, *, has_money: bool) -> alt.LayerChart:
    """Return items and money over time; its specification stays the same for a job, only the data changes."""
    frame = pd.DataFrame(
        {
            "at": pd.to_datetime([point.at for point in points], utc=True),
            COMPLETED: [point.completed for point in points],
            FAILED: [point.failed for point in points],
            SPENT: [point.spent for point in points],
        }
    )
    base = alt.Chart(frame).encode(
        x=alt.X(
            "at:T", title=None, axis=alt.Axis(grid=False, tickCount=4, format="%H:%M:%S", labelOverlap=True)
        )
    )
    layers = [_items(base, total, has_money=has_money), *([_money(base)] if has_money else [])]
    chart: alt.LayerChart = (
        alt.layer(*layers)
        .resolve_scale(y="independent")
        .properties(height=HEIGHT)
        .configure_view(strokeWidth=0)
    )
    return chart


def _items(base: alt.Chart, total: int, *, has_money: bool) -> alt.Chart:
    """Draw completed and failed items above each other, up to all of the job."""
    chart: alt.Chart = (
        base.transform_fold([COMPLETED, FAILED], as_=["what", "items"])
        .mark_area(opacity=0.75, interpolate="step-after")  # counters: what is retried falls at once
        .encode(
            y=alt.Y(
                "items:Q",
                stack="zero",
                scale=alt.Scale(domain=[0, total], nice=False),
                axis=alt.Axis(title="Items", tickCount=4, tickMinStep=1, format="~s"),
            ),
            color=alt.Color(
                "what:N",
                scale=_shades(has_money=has_money),
                legend=alt.Legend(orient="top", title=None, symbolType="square"),
            ),
            order=alt.Order("what:N"),
            tooltip=_tooltip(),
        )
    )
    return chart


def _money(base: alt.Chart) -> alt.Chart:
    """Draw the money spent, on an axis of its own."""
    axis = alt.Axis(title="Dollars", grid=False, tickCount=4, format="$~g")
    chart: alt.Chart = base.mark_line(strokeWidth=2, strokeDash=[5, 3], interpolate="step-after").encode(
        y=alt.Y(f"{SPENT}:Q", axis=axis), color=alt.ColorDatum(SPENT), tooltip=_tooltip()
    )
    return chart


def _shades(*, has_money: bool) -> alt.Scale:
    shades = {
        COMPLETED: ITEM_SHADES[ItemStatus.COMPLETED],
        FAILED: ITEM_SHADES[ItemStatus.FAILED],
        **({SPENT: MONEY_SHADE} if has_money else {}),
    }
    return alt.Scale(domain=list(shades), range=list(shades.values()))


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("at:T", title="At", format="%d %b, %H:%M:%S"),
        alt.Tooltip(f"{COMPLETED}:Q", format=","),
        alt.Tooltip(f"{FAILED}:Q", format=","),
        alt.Tooltip(f"{SPENT}:Q", format="$.4f"),
    ]
