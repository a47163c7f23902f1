"""Whole numbers as a person types them: what cannot be taken is said, instead of the number before it being kept."""

from __future__ import annotations

from typing import Any

from streamlit.delta_generator import DeltaGenerator

from brightrun.domain.amount import count_within
from brightrun.domain.errors import InvalidInput
from brightrun.ui.text import label_safe


def ask_count(
    place: DeltaGenerator,
    name: str,
    within: tuple[int, int],
    faults: list[InvalidInput],
    *,
    key: str,
    remedy: str = "",
    is_needed: bool = False,
    **looks: Any,
) -> int | None:
    """Let a person type a whole number, None for an empty field; what cannot be taken joins the faults.

    A field for numbers would show what was typed and go on with the number before it, which is what is paid for.
    """
    typed = place.text_input(name, key=key, **{"persist_state": "session", **looks}) or ""
    if not typed.strip() and not is_needed:
        return None
    try:
        return count_within(typed, *within, name=name, remedy=remedy)
    except InvalidInput as fault:
        place.caption(f":red[{label_safe(fault.message)}]")
        faults.append(fault)
        return None
