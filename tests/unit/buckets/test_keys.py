"""Which keys are allowed."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

from hypothesis import example, given, settings
from hypothesis import strategies as st

from brightrun.buckets.keys import folder, segments
from brightrun.domain.errors import StorageFault

NASTY = st.lists(
    st.sampled_from([".", "..", "/", "\\", "\0", "a", "%2e", "~", ":", " ", "\n", "C", "é", "-", "CON"]),
    max_size=12,
).map("".join)


@settings(max_examples=3000, deadline=None)
@given(st.one_of(st.text(max_size=40), NASTY))
@example("a/../../etc")
@example("..")
@example("//host/share")
def test_no_accepted_key_leaves_its_folder(key: str) -> None:
    """Whatever text is given as a key, an accepted one stays below the bucket on every system."""
    try:
        parts = segments(key)
    except StorageFault:
        return
    assert "/".join(parts) == key
    for path in (PurePosixPath(key), PureWindowsPath(key)):
        assert not path.is_absolute()
        assert not path.drive
        assert ".." not in path.parts
    assert key.isascii()
    assert key.isprintable()


def test_a_folder_may_end_in_a_slash() -> None:
    """A folder is the same with and without its closing slash, and none means everything."""
    assert folder("raw/job/") == folder("raw/job") == ("raw", "job")
    assert folder("") == ()
