"""A database whose disk is full: how that is known, and what is said of it, whoever meets it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from brightrun.domain.errors import SetupFault

DISK_FULL = "53100"
NO_SPACE = "No space left on device"
"""What Linux says of a full disk in English, which is how the embedded server speaks."""
LEAST_BYTES = 16 << 20
"""Without room for one more file of its log no PostgreSQL goes on."""
REMEDY = "Free disk space on the database's machine, then try again; nothing that was saved is lost."


def says_full(said: BaseException | str, place: Path | None = None) -> bool:
    """Whether an error's state or words name a full disk, or the files of a server of ours lie on one."""
    return getattr(said, "sqlstate", None) == DISK_FULL or NO_SPACE in str(said) or has_no_room(place)


def has_no_room(place: Path | None) -> bool:
    """Whether the files of a server of ours lie on a disk that it cannot go on with."""
    with suppress(OSError):
        return place is not None and shutil.disk_usage(place).free < LEAST_BYTES
    return False


def told(said: str, place: Path | None) -> str:
    """Return the sentence that names the full disk, once."""
    beginning = f"The disk of {place or 'the database'} is full: "
    one_line = " ".join(said.split()).rstrip(".")
    return f"{one_line}." if one_line.startswith(beginning) else f"{beginning}{one_line}."


def full(said: str, place: Path | None) -> SetupFault:
    """Return the fault of a database that cannot be opened for want of room."""
    return SetupFault(told(said, place), remedy=REMEDY)
