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
    ("strength", "said"),
    [("2", "pairs of values"), ("3", "triples of values"), ("4", "combinations of 4 values")],
)
def test_a_cover_is_told_in_the_words_of_its_strength(shell: Shell, strength: str, said: str) -> None:
    """Whoever covers three or four values together reads how many triples or fours are held, and not pairs."""
    axes = ("--vary", "a=1,2,3", "--vary", "b=1,2,3", "--vary", "c=1,2", "--vary", "d=1,2")
    words = ("plan", *axes, "--method", "cover", "--strength", strength)
    _, _, told = shell.ended(*words)
    groups = {"2": 37, "3": 60, "4": 36}[strength]
    assert f"holding {groups} of {groups} allowed {said}." in " ".join(told.split())
    figures = shell.json(*words)
    assert (figures["strength"], figures["groups"], figures["groups_covered"]) == (
        int(strength),
        groups,
        groups,
    )


def test_a_dash_is_standard_output(shell: Shell, tmp_path: Path) -> None:
    """`--out -` puts a plan, a template or a table into a pipe, as other tools do, and makes no file of that name."""
    for words in (
        ("plan", "--persona", "all"),
        ("templates", "export", "task_dialogue"),
        ("scaffolding", "export", "persona"),
    ):
        assert shell.run(*words, "--out", "-") == shell.run(*words) != ""
    told = shell.json("plan", "--persona", "all", "--out", "-")
    assert len(told["list"]) == told["scenarios"] == 4  # type: ignore[arg-type]
    assert not Path("-").exists()


def test_a_place_that_cannot_be_written_is_told_with_a_way_out(shell: Shell, tmp_path: Path) -> None:
    """A folder that is absent, a file or without rights is named with what to do, and nothing is left half-written."""
    place = tmp_path / "place"
    place.mkdir()
    held = place / "held.csv"
    held.write_text("earlier")
    for path, reason in (
        (place / "absent" / "plan.csv", f"there is no folder {place / 'absent'}"),
        (place, "it is a folder"),
        (held / "plan.csv", f"{held} is no folder"),
        (Path("/sys/plan.csv"), "you have no right to write in /sys"),
        (Path("/dev/full"), "No space left on device"),
    ):
        for words in (("plan", "--persona", "all"), ("templates", "export", "task_dialogue")):
            said = " ".join(shell.run(*words, "--out", str(path), code=1).split())
            assert f"{path} cannot be written: {reason}." in said
            assert "--out" in said
            assert said.endswith("nothing was written.")
    assert list(place.iterdir()) == [held]
    assert held.read_text() == "earlier"


def test_where_nothing_is_missing_no_sheet_is_written(shell: Shell, tmp_path: Path) -> None:
    """A top-up of nothing says so and leaves no empty sheet, and an earlier one as it was."""
    path = tmp_path / "again.csv"
    code, out, said = shell.ended("plan", "--top-up", "--out", str(path))
    assert (code, out, path.exists()) == (0, "", False)
    assert "Nothing is missing" in said
    assert f"{path} is untouched." in " ".join(said.split())
    path.write_text("earlier")
    assert shell.json("plan", "--top-up", "--out", str(path)) == {"scenarios": 0}
    assert path.read_text() == "earlier"
    assert shell.json("plan", "--top-up") == {"scenarios": 0, "list": []}


def test_rules_that_leave_nothing_end_a_script(shell: Shell, tmp_path: Path) -> None:
    """A plan whose rules leave nothing is a fault with exit code 1, in words and in JSON, and an earlier sheet stays."""
    path = tmp_path / "plan.csv"
    path.write_text("earlier")
    words = ("plan", "--persona", "all", "--rule", "at most 0 persona", "--out", str(path))
    for more in ((), ("--json",)):
        code, out, said = shell.ended(*words, *more)
        assert (code, out) == (1, "")
        assert "Nothing can be planned" in said
        assert f"{path} is untouched." in " ".join(said.split())
    assert path.read_text() == "earlier"


def test_what_is_not_offered_any_more_is_said_to_be_so(shell: Shell) -> None:
    """A retired topic is no unknown one: the message names the way to have it back."""
    shell.run("scaffolding", "off", "topic", "esg_investing")
    said = shell.run("plan", "--topic", "esg_investing", code=1)
    shell.run("scaffolding", "on", "topic", "esg_investing")
    assert "'esg_investing' is not offered any more" in said
    assert "brightrun scaffolding on topic esg_investing" in said


def test_values_of_a_variable_are_read_as_the_page_writes_them_too(shell: Shell) -> None:
    """`mood: calm, tense`, copied from the page, plans what `mood=calm,tense` does."""
    lists = [shell.json("plan", "--vary", text)["list"] for text in ("mood=calm,tense", "mood: calm, tense")]
    assert lists[0] == lists[1]
    assert len(lists[0]) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--persona", "nobody"), "There is no persona 'nobody'"),
        (("--topic", "esg_investin"), "For example: esg_investing"),
        ((), "Nothing varies"),
        (("--persona", "all", "--rule", "sometimes"), "is not understood"),
        (("--persona", "all", "--rule", "never persona=a"), "at least two axes"),
        (("--persona", "all", "--rule", "never persona=a topic=b"), "Rule 1"),
        (("--vary", "persona=a"), "which Bright Run gives itself. Write --persona with its keys"),
        (("--vary", "mood"), "is not a variable"),
        (("--vary", "mood=a", "--vary", "mood=b"), "--vary names 'mood' twice"),
        (("--persona", "all", "--method", "sample"), "A sample needs a number"),
        (("--persona", "all", "--out", "/nowhere/plan.csv"), "cannot be written"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(shell: Shell, words: tuple[str, ...], said: str) -> None:
    """What cannot be planned ends with a sentence and exit code 1, and nothing is written."""
    assert said in " ".join(shell.run("plan", *words, code=1).split())
