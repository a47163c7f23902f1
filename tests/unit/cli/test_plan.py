"""Planning in the shell: from axes and rules to a file that `generate` takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shell import Shell


@pytest.fixture
def shell(tmp_path: Path, dsn: str) -> Shell:
    return Shell(tmp_path / "home", DATABASE_URL=dsn)


def test_a_plan_becomes_a_job_and_is_not_planned_twice(shell: Shell, tmp_path: Path) -> None:
    """The planned file is a batch as it stands, and planning what is new leaves out what is on its way."""
    axes = ("--persona", "all", "--topic", "all", "--vary", "mood=calm,tense")
    rules = ("--rule", "at most 1 persona", "--rule", "weight 3 mood=calm")
    path = tmp_path / "plan.csv"
    drawn = ("--method", "sample", "--number", "100", "--out", str(path))
    planned = shell.json("plan", *axes, *rules, *drawn)
    assert planned["scenarios"] == 4, "one for each persona"
    assert planned["combinations"] == planned["allowed"] == 4 * 20 * 2
    shell.run("generate", "--scenarios", str(path))
    left = shell.json("plan", *axes, "--new")
    assert (left["scenarios"], left["left_out_as_known"]) == (156, 4)
    assert shell.json("plan", "--top-up")["scenarios"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--persona", "nobody"), "There is no persona 'nobody'"),
        ((), "Nothing varies"),
        (("--persona", "all", "--rule", "sometimes"), "is not understood"),
        (("--persona", "all", "--rule", "never persona=a"), "at least two axes"),
        (("--persona", "all", "--rule", "never persona=a topic=b"), "Rule 1"),
        (("--vary", "persona=a"), "is not a variable"),
        (("--persona", "all", "--method", "sample"), "A sample needs a number"),
        (("--persona", "all", "--out", "/nowhere/plan.csv"), "cannot be written"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(shell: Shell, words: tuple[str, ...], said: str) -> None:
    """What cannot be planned ends with a sentence and exit code 1, and nothing is written."""
    assert said in " ".join(shell.run("plan", *words, code=1).split())
