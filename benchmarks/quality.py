"""`make bench-quality`: near-duplicates, the cost of rules, score and enrichment, and alarms over people.

Near-duplicates: 9,500 conversations (the demo writer's, and the real ones where they are given) and 500 copies of some
of them in which up to one word in 25 was changed. Which pairs are alike is counted exactly, by the product of the
sparse matrix of who holds which shingles; the plainest exact comparison, every pair of sets one after the other, is
timed on a part and taken times the rest. Rules, score and enrichment: processor seconds of one core.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
from scipy import sparse

from brightrun.domain.conversation import Role, Turn
from brightrun.domain.enrichment import Record, enrich, final_document
from brightrun.domain.examination import examine
from brightrun.domain.ids import ConversationKey, ItemId, JobId
from brightrun.domain.quality import assess
from brightrun.domain.rules import RULES
from brightrun.domain.scenario import Cast
from brightrun.domain.standard import STANDARD
from brightrun.services.clusters import shingles
from brightrun.services.duplicates import jaccard, near_duplicates
from brightrun.stores.conversations import turns_from
from brightrun.writers.demo import demo_turns
from tests.unit.domain.material import CAST
from tests.unit.writers.orders import CATEGORIES, CORE_ARCS, arc, order, persona, topic

DOCS = Path(__file__).parent.parent / "docs"
SIZE, COPIES = 10_000, 500
LENGTHS = (2, 4, 8, 16, 32, 64, 128)
PLAIN_ROWS = 60
MOST_CHANGED = 0.04
ROUNDS = 5

Texts = list[tuple[str, str]]


@dataclass(frozen=True)
class Search:
    """How near-duplicates were found."""

    texts: int
    true_pairs: int
    planted_alike: int
    found_pairs: int
    hits: int
    planted_hits: int
    ours: float
    product: float
    plain: float


@dataclass(frozen=True)
class Speed:
    """What one conversation of a length costs, in processor milliseconds."""

    turns: int
    words: int
    rules: float
    score: float
    documents: float

    @property
    def whole(self) -> float:
        """Scoring holds it against the rules too."""
        return self.score + self.documents


def main() -> None:
    """Measure and write docs/quality-benchmarks.md with its plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality")
    parser.add_argument(
        "--people", type=Path, help="conversations of people, as JSON lines with messages (.jsonl.gz)"
    )
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--out", type=Path, default=DOCS)
    given = parser.parse_args()
    people = _people(given.people) if given.people else []
    search = _search(*_corpus(given.size, given.size * COPIES // SIZE, people))
    print(search)
    speeds = [_speed(turns) for turns in LENGTHS]
    print(*speeds, sep="\n")
    (given.out / "images").mkdir(parents=True, exist_ok=True)
    (given.out / "images" / "quality.svg").write_text(_plot(speeds), encoding="utf-8")
    page = _page(search, speeds, _alarms(people), len(people))
    (given.out / "quality-benchmarks.md").write_text(page, encoding="utf-8")


def _people(path: Path) -> list[list[Turn]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line)["messages"] for line in file]
    return [[Turn(Role(m["role"]), m["content"]) for m in row if m["role"] != "system"] for row in rows]


def _written(count: int) -> list[list[Turn]]:
    """Return what the demo writer makes of different people, arcs, topics and seeds."""
    chosen = random.Random(11)
    names = [persona(f"{a} {b}", c, d) for a, b, c, d in zip(*[iter(_PEOPLE)] * 4, strict=True)]
    made = []
    for number in range(count):
        asked = order(
            persona=chosen.choice(names),
            arc=arc(*chosen.choice(CORE_ARCS)),
            topic=topic(chosen.choice(CATEGORIES)),
            turns=chosen.choice((6, 8, 10, 12)),
            words=(60, 150),
        )
        made.append(list(turns_from(demo_turns(replace(asked, seed=number)))))
    return made


_PEOPLE = (
    *("Ana", "Lopez", "Nurse, night shifts", "direct"),
    *("Omar", "Haddad", "Retired", "warm"),
    *("Li", "Wei", "Teacher", "brief"),
    *("Ida", "Berg", "Carpenter", "careful"),
)


def _corpus(size: int, copies: int, people: Sequence[Sequence[Turn]]) -> tuple[Texts, set[tuple[str, str]]]:
    """Return texts in a mixed order, and which of them is a copy of which."""
    chosen = random.Random(7)
    talks = [*people[: size - copies], *_written(size - copies - len(people[: size - copies]))]
    texts = [(f"t{n:06d}", "\n".join(turn.content for turn in talk)) for n, talk in enumerate(talks)]
    planted = set()
    for key, text in chosen.sample(texts, copies):
        copy = f"c{key[1:]}"
        texts.append((copy, _altered(text, chosen.uniform(0.0, MOST_CHANGED), chosen)))
        planted.add((key, copy))
    chosen.shuffle(texts)
    return texts, planted


def _altered(text: str, share: float, chosen: random.Random) -> str:
    tokens = text.split(" ")
    for place in chosen.sample(range(len(tokens)), max(1, round(share * len(tokens)))):
        tokens[place] = f"word{chosen.randrange(10_000)}"
    return " ".join(tokens)


def _search(texts: Texts, planted: set[tuple[str, str]]) -> Search:
    started = time.perf_counter()
    found = {frozenset(pair[:2]) for pair in near_duplicates(texts)}
    ours = time.perf_counter() - started
    started = time.perf_counter()
    true = _exact(texts)
    product = time.perf_counter() - started
    alike = {frozenset(pair) for pair in planted} & true
    return Search(
        texts=len(texts),
        true_pairs=len(true),
        planted_alike=len(alike),
        found_pairs=len(found),
        hits=len(found & true),
        planted_hits=len(found & alike),
        ours=ours,
        product=product,
        plain=_plain(texts),
    )


def _exact(texts: Texts) -> set[frozenset[str]]:
    """Return every pair that is alike, counted: rows times rows of a matrix of who holds which shingle."""
    numbers: dict[str, int] = {}
    columns, starts = [], [0]
    for _, text in texts:
        columns += [numbers.setdefault(shingle, len(numbers)) for shingle in shingles(text)]
        starts.append(len(columns))
    ones = np.ones(len(columns), dtype=np.int32)
    held = sparse.csr_matrix((ones, columns, starts), shape=(len(texts), len(numbers)))
    sizes = np.diff(starts)
    pairs = set()
    for first in range(0, len(texts), 500):
        shared = (held[first : first + 500] @ held.T).tocoo()
        rows = shared.row + first
        alike = shared.data / (sizes[rows] + sizes[shared.col] - shared.data) >= STANDARD.likeness
        for one, other in zip(rows[alike], shared.col[alike], strict=True):
            if one < other:
                pairs.add(frozenset((texts[one][0], texts[other][0])))
    return pairs


def _plain(texts: Texts) -> float:
    """Return the seconds that comparing every pair would take, from comparing some with all."""
    started = time.perf_counter()
    sets = [frozenset(shingles(text)) for _, text in texts]
    making = time.perf_counter() - started
    started = time.perf_counter()
    for one in sets[:PLAIN_ROWS]:
        for other in sets:
            jaccard(one, other)
    each = (time.perf_counter() - started) / (PLAIN_ROWS * len(sets))
    return making + each * len(sets) * (len(sets) - 1) / 2


def _speed(turns: int) -> Speed:
    asked = order(
        persona=persona(), arc=arc(*CORE_ARCS[0]), topic=topic(CATEGORIES[0]), turns=turns, words=(60, 150)
    )
    talks = [list(turns_from(demo_turns(replace(asked, seed=seed)))) for seed in range(20)]
    said = sum(len(turn.content.split()) for talk in talks for turn in talk) // len(talks)
    whole = {"cast": asked.cast, "prompt": asked.prompt}
    records = [_record(talk, asked.cast) for talk in talks]

    def documents(place: int) -> None:
        record = replace(records[place], prompt=asked.prompt)
        final_document(record)
        enrich(record)

    return Speed(
        turns,
        said,
        _milliseconds(lambda place: examine(talks[place], **whole), len(talks)),  # type: ignore[arg-type]
        _milliseconds(lambda place: assess(talks[place], **whole), len(talks)),  # type: ignore[arg-type]
        _milliseconds(documents, len(talks)),
    )


def _record(talk: Sequence[Turn], cast: Cast) -> Record:
    asked = order(turns=len(talk)).prompt
    return Record(
        key=ConversationKey("11111111-1111-4111-8111-111111111111"),
        item_id=ItemId("22222222-2222-4222-8222-222222222222"),
        job_id=JobId("33333333-3333-4333-8333-333333333333"),
        created_at="2026-11-23T10:00:00+00:00",
        cast=cast,
        prompt=asked,
        turns=tuple(talk),
        assessment=assess(talk, cast=cast, prompt=asked),
        writer="demo",
        model="demo",
        template_key="bench",
        template_version=1,
    )


def _milliseconds(work: Callable[[int], object], count: int) -> float:
    """Return the processor milliseconds of one, the least of some rounds."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for place in range(count):
            work(place)
        rounds.append((time.process_time() - started) / count * 1000)
    return min(rounds)


def _alarms(people: Sequence[Sequence[Turn]]) -> Counter[str]:
    alarms: Counter[str] = Counter()
    for talk in people:
        alarms.update({finding.code for finding in examine(talk, cast=CAST, prompt=None)})
    return alarms


def _plot(speeds: Sequence[Speed]) -> str:
    rows = [
        {"turns": s.turns, "what": what, "milliseconds": value}
        for s in speeds
        for what, value in (("rules", s.rules), ("rules and score", s.score), ("both documents", s.documents))
    ]
    chart = (
        alt.Chart(pd.DataFrame(rows), width=520, height=260)
        .mark_line(point=True)
        .encode(
            x=alt.X("turns:Q", title="turns", scale=alt.Scale(type="log", base=2)),
            y=alt.Y("milliseconds:Q", title="processor ms a conversation", scale=alt.Scale(type="log")),
            color=alt.Color("what:N", title=None, sort=None),
        )
    )
    import vl_convert

    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


def _page(search: Search, speeds: Sequence[Speed], alarms: Counter[str], people: int) -> str:
    rows = "\n".join(
        f"| {s.turns} | {s.words:,} | {s.rules:.2f} | {s.score:.2f} | {s.documents:.3f} | {1000 / s.whole:,.0f} "
        f"| {s.whole / s.words * 1000:.2f} |"
        for s in speeds
    )
    first, last = speeds[0], speeds[-1]
    return f"""# Benchmarks of quality

By `make bench-quality`: {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python
{platform.python_version()}. The machine is shared with other work: ratios count, and processor seconds rather than the clock's.

## Near-duplicates

{search.texts:,} conversations, among them {search.texts * COPIES // SIZE:,} copies with up to one word in 25 changed; alike means that word
five-shingles overlap by {STANDARD.likeness:g} (Jaccard). Counted exactly, {search.true_pairs:,} pairs are alike, {search.planted_alike:,} of them planted;
the other copies were changed too much to be.

| | |
|---|---|
| precision | {search.hits / max(search.found_pairs, 1):.3f} ({search.hits:,} of {search.found_pairs:,} pairs found) |
| recall | {search.hits / max(search.true_pairs, 1):.3f} ({search.hits:,} of {search.true_pairs:,}); of the planted ones {search.planted_hits / max(search.planted_alike, 1):.3f} |
| seconds | {search.ours:.1f} |
| every pair one after the other, by the same | {search.plain / search.ours:,.0f} times as long ({PLAIN_ROWS} rows timed against all, taken times the rest) |
| exact by sparse matrices, by the same | {search.product / search.ours:.2f} times as long |

## Rules, score and enrichment

One core, processor milliseconds a conversation, the least of {ROUNDS} rounds over twenty; answers of 60 to 150 words. The score
includes the rules; both documents are the final and the enriched one.

| turns | words | rules | rules and score | both documents | conversations a second | µs a word |
|---|---|---|---|---|---|---|
{rows}

From {first.turns} to {last.turns} turns ({last.words / first.words:.0f} times the words) a conversation costs {last.whole / first.whole:.0f} times as much.

![Cost by number of turns](images/quality.svg)

## Alarms over people

{_alarmed(alarms, people)}"""


def _alarmed(alarms: Counter[str], people: int) -> str:
    seen = (
        "what was seen when each kind was looked at is in\n[quality](quality.md#what-the-rules-say-of-people)"
    )
    if not people:
        return f"""Not measured in this run, which had no conversations of people (`make bench-quality PEOPLE=FILE.jsonl.gz`);
{seen}.
"""
    told = "\n".join(
        f"| `{code}` | {RULES[code].severity.value} | {alarms[code]} |" for code, _ in alarms.most_common()
    )
    return f"""The rules against {people:,} conversations that people had; {seen}.
{len(RULES) - len(alarms)} rules said nothing.

| rule | severity | conversations |
|---|---|---|
{told}
"""


if __name__ == "__main__":
    main()
