"""Near-duplicates in a split: none on two sides, and nothing that was placed ever moves."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from brightrun.domain.cluster import Candidate, place
from brightrun.domain.ids import ConversationId

BITS = 4


def side(anchor: str) -> str:
    """Stand in for the database's hash: a fixed coin for each scenario."""
    return "train" if crc32(anchor.encode()) % 2 else "validation"


@dataclass(frozen=True)
class Told:
    """A conversation of a scenario; two whose texts share a bit are nearly the same."""

    number: int
    scenario: str
    text: int


def release(told: list[Told], before: list[dict[int, str]], anchors: dict[str, str]) -> dict[int, str]:
    """Freeze conversations as the database would: what was placed first, then by age. Returns sides by number."""
    since = {number: n for n, one in reversed(list(enumerate(before))) for number in one}
    ordered = sorted(told, key=lambda one: (since.get(one.number, len(before)), one.number))
    rows = [
        Candidate(
            ConversationId(str(one.number)),
            1,
            True,
            one.scenario,
            anchors.get(one.scenario),
            side(anchors[one.scenario]) if one.scenario in anchors else None,
        )
        for one in ordered
    ]

    def near(at: int, kept: AbstractSet[int]) -> list[int]:
        return [n for n in range(at) if n in kept and ordered[n].text & ordered[at].text]

    placement = place(rows, near)
    anchors.update(placement.anchors)
    apart = {each.id for each in placement.apart}
    return {
        one.number: side(anchors[one.scenario])
        for one in ordered
        if ConversationId(str(one.number)) not in apart
    }


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 2**BITS - 1)), max_size=8),
        min_size=1,
        max_size=4,
    )
)
def test_growing_releases_leak_nothing_and_move_nothing(growth: list[list[tuple[str, int]]]) -> None:
    """However a set grows, no near-duplicate and no scenario stands on two sides, and no row ever moves or goes."""
    told: list[Told] = []
    releases: list[dict[int, str]] = []
    anchors: dict[str, str] = {}
    for added in growth:
        told += [Told(len(told) + n, scenario, text) for n, (scenario, text) in enumerate(added)]
        found = release(told, releases, anchors)
        by_number = {one.number: one for one in told}
        for one in found:
            for other in found:
                alike = by_number[one].text & by_number[other].text
                if alike or by_number[one].scenario == by_number[other].scenario:
                    assert found[one] == found[other]
        if releases:
            assert releases[-1].items() <= found.items()
        releases.append(found)


def test_a_first_release_leaves_nothing_out() -> None:
    """Where nothing was placed before, everything that is alike is put on one side and all of it stays."""
    told = [Told(n, "abcdefgh"[n % 8], 1 << n % BITS | 1 << (n + 1) % BITS) for n in range(16)]
    anchors: dict[str, str] = {}
    assert len(release(told, [], anchors)) == 16
    assert set(anchors.values()) == {"a"}


def test_a_row_between_two_sides_is_left_out_by_name() -> None:
    """A new row that is like rows of both sides stands on neither, names one of them, and its like stay."""
    train = next(name for name in "abcdefgh" if side(name) == "train")
    held = next(name for name in "abcdefgh" if side(name) == "validation")
    rows = [
        Candidate(ConversationId("1"), 1, True, train, train, "train"),
        Candidate(ConversationId("2"), 1, True, held, held, "validation"),
        Candidate(ConversationId("3"), 1, True, "new"),
        Candidate(ConversationId("4"), 1, False, train, train, "train"),
    ]
    found = place(rows, lambda at, kept: {2: [0, 1], 3: [1]}.get(at, []))
    assert [(each.id, each.near, each.is_approved) for each in found.apart] == [
        ("3", "2", True),
        ("4", "2", False),
    ]
    assert found.anchors == {}
