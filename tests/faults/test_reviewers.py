"""Two reviewers at once on the same few conversations, and operations on thousands.

BRIGHTRUN_REVIEWERS says how many interleavings (30 in `make test`, 1000 in `make faults`), BRIGHTRUN_BULK how many
conversations one decision is about (500, 5000), BRIGHTRUN_FAULT_SEED which.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.ids import ConversationId
from brightrun.domain.review import ConversationFilter, Decision, Seen
from tests.faults.road import SEED, size
from tests.seed import Seed, seed_conversations

NUMBER = size("BRIGHTRUN_REVIEWERS", 30)
BULK = size("BRIGHTRUN_BULK", 500)
ROUNDS = 4
PEOPLE = ("ana", "ben")
SLOWEST = 30.0
"""Seconds; a bound that a busy machine keeps. What it takes on a quiet one stands in docs/grid-benchmarks.md."""

History = Mapping[str, list[dict[str, object]]]


@pytest.fixture
def apps(dsn: str, tmp_path: Path) -> Iterator[dict[str, App]]:
    """Two apps that share nothing but the database, as two people's would."""
    opened = {who: open_app(Settings(home=tmp_path / who, database_url=dsn, actor=who)) for who in PEOPLE}
    yield opened
    for app in opened.values():
        app.close()


@dataclass
class Reviewer:
    """One person: what they saw last, and what each of their decisions should have led to."""

    name: str
    app: App
    topic: str
    chance: random.Random
    seen: dict[ConversationId, Seen] = field(default_factory=dict)
    operations: list[str] = field(default_factory=list)
    claims: list[tuple[str, Seen, str | None]] = field(default_factory=list)
    """Operation, row as seen, and who was named as the first; None where it was decided."""
    tallies: list[tuple[str, int]] = field(default_factory=list)
    """Operation and how many rows it said it decided on."""

    def act(self) -> None:
        """Look, decide on what was seen, decide by filter, or take something back."""
        deeds = [self._look, self._decide, self._decide, self._decide_all, self._undo]
        self.chance.choice(deeds)()

    def _chosen(self) -> ConversationFilter:
        return ConversationFilter(topic_key=self.topic)

    def _look(self) -> None:
        rows = self.app.reviews.page(self._chosen(), limit=100)
        self.seen = {row["id"]: Seen(row["id"], int(row["row_version"])) for row in rows}

    def _decide(self) -> None:
        if not self.seen:
            self._look()
        chosen = self.chance.sample(
            sorted(self.seen.values(), key=lambda s: s.id), k=self.chance.randint(1, 2)
        )
        verdict = self.app.reviews.decide(chosen, self._decision(), reviewer=self.name)
        refused = {refusal.id: refusal for refusal in verdict.refused}
        for row in chosen:
            by = (refused[row.id].by or "nobody") if row.id in refused else None
            self.claims.append((verdict.operation_id, row, by))
        self.operations.append(verdict.operation_id)
        self.tallies.append((verdict.operation_id, verdict.decided))

    def _decide_all(self) -> None:
        status = self.chance.choice([None, *ConversationStatus][:5])
        chosen = self._chosen().narrowed(status=status)
        verdict = self.app.reviews.decide_matching(chosen, self._decision(), reviewer=self.name)
        self.operations.append(verdict.operation_id)
        self.tallies.append((verdict.operation_id, verdict.decided))

    def _undo(self) -> None:
        if self.operations:
            self.app.reviews.undo(self.chance.choice(self.operations), reviewer=self.name)

    def _decision(self) -> Decision:
        return self.chance.choice([Decision.APPROVED, Decision.REJECTED, Decision.NEEDS_REVISION])


def test_two_reviewers_lose_no_decision_of_each_other(apps: dict[str, App], dsn: str) -> None:
    """Whatever two people do at the same time, each row's history explains it without a gap, and nobody decides
    on a row other than the one they saw."""
    chance = random.Random(SEED)
    told = 0
    for number in range(NUMBER):
        topic = f"interleaving {number}"
        plant(dsn, topic, 3)
        people = [Reviewer(who, apps[who], topic, random.Random(chance.random())) for who in PEOPLE]
        for _ in range(ROUNDS):
            together([person.act for person in people])
        told += check(histories(dsn, topic), people)
    assert told > NUMBER / 10, "the two hardly ever met"


