"""Views: filters and orders kept by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from brightrun.domain.errors import InvalidInput
from brightrun.domain.text import clean

MAX_NAME = 60
MAX_PARTS = 40
MAX_PART = 300


@dataclass(frozen=True, slots=True)
class SavedView:
    """A list as somebody left it, for everybody: what is chosen, by the name of each choice."""

    name: str
    query: Mapping[str, str]
    saved_by: str
    saved_at: datetime | None = None

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > MAX_NAME:
            raise InvalidInput(f"A view's name has 1 to {MAX_NAME} characters.", remedy="Give another.")
        parts = [part for pair in self.query.items() for part in pair]
        if len(self.query) > MAX_PARTS or any(len(part) > MAX_PART for part in parts):
            raise InvalidInput("This view is too long to be kept.", remedy="Shorten the search.")


def view_name(text: str) -> str:
    """Return a name as it is kept: one line, nothing that cannot be stored."""
    return " ".join(clean(text).split())
