"""The work that every peer is given: so many prompts, so many calls out at a time, to a server on this machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

MODEL = "claude-sonnet-5-5"
KEY = "sk-ant-of-the-benchmark"


def run(main: Callable[[str, list[str], int], int]) -> None:
    """Let a peer warm up, then time it, and say so on the last line of standard output.

    `main` takes the server's address, the prompts and how many calls may be out; it returns how many were answered.
    """
    url, number, slots = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _measured(main, url, 2 * slots, slots, first=number)
    taken = _measured(main, url, number, slots)
    print(json.dumps({"seconds": taken}))


def _measured(
    main: Callable[[str, list[str], int], int], url: str, number: int, slots: int, *, first: int = 0
) -> float:
    prompts = [f"Book a table for {first + n + 2} at the harbour." for n in range(number)]
    began = time.perf_counter()
    answered = main(url, prompts, slots)
    taken = time.perf_counter() - began
    if answered != number:
        raise SystemExit(f"{answered} of {number} prompts were answered")
    return taken
