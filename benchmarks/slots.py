"""Orchestration: many calls at a time through Bright Run, beside the bare asynchronous SDK, in turns.

A server in a process of its own answers every call after the same time. Ours claims, stores, reads, validates,
scores, enriches and records each item durably; the bare loop makes the calls and keeps nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import anthropic

from brightrun.bootstrap import App, open_app
from brightrun.cli.processes import Here, Processes, crew_of
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.scenario import Scenario, Tier
from tests.messages_api.replies import message, turns_for

LATENCIES = (0.05, 0.3, 2.0)
SLOTS = (1, 8, 32, 128)
SECONDS = 12.0
"""How long a run would take at best, or ten rounds of calls where that is longer."""
SHORT_SECONDS = 8.0
ROUNDS = 3
"""A run that is shorter at best is made so many times by both sides in turns: what else the machine does weighs more there."""
MODEL = "claude-sonnet-5-5"
KEY = "sk-ant-of-the-benchmark"
TURNS = 6
BODIES = 12_000
"""Answers of which no two have five words in a row in common, as many as all runs of a latency and a number of slots call."""
TEXTS = 1_000
"""Answers whose words are put in other orders to make the others."""


@dataclass(frozen=True)
class Figure:
    """Seconds that so many calls took (medians where there were several runs), and the least they can take."""

    latency: float
    slots: int
    items: int
    ours: float
    bare: float

    @property
    def ideal(self) -> float:
        return self.items * self.latency / self.slots


def measure(
    place: Path, latencies: Sequence[float] = LATENCIES, numbers: Sequence[int] = SLOTS
) -> list[Figure]:
    """Run every latency with every number of slots in a folder of `place`, after a round that warms both sides up."""
    figures = []
    home = Path(mkdtemp(prefix="slots", dir=place))
    for latency in latencies:
        with served(latency) as url, opened(home, url) as app:
            timed_bare(url, 16, 8)
            for slots in numbers:
                rounds = max(10, round(SECONDS / latency))
                items = min(slots * rounds, 3_000)
                runs = ROUNDS if items * latency / slots < SHORT_SECONDS else 1
                with crew_of(app, slots, nobody, nobody) as crew:
                    timed_ours(app, crew, 2 * slots)
                    taken = [
                        (timed_ours(app, crew, items), timed_bare(url, items, slots)) for _ in range(runs)
                    ]
                figures.append(
                    Figure(latency, slots, items, *map(statistics.median, zip(*taken, strict=True)))
                )
    return figures


def table(figures: list[Figure]) -> str:
    lines = [
        "| a call takes | slots | calls | ideal, s | ours, s | bare SDK, s | ours: share of the ideal | bare: share | ours : bare |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {f.latency * 1e3:,.0f} ms | {f.slots} | {f.items:,} | {f.ideal:.2f} | {f.ours:.2f} | {f.bare:.2f} |"
        f" {f.ideal / f.ours:.2f} | {f.ideal / f.bare:.2f} | {f.ours / f.bare:.2f} |"
        for f in figures
    ]
    return "\n".join(lines)


@contextmanager
def served(latency: float) -> Iterator[str]:
    """Run the server in a process of its own; yields its address."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs, latency), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{ours.recv()}"
    process.terminate()
    process.join()


@contextmanager
def opened(home: Path, url: str) -> Iterator[App]:
    app = open_app(Settings(home=home, anthropic_api_key=KEY, anthropic_base_url=url, actor="ana"))
    yield app
    app.close()


def timed_ours(app: App, crew: Here | Processes, items: int) -> float:
    plan = app.planner.plan(
        [
            Scenario(tier=Tier.SCENARIO, variables={"scenario": f"Book a table for {n + 2} at the harbour."})
            for n in range(items)
        ],
        JobOptions(WriterName.CLAUDE, MODEL, 8000, turns=TURNS),
    )
    job = app.batches.create(plan, name="Slots", actor="ana")
    began = time.perf_counter()
    crew.run(job.id)
    taken = time.perf_counter() - began
    done = app.batches.get(job.id).counts
    assert done.completed == items, done
    return taken


def nobody(told: object) -> None:
    """Nobody watches a benchmark."""


def timed_bare(url: str, items: int, slots: int) -> float:
    async def run() -> float:
        client = anthropic.AsyncAnthropic(api_key=KEY, base_url=url, max_retries=0)
        gate = asyncio.Semaphore(slots)

        async def call(number: int) -> None:
            async with gate:
                found = await client.messages.create(
                    model=MODEL,
                    max_tokens=8000,
                    messages=[{"role": "user", "content": f"Book a table for {number + 2} at the harbour."}],
                )
                assert found.stop_reason == "end_turn"

        began = time.perf_counter()
        await asyncio.gather(*map(call, range(items)))
        taken = time.perf_counter() - began
        await client.close()
        return taken

    return asyncio.run(run())


def _serve(pipe: Any, latency: float) -> None:
    asyncio.run(_answer_all(pipe, latency))


def _shuffled(answer: str, number: int) -> str:
    """Return an answer with the words of its turns in an order of its own."""
    order = random.Random(number)
    turns = json.loads(answer)["turns"]
    for turn in turns:
        words = turn["content"].split()
        order.shuffle(words)
        turn["content"] = " ".join(words)
    return json.dumps({"turns": turns})


async def _answer_all(pipe: Any, latency: float) -> None:
    prompts = [f"A matter of {n}, exactly {TURNS} messages, 40 to 80 words" for n in range(TEXTS)]
    texts = [turns_for(prompt) for prompt in prompts]
    bodies = [
        json.dumps(message(MODEL, prompts[n % TEXTS], _shuffled(texts[n % TEXTS], n), number=n)).encode()
        for n in range(BODIES)
    ]
    number = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal number
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                await reader.readexactly(length)
                is_asked = head.startswith(b"POST /v1/messages ")
                number += is_asked
                body = b"%d" % number if head.startswith(b"GET /served ") else bodies[number % BODIES]
                await asyncio.sleep(latency if is_asked else 0)
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_%d\r\ncontent-length: %d\r\n\r\n"
                    % (number, len(body))
                    + body
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    pipe.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.slots")
    parser.add_argument("--latencies", type=float, nargs="+", default=list(LATENCIES))
    parser.add_argument("--slots", type=int, nargs="+", default=list(SLOTS))
    given = parser.parse_args()
    with TemporaryDirectory(prefix="br") as place:
        print(table(measure(Path(place), given.latencies, given.slots)))
