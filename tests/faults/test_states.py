"""Any order of deeds and faults, on a real database: counts add up, one conversation an item, no dollar astray.

BRIGHTRUN_FAULTS sizes it (4 in `make test`: 25 runs of 30 deeds; 50 in `make faults`: 2,000 runs of 50 deeds),
BRIGHTRUN_FAULT_SEED varies it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.conftest import FULL
from tests.faults.road import SEED, parts
from tests.faults.states import Deeds, World

RUNS, STEPS = (2000, 50) if FULL else (15, 30)
RUNS = int(os.environ.get("BRIGHTRUN_FAULT_RUNS", RUNS))
PARTS = parts(RUNS, 250)


@pytest.fixture
def world(dsn: str, tmp_path: Path) -> World:
    return World(dsn, tmp_path)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: f"from-{part.start}")
def test_no_order_of_deeds_and_faults_breaks_a_promise(world: World, part: range) -> None:
    """Creating, claiming, finishing, failing, crashing, expiring, pausing, resuming, cancelling, retrying,
    reading again, previewing and adjusting, deciding, withdrawing templates and losing the store, in any order: the books balance."""

    machine = seed(SEED + part.start)(lambda: Deeds(world))
    with world:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=len(part),
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            ),
        )
    print(world.summary(len(part), STEPS, SEED + part.start))
