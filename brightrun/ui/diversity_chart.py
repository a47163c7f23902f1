"""The picture of how varied conversations are: each figure on its side of its limit."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import altair as alt
import pandas as pd

from brightrun.domain.batch import ItemStatus
from brightrun.domain.diversity import Tell
from brightrun.ui.theme import ITEM_SHADES, ink, quiet

FARTHEST = 1.0
"""A bar ends here, at twice its limit or half of it: how much farther a figure lies matters little by then."""
ROW = 42
ENDS = {-FARTHEST: "\u2190 more varied", 0: "limit", FARTHEST: "more alike \u2192"}
SIDES = ("within its limit", "beyond its limit")


def limits(tells: Sequence[Tell]) -> alt.LayerChart:
    """Return a bar for each figure from its limit: to the left where it is kept, to the right where it is passed."""
    rows = pd.DataFrame([_row(tell) for tell in tells])
    base = alt.Chart(rows).encode(
        y=alt.Y(
            "name:N",
            sort=None,
            title=None,
            # A name with its value below: beside the bar, the one would lie over the other on a narrow page.
            axis=alt.Axis(
                labelExpr="split(datum.value, '|')", labelLimit=260, labelColor=ink(), labelFontSize=12,
                labelLineHeight=15, labelOverlap=False, domain=False, ticks=False, minExtent=190, labelPadding=8,
            ),
        ),
        tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in (
            ("label", "Figure"), ("value", "Value"), ("limit", "Limit"), ("meaning", "What it is"),
            ("source", "Where its limit comes from"))],
    )  # fmt: skip
    words = " : ".join(f"datum.value == {at:g} ? '{word}'" for at, word in ENDS.items())
    x = alt.X(
        "distance:Q",
        title=None,
        scale=alt.Scale(domain=[-FARTHEST, FARTHEST]),
        axis=alt.Axis(
            values=list(ENDS), labelExpr=f"{words} : ''", orient="top", labelColor=quiet(), labelFontSize=12,
            labelFlush=True, labelOverlap=False, grid=False, ticks=False, domain=False,
        ),
    )  # fmt: skip
    bars = base.mark_bar(height=14, cornerRadiusEnd=3).encode(x=x, x2=alt.datum(0), color=_colour())
    line = alt.Chart(pd.DataFrame({"distance": [0.0]})).mark_rule(color=ink(), strokeWidth=1.5).encode(x=x)
    chart: alt.LayerChart = alt.LayerChart(layer=[bars, line]).properties(height=alt.Step(ROW))
    finished: alt.LayerChart = chart.configure_view(strokeWidth=0)
    return finished


def _row(tell: Tell) -> dict[str, object]:
    bound = f"{'at least' if tell.limit.is_least else 'at most'} {tell.limit.value:g}"
    aside = "" if tell.limit.counts else ", does not count"
    return {
        "name": f"{tell.label}|{tell.value:.3g}, {bound}{aside}",
        "distance": _distance(tell),
        "side": SIDES[tell.warns],
        "label": tell.label,
        "value": f"{tell.value:.3g}",
        "limit": bound,
        "meaning": tell.limit.meaning,
        "source": tell.limit.source,
    }


def _distance(tell: Tell) -> float:
    """Return how far a figure is from its limit in doublings, whichever way it counts: beyond it is more than nought."""
    better, worse = (tell.limit.value, tell.value)
    if tell.limit.is_least:
        better, worse = worse, better
    if worse <= 0:
        return -FARTHEST
    if better <= 0:
        return FARTHEST
    return max(-FARTHEST, min(FARTHEST, log2(worse / better)))


def _colour() -> alt.Color:
    # Without a legend: the side of the line says what the colour does, and a legend is cut off on a narrow page.
    shades = [ITEM_SHADES[ItemStatus.COMPLETED], ITEM_SHADES[ItemStatus.PROCESSING]]
    return alt.Color(
        "side:N",
        scale=alt.Scale(domain=list(SIDES), range=shades),
        legend=None,
    )
