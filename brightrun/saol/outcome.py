"""From what an operation did, or from the fault it met, to the one result object."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from brightrun.saol import advice
from brightrun.saol.failures import Refused, Rejected, Unreachable, explain
from brightrun.saol.result import NextAction, Result

Outcome = tuple[Any, int | None, str]
"""Data, count and a sentence."""


def outcome(
    operation: str,
    run: Callable[[], Outcome],
    advise: Callable[[Any], Sequence[NextAction]] = lambda _: (),
) -> Result:
    """Run an operation and return its result; a fault of the database becomes a Failure, never an exception."""
    started = time.perf_counter()
    try:
        data, count, summary = run()
    except (Refused, Rejected, Unreachable) as fault:
        failure = explain(fault)
        return Result(
            operation,
            success=False,
            summary=f"{failure.code}: {failure.message}",
            duration_ms=(time.perf_counter() - started) * 1e3,
            error=failure,
            next_actions=advice.after_failure(failure),
        )
    took = (time.perf_counter() - started) * 1e3
    return Result(operation, True, summary, data, count, took, next_actions=advise(data))
