"""Scenarios by the names people tell them apart by."""

from __future__ import annotations

from brightrun.domain.scenario import Scenario, Tier


def test_rows_that_share_their_longest_cell_are_told_apart() -> None:
    """What happens names a scenario, and not the role that is the same in every row of the sheet."""
    role = (
        "You answer for the public library. You may look things up, and you never promise what you cannot do."
    )
    rows = [
        Scenario(
            tier=Tier.SCENARIO, variables={"assistant_role": role, "scenario": f"A reader asks for {book}."}
        )
        for book in ("an atlas", "a novel")
    ]
    assert [row.title() for row in rows] == ["A reader asks for an atlas.", "A reader asks for a novel."]


def test_without_a_scenario_the_longest_says_the_most() -> None:
    """A sheet of other columns is told apart as well as it can be."""
    assert (
        Scenario(tier=Tier.SCENARIO, variables={"place": "Rome", "wish": "a quiet room"}).title()
        == "a quiet room"
    )


def test_a_scenario_is_called_by_the_names_of_its_parts() -> None:
    """Whoever reads a plan meets Jennifer Martinez, and not the key she is kept under; what is gone goes by its key."""
    scenario = Scenario(Tier.SCENARIO, "anxious_planner", None, "roth_ira")
    assert (
        scenario.title({("persona", "anxious_planner"): "Jennifer Martinez"})
        == "Jennifer Martinez · roth ira"
    )
