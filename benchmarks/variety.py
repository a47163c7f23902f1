"""`make bench-variety PEOPLE=FILE`: how varied conversations of people and of the demo writer are, equally many of each.

PEOPLE is a JSONL file, also .gz, with `messages` in each line; the project's own figures were measured on STAR
(https://github.com/RasaHQ/STAR). What other public sets were measured at with the same formulas stands beside.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from brightrun.bootstrap import open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.diversity import LIMITS, Diversity, Figure
from brightrun.domain.space import Method
from brightrun.services.diversity import Said, measure
from tests.seed import migrated

PAGE = Path(__file__).parent.parent / "docs" / "variety-benchmarks.md"
SETS: dict[str, dict[Figure, float]] = {
    "CaSiNo (people)": {
        Figure.DISTINCT_2: 0.449,
        Figure.DISTINCT_3: 0.761,
        Figure.VENDI: 0.833,
        Figure.NEIGHBOUR_P95: 0.18,
        Figure.GZIP: 3.2,
        Figure.SELF_BLEU: 0.25,
        Figure.OPENER: 0.01,
        Figure.REPEATED: 0.01,
    },
    "Taskmaster-4 (people, one topic)": {
        Figure.DISTINCT_2: 0.222,
        Figure.DISTINCT_3: 0.404,
        Figure.VENDI: 0.645,
        Figure.NEIGHBOUR_P95: 0.62,
        Figure.GZIP: 4.3,
        Figure.SELF_BLEU: 0.49,
        Figure.OPENER: 0.04,
        Figure.REPEATED: 0.15,
    },
    "STAR, as measured before": {
        Figure.DISTINCT_2: 0.226,
        Figure.DISTINCT_3: 0.335,
        Figure.VENDI: 0.654,
        Figure.NEIGHBOUR_P95: 0.59,
        Figure.GZIP: 4.1,
        Figure.SELF_BLEU: 0.47,
        Figure.OPENER: 0.07,
        Figure.REPEATED: 0.67,
    },
    "FastChat identity (templated)": {
        Figure.DISTINCT_2: 0.014,
        Figure.DISTINCT_3: 0.021,
        Figure.VENDI: 0.072,
        Figure.NEIGHBOUR_P95: 1.0,
        Figure.GZIP: 22.9,
        Figure.SELF_BLEU: 0.97,
        Figure.OPENER: 0.19,
        Figure.REPEATED: 0.95,
    },
}
"""Measured on samples of 300 conversations and 10,000 words, as `measure` does."""


def main() -> None:
    """Measure both sets and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variety")
    parser.add_argument("people", type=Path)
    given = parser.parse_args()
    people = _people(given.people)
    demo = _demo(len(people))
    found, seconds = {}, {}
    for name, said in (("people", people), ("demo writer", demo)):
        began = time.monotonic()
        found[name] = measure(said)
        seconds[name] = time.monotonic() - began
    text = _page(found, seconds)
    print(text)
    PAGE.write_text(text, encoding="utf-8")


def _people(path: Path) -> list[Said]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    random.Random(3).shuffle(rows)
    return [_said(number, row["messages"]) for number, row in enumerate(rows)]


def _said(number: int, messages: Sequence[dict[str, str]]) -> Said:
    turns = [turn for turn in messages if turn["role"] != "system"]
    answers = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    return Said(f"{number:06d}", "\n".join(turn["content"] for turn in turns), answers)


def _demo(number: int) -> list[Said]:
    """Have the demo writer write a sample of everything the seed's scaffolding allows."""
    with migrated() as (home, dsn):
        app = open_app(Settings(home=home / "app", database_url=dsn, actor="bench"))
        axes = app.scenarios.axes()
        space = app.spaces.space(
            {
                "persona": [p.persona_key for p in axes.personas],
                "arc": [a.arc_key for a in axes.arcs],
                "topic": [t.topic_key for t in axes.topics],
                "mood": ["calm", "tense"],  # the rest alone gives 800 combinations
            }
        )
        chosen = app.spaces.choose(space, Method.SAMPLE, number=number, seed=3)
        plan = app.planner.plan(chosen.scenarios, JobOptions(WriterName.DEMO, "demo", 16_000))
        job = app.batches.create(plan, name="variety", actor="bench")
        while app.batches.process_next(job.id).job.is_open:
            pass
        items = app.batches.items(job.id, limit=number)
        read = [app.reviews.read(item.conversation_id) for item in items if item.conversation_id]
        app.close()
    return [
        _said(place, [{"role": turn.role.value, "content": turn.content} for turn in one.turns])
        for place, one in enumerate(read)
    ]


def _page(found: dict[str, Diversity], seconds: dict[str, float]) -> str:
    head = [f"{name} ({one.total:,})" for name, one in found.items()]
    lines = [
        "# How varied conversations are",
        "",
        f"`make bench-variety PEOPLE=FILE`, {datetime.now(UTC):%Y-%m-%d}. People: STAR. "
        + " ".join(f"{name.capitalize()}: {taken:.1f} s." for name, taken in seconds.items()),
        "",
        "The sets on the right were measured before, by the same formulas. Bold warns.",
        "",
        f"| | {' | '.join(head)} | warns | {' | '.join(SETS)} |",
        f"|---|{'---|' * (len(head) + 1 + len(SETS))}",
    ]
    for figure, limit in LIMITS.items():
        cells = [_cell(one, figure) for one in found.values()]
        side = "below" if limit.is_least else "above"
        known = [f"{values[figure]:g}" if figure in values else "–" for values in SETS.values()]
        lines.append(
            f"| {limit.meaning} | {' | '.join(cells)} | {side} {limit.value:g} | {' | '.join(known)} |"
        )
    verdicts = ["**templated**" if one.is_templated else "varied enough" for one in found.values()]
    return "\n".join([*lines, f"| verdict | {' | '.join(verdicts)} | | {' | '.join('' for _ in SETS)} |", ""])


def _cell(found: Diversity, figure: Figure) -> str:
    tell = next(tell for tell in found.tells if tell.figure is figure)
    text = f"{tell.value:.3f}" if 0 < tell.value < 0.01 else f"{tell.value:.2f}"
    return f"**{text}**" if tell.warns else text


if __name__ == "__main__":
    main()
