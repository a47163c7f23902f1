"""A writer that costs nothing: conversations from banks of sentences, marked as a demo throughout."""

from __future__ import annotations

import json
import time

from brightrun.domain.writing import Answer, Order, RawAnswer
from brightrun.writers.demo.consultation import Consultation
from brightrun.writers.demo.errand import Errand
from brightrun.writers.demo.feelings import Course
from brightrun.writers.envelope import read_envelope

DEMO_MODEL = "demo"


class DemoWriter:
    """Writes by itself what persona, arc, topic or free variables ask for; never passes for a model."""

    name = "demo"

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds

    def write(self, order: Order) -> RawAnswer:
        """Return the same bytes for the same order, after as many seconds as a demonstration wants."""
        started = time.monotonic()
        turns = json.dumps({"turns": demo_turns(order)}, ensure_ascii=False)
        body = json.dumps(
            {
                "type": "message",
                "role": "assistant",
                "model": DEMO_MODEL,
                "content": [{"type": "text", "text": turns}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 0, "output_tokens": 0},
                "writer": self.name,
            },
            ensure_ascii=False,
        )
        if self._seconds:
            time.sleep(self._seconds)
        return RawAnswer(body.encode(), request_id=None, seconds=time.monotonic() - started)

    def read(self, body: bytes) -> Answer:
        return read_envelope(body)

    def check(self) -> str:
        return (
            "The demo writer is ready: it writes sample conversations by itself, without any model or cost."
        )


def demo_turns(order: Order) -> list[dict[str, object]]:
    """Return the turns of an order in the shape that the turns schema asks for."""
    cast, prompt = order.cast, order.prompt
    scaffolded = cast.persona or cast.arc or cast.topic
    seed = f"{cast.scenario.fingerprint()}/{order.seed}/{prompt.turns}/{prompt.words_min}/{prompt.words_max}"
    script = Consultation(cast, prompt, seed) if scaffolded else Errand(cast, prompt, seed)
    return _with_feelings(script.contents(), script.course)


def _with_feelings(contents: list[str], course: Course) -> list[dict[str, object]]:
    half = len(contents) // 2
    turns: list[dict[str, object]] = []
    for number, content in enumerate(contents):
        role = "user" if number % 2 == 0 else "assistant"
        feeling = course.user(number // 2, half) if role == "user" else course.assistant(number // 2, half)
        turns.append(
            {
                "turn_number": number + 1,
                "role": role,
                "content": content,
                "emotional_context": feeling.to_json(),
            }
        )
    return turns
