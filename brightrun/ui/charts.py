"""Charts: few, small, and each readable without its colours."""

from __future__ import annotations

import altair as alt
import pandas as pd

from brightrun.domain.batch import Counts
from brightrun.ui.text import words
from brightrun.ui.theme import ITEM_SHADES

ORDER = tuple(ITEM_SHADES)


def status_bar(counts: Counts) -> alt.Chart:
    """Return one bar of all items, divided by status; its specification never changes, only its data."""
    frame = pd.DataFrame(
        {
            "status": [f"{words(status.value)}" for status in ORDER],
            "items": [int(getattr(counts, status.value)) for status in ORDER],
            "order": range(len(ORDER)),
        }
    )
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_bar(height=22)
        .encode(
            x=alt.X("items:Q", stack="normalize", axis=None),
            color=alt.Color(
                "status:N",
                scale=alt.Scale(
                    domain=[words(s.value) for s in ORDER], range=[ITEM_SHADES[s] for s in ORDER]
                ),
                legend=alt.Legend(orient="bottom", title=None, symbolType="square", offset=0, padding=0),
            ),
            order="order:Q",
            tooltip=["status:N", "items:Q"],
        )
        .properties(height=22, autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
        .configure_view(strokeWidth=0)
    )
    return chart
