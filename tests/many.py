"""Claude's writer as slots use it, behind the door of one call."""

from __future__ import annotations

from queue import SimpleQueue

from brightrun.domain.writing import Order, RawAnswer
from brightrun.writers.claude import ClaudeWriter


class AmongMany(ClaudeWriter):
    """Writes as slots let it: on the event loop, and told when it has ended."""

    def write(self, order: Order) -> RawAnswer:
        told: SimpleQueue[RawAnswer | Exception] = SimpleQueue()
        self.begin(order, told.put)
        came = told.get(timeout=60)
        if isinstance(came, Exception):
            raise came
        return came