def test_thousands_are_decided_and_undone_as_one(apps: dict[str, App], dsn: str) -> None:
    """A decision on a whole filter is one operation with an entry for each row, and so is taking it back."""
    plant(dsn, "bulk", BULK)
    chosen = ConversationFilter(topic_key="bulk")
    began = time.perf_counter()
    verdict = apps["ana"].reviews.decide_matching(chosen, Decision.APPROVED, reviewer="ana", note="a lot")
    decided = time.perf_counter() - began
    began = time.perf_counter()
    assert verdict.decided == BULK == apps["ana"].reviews.undo(verdict.operation_id, reviewer="ben")[0]
    undone = time.perf_counter() - began
    print(f"\n{BULK} decided in {decided:.2f} s and undone in {undone:.2f} s")
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "select reviewer, decision, previous_status, note, count(*), count(distinct r.conversation_id),"
            " count(distinct r.xmin::text), count(distinct operation_id)"
            " from public.reviews r group by 1, 2, 3, 4 order by 1"
        ).fetchall()
    assert rows == [
        ("ana", "approved", "pending_review", "a lot", BULK, BULK, 1, 1),
        ("ben", "pending_review", "approved", None, BULK, BULK, 1, 1),
    ]
    assert apps["ana"].reviews.count_statuses(chosen) == {ConversationStatus.PENDING_REVIEW: BULK}
    assert max(decided, undone) < SLOWEST


def plant(dsn: str, topic: str, number: int) -> None:
    seeds = [Seed(n, status="pending_review", words=2, topic=topic) for n in range(number)]
    seed_conversations(dsn, seeds)


def together(deeds: Sequence[Callable[[], None]]) -> None:
    """Do several things at one moment, as far as a machine can."""
    gate = threading.Barrier(len(deeds))

    def run(deed: Callable[[], None]) -> None:
        gate.wait()
        deed()

    with ThreadPoolExecutor(len(deeds)) as pool:
        for future in [pool.submit(run, deed) for deed in deeds]:
            future.result(60)


def histories(dsn: str, topic: str) -> History:
    """Return each conversation's entries in their order, the row itself as the last."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        rows = connection.execute(
            "select id::text, status, row_version, reviewed_by from public.conversations where topic_key = %s",
            [topic],
        ).fetchall()
        entries = connection.execute(
            "select r.conversation_id::text as id, r.operation_id::text as operation_id, r.decision,"
            " r.previous_status, r.reviewer from public.reviews r"
            " join public.conversations c on c.id = r.conversation_id where c.topic_key = %s order by entry",
            [topic],
        ).fetchall()
    return {row["id"]: [*(e for e in entries if e["id"] == row["id"]), row] for row in rows}


def check(found: History, people: list[Reviewer]) -> int:
    """Hold every row against its history and every answer against both; returns how often one was told."""
    for *entries, row in found.values():
        before = "pending_review"
        for entry in entries:
            assert entry["previous_status"] == before, "a decision was overwritten unseen"
            before = str(entry["decision"])
        assert row["status"] == before, "a decision is not in the row"
        assert row["row_version"] == 1 + len(entries), "a change left no entry"
    every = [entry for entries in found.values() for entry in entries[:-1]]
    told = 0
    for person in people:
        for operation, number in person.tallies:
            assert sum(e["operation_id"] == operation for e in every) == number, "a decision left no entry"
        for operation, seen, first in person.claims:
            entries = found[seen.id][:-1]
            at = [place for place, e in enumerate(entries) if e["operation_id"] == operation]
            if first is None:
                assert at == [seen.row_version - 1], "a row was decided on that had changed since it was seen"
            else:
                told += 1
                assert not at, "a refused row was decided on"
                assert first == "nobody" or first in {e["reviewer"] for e in entries}
    return told
