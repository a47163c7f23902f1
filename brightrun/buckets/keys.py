"""Which object keys are allowed: the same short alphabet in every store."""

from __future__ import annotations

import re

from brightrun.domain.errors import StorageFault

MAX_SEGMENT = 200
MAX_KEY = 900

_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def segments(key: str, *, bucket: str = "") -> tuple[str, ...]:
    """Split a key into its folders and name; raises StorageFault when it is not allowed.

    No segment starts with a dot, so that `.` and `..` cannot occur and unfinished files,
    which do start with one, can never be mistaken for objects.
    """
    parts = tuple(key.split("/"))
    if len(key) > MAX_KEY or not all(map(_allowed, parts)):
        raise StorageFault(
            f"{key[:100]!r} is not an object key.",
            remedy="Keys are made of letters, digits, '.', '_' and '-', with '/' between folders.",
            bucket=bucket,
            key=key,
        )
    return parts


def folder(prefix: str, *, bucket: str = "") -> tuple[str, ...]:
    """Split a folder prefix, with or without a closing slash; empty means the whole bucket."""
    prefix = prefix.removesuffix("/")
    return segments(prefix, bucket=bucket) if prefix else ()


def _allowed(part: str) -> bool:
    return len(part) <= MAX_SEGMENT and _SEGMENT.fullmatch(part) is not None
