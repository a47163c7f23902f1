"""The axes of the scaffolding as lists and charts name them."""

from __future__ import annotations

from brightrun.services.scenarios import Axes
from brightrun.ui.text import named


def axis_names(axes: Axes) -> dict[str, dict[str, str]]:
    """Return a short name for each key of each axis that no other on its axis has."""
    return {
        "persona": named({p.persona_key: p.name for p in axes.personas}),
        "arc": named({a.arc_key: a.name for a in axes.arcs}),
        "topic": named({t.topic_key: t.name for t in axes.topics}),
    }
