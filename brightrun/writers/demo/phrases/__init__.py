"""The demo writer's banks of sentences, read from the text files of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Beat:
    """One exchange: the assistant asks, the user tells and asks back, the assistant explains."""

    probe: str
    tell: list[str] = field(default_factory=list)
    ask: list[str] = field(default_factory=list)
    teach: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Section:
    """All lines below one `[name]`: exchanges in order, and other lines by their label."""

    beats: list[Beat] = field(default_factory=list)
    lines: dict[str, list[str]] = field(default_factory=dict)

    def get(self, label: str = "say") -> list[str]:
        return self.lines.get(label, [])

    def matches(self, text: str) -> bool:
        """Say whether one of the section's `words` occurs in a text."""
        return any(word in text for line in self.get("words") for word in line.split())


@cache
def bank(name: str) -> dict[str, Section]:
    """Return the sections of one file, in the order in which they are written there."""
    sections: dict[str, Section] = {}
    for line in _lines(name):
        if line.startswith("["):
            sections[line.strip("[]")] = section = Section()
            continue
        label, _, text = line.partition(": ")
        if label == "probe":
            section.beats.append(Beat(text))
        elif label in {"tell", "ask", "teach"}:
            getattr(section.beats[-1], label).append(text)
        else:
            section.lines.setdefault(label, []).append(text)
    return sections


def _lines(name: str) -> Iterator[str]:
    text = (resources.files(__name__) / f"{name}.txt").read_text(encoding="utf-8")
    return (line for raw in text.splitlines() if (line := raw.strip()) and not line.startswith("#"))
