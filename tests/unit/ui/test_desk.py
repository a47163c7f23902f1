"""What a session keeps outlives reruns, and a double click is one deed."""

from __future__ import annotations

import pytest

from brightrun.domain.errors import NotAllowed
from brightrun.ui.desk import COMPLAINT_SECONDS, DOUBLE_CLICK_SECONDS, Desk


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(clock: Clock) -> Desk:
    return Desk(clock)


def test_a_double_click_is_one_deed(desk: Desk, clock: Clock) -> None:
    """The second half of a double click gets the first one's outcome; a later click does it again."""
    made: list[int] = []

    def make() -> int:
        made.append(len(made) + 1)
        return made[-1]

    assert desk.once("start", make) == 1
    clock.now += DOUBLE_CLICK_SECONDS / 2
    assert desk.once("start", make) == 1
    clock.now += DOUBLE_CLICK_SECONDS
    assert desk.once("start", make) == 2


def test_another_deed_is_never_taken_for_the_first(desk: Desk) -> None:
    """Two different batches started at once are two batches."""
    assert desk.once("one", lambda: 1) == 1
    assert desk.once("two", lambda: 2) == 2


def test_a_deed_that_failed_can_be_tried_again_at_once(desk: Desk) -> None:
    """After an error the next click does it, however soon it comes."""

    def refuse() -> int:
        raise NotAllowed("Not now.")

    with pytest.raises(NotAllowed):
        desk.once("start", refuse)
    assert desk.once("start", lambda: 7) == 7


def test_an_error_stays_while_the_page_redraws_and_goes_with_the_next_deed(desk: Desk, clock: Clock) -> None:
    """A redraw by a grid or a timer does not wipe an error away; a new deed or fifteen seconds do."""
    fault = NotAllowed("Somebody was first.")
    desk.complain(fault)
    assert desk.complaints() == desk.complaints() == [fault]
    desk.settle()
    assert desk.complaints() == []
    desk.complain(fault)
    clock.now += COMPLAINT_SECONDS
    assert desk.complaints() == []


def test_a_dialog_stays_until_it_is_put_away(desk: Desk) -> None:
    """A page that draws itself again keeps the dialog; putting one away does not lose another asked for at once."""
    desk.ask("cancel?")
    assert [desk.asked(), desk.asked()] == ["cancel?", "cancel?"]
    desk.put_away()
    assert desk.asked() is None
    desk.ask("cancel?")
    desk.put_away()  # of the one before, heard late
    assert desk.asked() == "cancel?"
