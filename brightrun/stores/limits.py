"""Rate limits in the database, where all workers on all machines share them."""

from __future__ import annotations

from collections.abc import Mapping

from brightrun import saol


def take_turn(
    db: saol.Database,
    model: str,
    *,
    input_tokens: float,
    output_tokens: float,
    told: Mapping[str, float],
) -> float:
    """Take one call of about so many tokens; returns the seconds to wait where none may be made now.

    told: what earlier calls taught (`requests`, `input_tokens`, `output_tokens` a minute,
    `more_requests`, `more_input`, `more_output` than was taken for them, `refused`: some were turned away).
    """
    params = {
        "p_model": model,
        "p_input": input_tokens,
        "p_output": output_tokens,
        "p_told": dict(told),
    }
    return float(saol.agent_execute_rpc(db, "take_turn", params).value())
