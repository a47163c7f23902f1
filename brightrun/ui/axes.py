"""The axes of the scaffolding as lists and charts name them."""

from __future__ import annotations

from brightrun.services.scenarios import Axes
from brightrun.ui.text import distinct


def axis_names(axes: Axes) -> dict[str, dict[str, str]]:
    """Return a short name for each key of each axis that no other on its axis has."""
    found = {
        "persona": [(p.name, p.persona_key) for p in axes.personas],
        "arc": [(a.name, a.arc_key) for a in axes.arcs],
        "topic": [(t.name, t.topic_key) for t in axes.topics],
    }
    return {
        axis: dict(zip((key for _, key in pairs), distinct(pairs), strict=True))
        for axis, pairs in found.items()
    }
