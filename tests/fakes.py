"""Stand-ins that behave: a writer that follows a script, scenarios without a file."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence

from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.errors import WriterFault
from brightrun.domain.scenario import Scenario, Tier
from brightrun.domain.template import Prompt
from brightrun.domain.writing import Answer, Order, RawAnswer
from brightrun.writers.demo import DemoWriter

USAGE = {"input_tokens": 1000, "output_tokens": 500}
"""What every paid answer here used: 0.007 dollars at 2 and 10 dollars a million."""

Act = Callable[[Order], RawAnswer]


class ScriptedWriter:
    """Writes like the demo, unless the script has something else for this call; counts every call."""

    name = "claude"

    def __init__(self, acts: Sequence[Act | Exception | None] = ()) -> None:
        self._acts = list(acts)
        self._demo = DemoWriter()
        self._lock = threading.Lock()
        self.orders: list[Order] = []
        self.counted = 0
        self.cannot_count: WriterFault | None = None

    @property
    def calls(self) -> int:
        return len(self.orders)

    def will(self, act: Act | Exception | None) -> None:
        """Add to the script."""
        self._acts.append(act)

    def write(self, order: Order) -> RawAnswer:
        with self._lock:
            self.orders.append(order)
            act = self._acts.pop(0) if self._acts else None
        if isinstance(act, Exception):
            raise act
        if act:
            return act(order)
        return self._demo.write(order) if order.model == "demo" else paid(order)

    def read(self, body: bytes) -> Answer:
        return self._demo.read(body)

    def count(self, prompt: Prompt, model: str) -> int:
        """Count three characters a token, unlike the stated approximation; a fault stands for the API's."""
        self.counted += 1
        if self.cannot_count:
            raise self.cannot_count
        return len(prompt.system + prompt.user) // 3

    def check(self) -> str:
        return "A scripted writer."


def paid(order: Order) -> RawAnswer:
    """Write like the demo, in an envelope that says what it used."""
    raw = DemoWriter().write(order)
    message = json.loads(raw.body) | {"usage": USAGE, "model": order.model}
    return RawAnswer(json.dumps(message).encode(), "req_test", raw.seconds)


def envelope(text: str, stop_reason: str | None = "end_turn", **extra: object) -> Act:
    """Return an act that answers with this text in the Messages API's envelope."""
    message = {
        "type": "message",
        "model": "claude-sonnet-5-5",
        "content": [{"type": "text", "text": text}],
        "stop_reason": stop_reason,
        "usage": USAGE,
        **extra,
    }
    return lambda order: RawAnswer(json.dumps(message).encode(), "req_test", 0.01)


def scenarios(count: int, **changes: object) -> list[Scenario]:
    """Return distinct scenarios that the seed's templates can write."""
    return [
        Scenario(
            tier=Tier.SCENARIO,
            variables={"scenario": f"Book a table for {n + 2} people at the harbour restaurant."},
        )
        for n in range(count)
    ]


def options(writer: WriterName = WriterName.DEMO, **changes: object) -> JobOptions:
    """Return settings of a job; Claude's model is a priced one."""
    model = "demo" if writer is WriterName.DEMO else "claude-sonnet-5-5"
    values: dict[str, object] = {"writer": writer, "model": model, "max_tokens": 4000}
    return JobOptions(**(values | changes))  # type: ignore[arg-type]
