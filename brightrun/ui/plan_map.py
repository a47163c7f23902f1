"""How a plan lies on its axes: which combinations it holds, before anything is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.scenario import Scenario
from brightrun.services.spaces import Chosen
from brightrun.ui.axes import axis_names
from brightrun.ui.insight_charts import Count, matrix
from brightrun.ui.insight_coverage import NAMES
from brightrun.ui.text import counted, label_safe

LONGEST_AXIS = 40
"""More rows or columns than these cannot be read in a heat map."""


def draw_plan_map(app: App, made: Chosen, chosen: Mapping[str, Sequence[str]]) -> None:
    """Draw how many scenarios lie where two axes meet, if two are long enough and none is too long."""
    axes = [axis for axis in NAMES if 1 < len(chosen.get(axis, ())) <= LONGEST_AXIS]
    if len(axes) < 2:
        return
    # The longer axis goes down: there is room for a name beside each row, and little above a column.
    across, down = sorted((axes[0], axes[-1]), key=lambda axis: len(chosen[axis]))
    with st.expander("How the plan lies on the axes", expanded=made.allowed != made.total):
        known = axis_names(app.scenarios.axes())
        rows = {key: known[down].get(key, key) for key in chosen[down]}
        columns = {key: known[across].get(key, key) for key in chosen[across]}
        scenarios, summed = _narrowed(made.scenarios, chosen, known, (down, across))
        st.altair_chart(
            matrix(
                _cells(app, scenarios, (down, rows), (across, columns)),
                list(rows.values()),
                list(columns.values()),
                (NAMES[down], NAMES[across], "Planned"),
                is_narrow=True,
            ),
            alt=f"How many scenarios are planned, {NAMES[down]} × {NAMES[across].lower()}.",
        )
        st.caption(
            f"Each cell: how many are planned now{summed}. Point at one to see what is written and approved."
        )


def _narrowed(
    scenarios: Sequence[Scenario],
    chosen: Mapping[str, Sequence[str]],
    known: Mapping[str, Mapping[str, str]],
    drawn: tuple[str, str],
) -> tuple[Sequence[Scenario], str]:
    """Let a person look at one value of the third axis; returns its scenarios, and what each cell still sums up."""
    rest = {axis: values for axis, values in chosen.items() if axis not in drawn and len(values) > 1}
    third = next((axis for axis in NAMES if axis in rest), None)
    if third:
        every = f"All {len(rest[third]):,} together"
        only = st.selectbox(
            NAMES[third],
            [None, *rest[third]],
            format_func=lambda key: known[third].get(key, key) if key else every,
            key=f"plan-map-{third}",
        )
        if only:
            scenarios = [one for one in scenarios if getattr(one, f"{third}_key") == only]
            del rest[third]
    over = [
        counted(len(values), label_safe(NAMES.get(axis, axis), limit=30).lower())
        for axis, values in rest.items()
    ]
    return scenarios, f", of {' and '.join(over)} together" if over else ""


def _cells(
    app: App,
    scenarios: Sequence[Scenario],
    down: tuple[str, Mapping[str, str]],
    across: tuple[str, Mapping[str, str]],
) -> list[Count]:
    states = app.spaces.states(scenarios)
    planned, written, approved = (
        Counter[tuple[str, str]](),
        Counter[tuple[str, str]](),
        Counter[tuple[str, str]](),
    )
    for scenario in scenarios:
        cell = (getattr(scenario, f"{down[0]}_key"), getattr(scenario, f"{across[0]}_key"))
        planned[cell] += 1
        if found := states.get(scenario.fingerprint()):
            written[cell] += found.written
            approved[cell] += found.approved
    return [
        Count(
            down[1][row],
            across[1][column],
            number,
            f"{number:,} planned, {written[row, column]:,} written, {approved[row, column]:,} approved",
        )
        for (row, column), number in planned.items()
    ]
