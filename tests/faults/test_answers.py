"""Whatever a model writes, through the real SDK, the real service and the real completing SQL function.

BRIGHTRUN_ANSWER_FAULTS says how many answers (300 in `make test`, 100,000 in `make faults`),
BRIGHTRUN_FAULT_SEED which.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from brightrun.domain.batch import Job
from brightrun.writers.envelope import MOST_BYTES
from tests.faults.hostile import EITHER, FAILED, STORED, Hostile, hostile
from tests.faults.road import SEED, Road, opened, parts, place_of, size
from tests.gateway import Gateway
from tests.messages_api import Fault, MessagesApi, Script
from tests.storage_api import SECRET_KEY, StorageApi

NUMBER = size("BRIGHTRUN_ANSWER_FAULTS", 300)
ITEMS = 1000
"""Answers in one job."""
PARTS = parts(NUMBER, 10 * ITEMS)

REASONS = {"unreadable_answer", "incomplete_answer", "answer_cut", "refusal"}


class Answers(Script):
    """Gives each item its own answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Hostile] = []

    def next(self, number: int, prompt: str) -> Fault | None:
        return Fault("body", data=self.answers[place_of(prompt) - 1].body)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"from-{part.start}")
def test_no_answer_crashes_the_step_or_is_refused_by_the_database(
    tmp_path: Path, dsn: str, part: range
) -> None:
    """Each answer becomes a conversation or a named failure, and its bytes are kept as they came."""
    script = Answers()
    with MessagesApi(script) as api, opened(tmp_path, dsn, api, call_timeout=60) as road:
        seen = give(road, script, part)
        assert api.journal.arrived == len(part)
    print(f"\n{len(part)} answers (seed {SEED}): {dict(seen)}; slowest step {road.slowest:.2f} s")


@pytest.mark.slow
def test_no_answer_is_refused_on_the_hosted_road(tmp_path: Path, dsn: str) -> None:
    """The same through Supabase's two interfaces, with one answer in twenty."""
    script, number = Answers(), NUMBER // 20
    with (
        StorageApi() as storage,
        Gateway(dsn, storage_url=storage.url) as gateway,
        MessagesApi(script) as api,
    ):
        hosted = {"supabase_url": gateway.url, "supabase_secret_key": SECRET_KEY, "database_url": None}
        with opened(tmp_path, dsn, api, call_timeout=60, **hosted) as road:
            seen = give(road, script, range(NUMBER, NUMBER + number))
            assert api.journal.arrived == number
    print(f"\n{number} answers (seed {SEED}) on the hosted road: {dict(seen)}")


def give(road: Road, script: Answers, numbers: range) -> Counter[str]:
    """Let every item of as many jobs as it takes meet its answer."""
    seen: Counter[str] = Counter()
    for first in numbers[::ITEMS]:
        script.answers = [hostile(SEED, number) for number in range(first, min(first + ITEMS, numbers.stop))]
        job = road.create(len(script.answers))
        road.run(job)
        seen += check(road, job, script.answers, first)
        for folder in ("raw", "final", "enriched"):
            shutil.rmtree(road.files / folder, ignore_errors=True)
        road.api.journal.entries.clear()
    return seen


def check(road: Road, job: Job, answers: list[Hostile], first: int) -> Counter[str]:
    """Hold every item, its ledger, its row and its bytes against what its answer was."""
    rows = road.rows(
        "select i.position, i.status, i.error_code, i.error_message, a.outcome, a.raw_path, a.possible_usd > 0,"
        " (select array(select e ->> 'content' from jsonb_array_elements(c.turns) e)"
        "  from conversations c where c.item_id = i.id)"
        " from batch_items i join attempts a on a.item_id = i.id where i.job_id = %s order by 1",
        job,
    )
    assert [row[0] for row in rows] == list(range(1, len(answers) + 1)), "an item without its one call"
    seen: Counter[str] = Counter()
    for answer, (place, status, code, message, outcome, path, possible, contents) in zip(
        answers, rows, strict=True
    ):
        what = (
            f"answer {first + place - 1} ({', '.join(answer.done) or 'whole'}): {status}, {code}, {message}"
        )
        assert is_kept(road.app.enrichment.document(path), answer.body), what
        assert outcome == "stored", what
        if status == "completed":
            assert answer.expect != FAILED, what
            assert answer.contents is None or contents == answer.contents, what
        else:
            assert (status, code in REASONS) == ("failed", True), what
            assert answer.expect != STORED, what
            assert message, what
            assert len(message) < 1000, what
        seen[code or "conversations"] += 1
        seen["cost unknown"] += possible
        seen["damaged beyond telling"] += answer.expect == EITHER
    return seen


def is_kept(kept: bytes, came: bytes) -> bool:
    """Whether the bytes are kept as they came: all of them, or as many of an endless answer as are received."""
    return kept == came or (len(came) > MOST_BYTES <= len(kept) and came.startswith(kept))
