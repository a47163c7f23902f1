"""Rules and the score: each rule sees what it is for, and the score means the same everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.domain.conversation import Role, Turn
from brightrun.domain.examination import examine
from brightrun.domain.quality import assess
from brightrun.domain.rules import Severity
from brightrun.domain.scenario import Cast
from brightrun.domain.standard import STANDARD
from tests.unit.domain.material import CAST, PROMPT, SCENARIO, arc, turns

LONG = " ".join(["word"] * 80) + "."


def codes(said: list[Turn], cast: Cast = CAST) -> set[str]:
    return {finding.code for finding in examine(said, cast=cast, prompt=PROMPT)}


def changed(place: int, text: str) -> list[Turn]:
    said = turns()
    said[place] = replace(said[place], content=text)
    return said


def test_a_good_conversation_has_no_findings_and_a_high_score() -> None:
    """What follows the order is praised: nothing to look at, and a score near ten."""
    assessment = assess(turns(), cast=CAST, prompt=PROMPT)
    assert not assessment.findings
    assert assessment.score >= 9


def test_a_fault_in_a_users_turn_counts_as_much() -> None:
    """A truncated turn is found in either role, and the finding names its turn."""
    found = examine(changed(2, "and then \\"), cast=CAST, prompt=PROMPT)
    assert [(f.code, f.turn) for f in found if f.severity is Severity.BLOCKER] == [("TRUNCATED_TURN", 3)]


def test_the_arc_is_held_against_what_the_writer_says_it_felt() -> None:
    """A feeling that starts outside the arc, or never moves, is a warning."""
    cast = Cast(SCENARIO, None, arc(starting_intensity_min=0.0, starting_intensity_max=0.2), None)
    assert "START_INTENSITY" in codes(turns(), cast)
    still = turns(feelings=("worry", "worry"))
    assert "ARC_STANDS_STILL" in codes(still, Cast(SCENARIO, None, arc(), None))
    moved = assess(turns(), cast=Cast(SCENARIO, None, arc(), None), prompt=PROMPT)
    stuck = assess(still, cast=Cast(SCENARIO, None, arc(), None), prompt=PROMPT)
    assert moved.score > stuck.score


def test_a_blocker_caps_the_score() -> None:
    """Nothing that would ruin a training run can look good."""
    assessment = assess(changed(3, "Never mind <|endoftext|> that."), cast=CAST, prompt=PROMPT)
    assert assessment.blockers
    assert assessment.score <= STANDARD.blocked_ceiling


def test_the_breakdown_adds_up_to_the_score() -> None:
    """Weights sum to one, and the weighted parts are the score that is shown."""
    assessment = assess(changed(1, LONG), cast=CAST, prompt=PROMPT)
    parts = assessment.breakdown.values()
    assert sum(part.weight for part in parts) == pytest.approx(1)
    assert sum(part.score * part.weight for part in parts) == pytest.approx(assessment.score, abs=0.11)


TURN = st.builds(Turn, st.sampled_from(Role), st.text(max_size=60))


@given(st.lists(TURN, max_size=8))
def test_any_conversation_gets_a_score(said: list[Turn]) -> None:
    """Whatever was written has a score from 0 to 10 and findings whose turns exist."""
    assessment = assess(said, cast=Cast(SCENARIO, None, arc(), None), prompt=PROMPT)
    assert 0 <= assessment.score <= 10
    assert all(f.turn is None or 1 <= f.turn <= len(said) for f in assessment.findings)
