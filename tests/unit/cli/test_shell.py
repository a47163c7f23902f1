"""The shell as a person or a program uses it: real processes, one data folder."""

from __future__ import annotations

import csv
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from brightrun.cli.main import shell as build
from brightrun.domain.batch import MAX_SEED
from brightrun.saol.server.launcher import EmbeddedServer
from tests.faults.ledger import until
from tests.seed import Seed, seed_conversations
from tests.shell import Shell

ROWS = [
    {"scenario": f"Ask the library to renew {n + 1} books before Friday.", "mood": "in a hurry"}
    for n in range(12)
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder in use by somebody else: no command starts its database, and none stops it."""
    folder = tmp_path_factory.mktemp("shell") / "home"
    server = EmbeddedServer(folder)
    server.acquire()
    yield folder
    server.release()


@pytest.fixture
def shell(home: Path) -> Shell:
    return Shell(home)


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "scenarios.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["scenario", "mood"])
        writer.writeheader()
        writer.writerows(ROWS)
    return path


def test_the_main_road_from_a_csv_to_a_file_for_trainers(sheet: Path, tmp_path: Path) -> None:
    """A program can go from scenarios to JSONL by exit codes and JSON alone, each command with its own database server."""
    shell = Shell(tmp_path / "home")
    job = str(shell.json("generate", "--scenarios", str(sheet), "--limit", "6", "--turns", "4")["id"])
    assert shell.json("status", job)["counts"] == {
        "queued": 6, "processing": 0, "completed": 0, "failed": 0, "cancelled": 0,
    }  # fmt: skip
    ended = shell.json("process", job[:8])
    assert (ended["status"], ended["cost"]) == ("completed", 0)
    verdict = shell.json("review", job, "--approve", "--min-score", "0")
    exported = shell.json("export", "--out", str(tmp_path / "out"), "--job", job)
    assert exported["rows"] == verdict["decided"]
    files = exported["files"]
    assert isinstance(files, list)
    lines = [json.loads(line) for line in Path(files[0]).read_text().splitlines()]
    assert len(lines) == exported["rows"]
    assert all(line["writer"] == "demo" for line in lines)
    assert "Batch job complete - 6 successful" in shell.run("log", job)


def test_a_retried_export_of_nothing_says_what_to_do(shell: Shell, sheet: Path, tmp_path: Path) -> None:
    """Exporting before anything is approved is refused, and no file or dataset appears."""
    job = str(shell.json("generate", "--scenarios", str(sheet), "--limit", "1")["id"])
    said = shell.run("export", "--out", str(tmp_path / "none"), "--job", job, code=1)
    assert "review" in said
    assert not list((tmp_path / "none").glob("*"))


def test_ctrl_c_leaves_a_job_resumable(home: Path, sheet: Path) -> None:
    """Ctrl-C ends after the item in flight with code 130, and processing again finishes the job."""
    shell = Shell(home, BRIGHTRUN_DEMO_SECONDS="3")
    job = str(shell.json("generate", "--scenarios", str(sheet), "--limit", "5")["id"])
    process = shell.start("process", job)
    raw = home / "buckets" / "conversation-files" / "raw" / job  # asking a second shell takes too long
    until(lambda: bool(list(raw.glob("*.json"))), "No item was written.")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    left = shell.json("status", job)["counts"]
    assert isinstance(left, dict)
    assert left["processing"] == 0
    assert left["queued"] >= 1
    assert Shell(home).json("process", job)["status"] == "completed"


def test_pause_resume_cancel_and_retry_answer_by_their_state(shell: Shell, sheet: Path) -> None:
    """A job can be stopped and started from the shell; what its state forbids is refused with code 1."""
    job = str(shell.json("generate", "--scenarios", str(sheet), "--limit", "2")["id"])
    assert shell.json("pause", job)["status"] == "paused"
    shell.run("process", job, code=1)
    assert shell.json("resume", job)["status"] == "queued"
    assert shell.json("cancel", job)["status"] == "cancelled"
    assert "cancelled" in shell.run("resume", job, code=1)
    assert "Nothing was retried" in shell.run("retry", job, code=1)


def test_bad_input_is_named_and_creates_nothing(shell: Shell, tmp_path: Path) -> None:
    """Fault 21: what cannot be used is a sentence that says what to do, and no job is created."""
    before = shell.json("status")["total"]
    cases = {
        "missing.csv": None,
        "empty.csv": b"",
        "picture.csv": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "large.csv": b"scenario\n" + b"x" * 11_000_000,
        "columns.csv": b"weather\nrain\n",
    }
    for name, data in cases.items():
        path = tmp_path / name
        if data is not None:
            path.write_bytes(data)
        said = shell.run("generate", "--scenarios", str(path), code=1)
        assert "Traceback" not in said
        assert len(said.strip()) > 20
    sheet = tmp_path / "good.csv"
    sheet.write_text("scenario\nOrder a taxi.\n")
    assert "nope" in shell.run("generate", "--scenarios", str(sheet), "--map", "nope=scenario", code=1)
    assert (
        "no template" in shell.run("generate", "--scenarios", str(sheet), "--template", "zzz", code=1).lower()
    )
    shell.run("generate", "--scenarios", str(sheet), "--writer", "claude", code=1)
    shell.run("status", "ffffffff", code=1)
    shell.run("status", "not-an-id", code=1)
    assert shell.json("status")["total"] == before


def test_a_budget_or_seed_out_of_range_creates_nothing(shell: Shell, sheet: Path) -> None:
    """`generate` and `resume` refuse the same budgets in the same words; a seed's refusal names its range."""
    before = shell.json("status")["total"]
    order = ("generate", "--scenarios", str(sheet))
    for budget in ("inf", "nan", "-5", "1e30"):
        assert "$0.000001 at least, and $10,000,000 at most" in shell.run(*order, "--budget", budget, code=1)
    for seed in ("99999999999999999999", "-99999999999999999999"):
        said = shell.run(*order, "--seed", seed, code=2)
        assert "--seed" in said
        assert f"{MAX_SEED}" in said
    assert shell.json("status")["total"] == before
    job = str(shell.json(*order, "--limit", "1", "--seed", str(MAX_SEED), "--budget", "10000000")["id"])
    shell.run("pause", job)
    assert "$0.000001 at least, and $10,000,000 at most" in shell.run(
        "resume", job, "--budget", "inf", code=1
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("generate", "--bogus"), "--bogus"),
        (("cancel",), "JOB"),
        (("work", "--slots", "many"), "--slots"),
        (("templates", "bogus"), "bogus"),
        (("status", "one", "two"), "two"),
    ],
)
def test_a_program_is_told_of_a_wrong_call_as_of_any_other_error(
    shell: Shell, words: tuple[str, ...], said: str
) -> None:
    """With --json, what cannot be understood comes as one object on standard error too, with the code of a wrong call."""
    code, out, err = shell.ended(*words, "--json")
    told = json.loads(err)
    assert (code, out) == (2, "")
    assert said in told["error"]
    assert "--help" in told["remedy"]
    code, _, err = shell.ended(*words)
    assert code == 2
    assert "Usage:" in err


def test_a_filter_knows_a_job_by_the_beginning_of_its_id(shell: Shell, sheet: Path) -> None:
    """What `status` shows of an id can be given to a filter too, and one that fits no job matches nothing by accident."""
    job = str(shell.json("generate", "--scenarios", str(sheet), "--limit", "2")["id"])
    shell.run("process", job)
    for said in (job[:13], job):
        found = shell.json("review", "--filter", f"job={said}")
        assert (found["matching"], found["filter"]["job_id"]) == (2, job)  # type: ignore[index]
    assert "no batch job" in shell.run("review", "--filter", "job=000000000001", "--reject", code=1)
    assert "not a job id" in shell.run("review", "--filter", "job=", "--reject", code=1)


def test_a_decision_under_a_filter_tells_what_of_the_job_still_waits(
    dsn: str, sheet: Path, tmp_path: Path
) -> None:
    """Whoever approves the best of a job is not told that nothing waits while the others of it do."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    job = str(shell.json("generate", "--scenarios", str(sheet))["id"])
    shell.run("process", job)
    told = shell.json("review", job, "--min-score", "10", "--approve")
    waiting = shell.json("review", job)["matching"]
    assert (told["waiting"], bool(waiting)) == (waiting, True)
    assert f"of the job {waiting:,} still wait" in shell.run("review", job, "--max-score", "0", "--reject")
    said = shell.run("review", "--filter", "max_score=0", "--reject")
    assert f"0 rejected; in all {waiting:,} still wait" in said


def test_an_export_tells_of_duplicates_and_refuses_a_file_without_pairs(dsn: str, tmp_path: Path) -> None:
    """A program learns why fewer rows left than were approved, and never gets an empty file as a success."""
    seed_conversations(dsn, [Seed(number=1), Seed(number=2), Seed(number=1)])
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    out = tmp_path / "out"
    told = shell.json("export", "--out", str(out), "--name", "twice")
    assert (told["rows"], told["left_out"], told["duplicates"]) == (2, 0, 1)
    again = ("export", "--out", str(out), "--dataset", "twice")
    assert "1 exact duplicate left out" in shell.ended(*again)[2]
    said = shell.run(*again, "--format", "dpo", "--json", code=1)
    assert "no pair to prefer" in said
    said = shell.run("export", "--out", str(out), "--format", "dpo", "--name", "pairs", "--json", code=1)
    assert "nothing was frozen" in said
    assert not list(out.glob("*dpo*"))
    assert [frozen["name"] for frozen in shell.json("datasets")["datasets"]] == ["twice"]  # type: ignore[attr-defined]


def test_every_command_takes_json() -> None:
    """A program may ask every command for JSON, those that only change something too."""
    missing: list[str] = []

    def walk(command: Any, path: str) -> None:
        options = {option for parameter in command.params for option in parameter.opts}
        if "--json" not in options and (not hasattr(command, "commands") or command.invoke_without_command):
            missing.append(path)
        for name, below in getattr(command, "commands", {}).items():
            walk(below, f"{path} {name}".strip())

    walk(typer.main.get_command(build()), "")
    assert missing == [""], "only brightrun itself, which says its help or version"


def test_what_changes_something_answers_a_program(dsn: str, tmp_path: Path) -> None:
    """People, texts and what is offered are changed by commands whose answer is one object."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    assert shell.json("people", "add", "zz@b.co")["role"] == "viewer"
    assert shell.json("people", "role", "zz@b.co", "admin")["role"] == "admin"
    assert shell.json("people", "add", "yy@b.co", "--role", "author")["role"] == "author"
    assert shell.json("people", "remove", "yy@b.co") == {"removed": "yy@b.co"}
    shown = shell.json("scaffolding", "list", "persona")["all"]
    key = shown[0]["persona_key"]  # type: ignore[index]
    assert shell.json("scaffolding", "off", "persona", key)["is_active"] is False
    assert shell.json("scaffolding", "on", "persona", key)["is_active"] is True
    assert key in str(shell.json("scaffolding", "export", "persona")["text"])
    out = tmp_path / "template.md"
    assert shell.json("templates", "export", "open_scenario", "--out", str(out))["file"] == str(out)
    assert shell.json("templates", "export", "open_scenario")["text"] == out.read_text()
    assert shell.json("templates") == shell.json("templates", "list")


def test_the_same_dataset_once_more_is_called_so(dsn: str, tmp_path: Path) -> None:
    """Freezing again without a change is no error, and nobody takes it for news; before the first there is a hint."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    assert "brightrun export --out DIR" in shell.run("datasets")
    seed_conversations(dsn, [Seed(number=1), Seed(number=2)])
    order = ("export", "--out", str(tmp_path / "out"), "--name", "tone")
    assert "same_as" not in shell.json(*order)
    assert shell.json(*order)["same_as"] == "tone@1"
    assert "those of tone@2" in shell.ended(*order)[2]
    said = shell.run("datasets", "--compare", "tone@1", "tone@3")
    assert "Nothing differs: both hold the same 2 conversations" in said
    assert "same_as" not in shell.json(*order, "--validation", "0.5")


def test_an_export_whose_place_is_taken_freezes_nothing(dsn: str, tmp_path: Path) -> None:
    """A file in the way is named, and no dataset is left behind by what was refused."""
    seed_conversations(dsn, [Seed(number=1)])
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    taken = tmp_path / "tone-v1.jsonl"
    taken.write_text("mine")
    order = ("export", "--out", str(tmp_path), "--name", "tone")
    assert "tone-v1.jsonl exists already; nothing was frozen" in shell.run(*order, "--json", code=1)
    assert shell.json("datasets") == {"datasets": []}
    assert taken.read_text() == "mine"
    taken.unlink()
    assert shell.json(*order)["rows"] == 1


@pytest.mark.parametrize("name", ["", "  ", "n" * 121, "n" * 300])
def test_a_name_that_no_dataset_can_have_is_refused(dsn: str, tmp_path: Path, name: str) -> None:
    """An empty or endless name is refused with what to do, never swapped for another; nothing is frozen."""
    seed_conversations(dsn, [Seed(number=1)])
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    told = json.loads(shell.run("export", "--out", str(tmp_path), "--name", name, "--json", code=1))
    assert "1 to 120 characters" in told["error"]
    assert "nothing was frozen" in told["remedy"]
    assert shell.json("datasets") == {"datasets": []}


def test_one_file_that_mixes_the_splits_says_so(dsn: str, tmp_path: Path) -> None:
    """Whoever would train on the rows they hold out is told, and is shown the format that keeps them apart."""
    seed_conversations(dsn, [Seed(number=n) for n in range(30)])
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    told = shell.json("export", "--out", str(tmp_path / "out"), "--name", "half", "--validation", "0.5")
    splits = told["splits"]
    assert isinstance(splits, dict)
    assert list(splits) == ["train", "validation", "test"]
    assert sum(splits.values()) == told["rows"] == 30
    assert splits["test"] == 0
    again = ("export", "--out", str(tmp_path / "out"), "--dataset", "half")
    said = f"One file holds {splits['train']} train, {splits['validation']} validation rows; --format folder"
    assert said in shell.ended(*again)[2]
    assert "One file" not in shell.ended(*again, "--format", "folder")[2]
    labelled = shell.json(*again, "--format", "prompt_completion")
    assert labelled["rows"] == 60
    assert (
        f"holds {labelled['splits']['train']} train"
        in shell.ended(*again, "--format", "prompt_completion")[2]
    )  # type: ignore[index]
    assert "validation conversations; --format" in shell.ended(*again, "--format", "csv")[2]
    one = shell.json(*again, "--side", "validation")
    assert (one["rows"], one["splits"]) == (
        splits["validation"],
        {**dict.fromkeys(splits, 0), "validation": one["rows"]},
    )
    assert str(one["files"][0]).endswith(".validation.jsonl")  # type: ignore[index]
    assert "The file holds" in shell.ended(*again, "--side", "train")[2]
    assert "has no messages row on the side test" in shell.ended(*again, "--side", "test")[2]
    assert "each told apart" in shell.ended(*again, "--side", "train", "--format", "csv")[2]
    alone = ("export", "--out", str(tmp_path / "out"), "--name", "whole", "--validation", "0")
    assert "One file" not in shell.ended(*alone)[2]
    whole = ("export", "--out", str(tmp_path / "out"), "--dataset", "whole", "--format", "prompt_completion")
    assert "The file holds 60 rows." in shell.ended(*whole)[2]


def test_writing_a_frozen_dataset_again_refuses_what_only_a_new_one_can_follow(
    dsn: str, tmp_path: Path
) -> None:
    """Whoever asks for other rows of a frozen dataset is told which options contradict, and gets no file."""
    seed_conversations(dsn, [Seed(number=1), Seed(number=2)])
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    shell.json("export", "--out", str(tmp_path / "first"), "--name", "kept")
    again = ("export", "--out", str(tmp_path / "again"), "--dataset", "kept")
    said = shell.run(*again, "--min-score", "9", "--validation", "0.1", "--merge-system", code=1)
    assert "--min-score, --validation, --merge-system cannot go with --dataset" in " ".join(said.split())
    assert "job" in json.loads(shell.run(*again, "--job", "1", "--json", code=1))["error"]
    assert not (tmp_path / "again").exists()
    assert shell.json(*again)["rows"] == 2


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path, sheet: Path) -> None:
    """Without a usable data folder the command ends with the remedy."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    said = Shell(blocked / "home").run("status", code=1)
    assert "BRIGHTRUN_HOME" in said


def test_check_names_what_is_missing(home: Path) -> None:
    """The System page in text: everything there is 0; a missing key is 1 with the remedy."""
    checks = Shell(home).json("check")["checks"]
    assert isinstance(checks, list)
    assert checks
    assert all(check["ok"] for check in checks)
    said = Shell(home, BRIGHTRUN_WRITER="claude").run("check", code=1)
    assert "ANTHROPIC_API_KEY" in said


def test_a_list_comes_as_an_object_that_names_it(shell: Shell) -> None:
    """A program reads every command's --json in the same way: an object, also where it holds nothing but one list."""
    for words, name in (
        (("check",), "checks"),
        (("people",), "people"),
        (("people", "history"), "changes"),
        (("workers",), "workers"),
        (("datasets",), "datasets"),
        (("templates", "list"), "templates"),
        (("prices", "list"), "prices"),
        (("status",), "jobs"),
    ):
        told = shell.json(*words)
        assert isinstance(told, dict)
        assert isinstance(told[name], list), words


def test_a_dry_run_shows_the_price_and_creates_nothing(shell: Shell, sheet: Path) -> None:
    """The cost is known before anything starts."""
    before = shell.json("status")["total"]
    plan = shell.json(
        "generate",
        "--scenarios",
        str(sheet),
        "--dry-run",
        "--writer",
        "claude",
        "--model",
        "claude-sonnet-5-5",
    )
    expected, worst = plan["expected_cost"], plan["worst_cost"]
    assert isinstance(expected, float)
    assert isinstance(worst, float)
    assert 0 < expected < worst
    assert shell.json("status")["total"] == before
    assert plan["problems"] == [
        "There is no key for Claude. Set ANTHROPIC_API_KEY, or use the demo writer."
    ], "an estimate needs no key, a real run does"


def test_a_batch_goes_on_without_what_cannot_be_written(shell: Shell, tmp_path: Path) -> None:
    """With --leave-out one blank row keeps no other from being written, and the row is named."""
    path = tmp_path / "blank.csv"
    path.write_text("scenario,mood\nBook a table,calm\n,tense\n")
    refused = shell.ended("generate", "--scenarios", str(path))
    assert (refused[0], "Scenario 2" in refused[2]) == (1, True)
    made = shell.json("generate", "--scenarios", str(path), "--leave-out")
    assert "Left out: Scenario 2" in made["notes"][-1]
    assert shell.json("status", made["id"])["counts"]["queued"] == 1


def test_a_dry_run_passes_nothing_that_a_real_run_refuses(shell: Shell, sheet: Path) -> None:
    """What cannot be created is refused in the dry run by the same sentence, and a missing key is told beside the price."""
    words = ("generate", "--scenarios", str(sheet), "--limit", "2")
    for more, said in ((("--overnight",), "writes at once"), (("--name", "x" * 300), "A job needs a name")):
        real, dry = (shell.run(*words, *more, *mode, code=1) for mode in ((), ("--dry-run",)))
        assert said in real
        assert dry == real
    told = shell.ended(*words, "--writer", "claude", "--model", "claude-sonnet-5-5", "--dry-run")
    assert told[0] == 0
    assert "Without --dry-run this would be refused: There is no key for Claude." in " ".join(told[2].split())
    assert shell.json(*words, "--dry-run")["problems"] == []


@pytest.mark.shared
def test_a_hundred_real_scenarios_go_the_whole_way(tmp_path: Path, shared_data: Path) -> None:
    """A hundred rows of a real sheet end, are linked by primary key, lie in their files and load for training."""
    shell = Shell(tmp_path / "home")
    sheet = str(shared_data / "star_scenarios.csv")
    job = str(shell.json("generate", "--scenarios", sheet, "--limit", "100")["id"])
    done = shell.json("process", job)
    assert done["counts"] == {"queued": 0, "processing": 0, "completed": 100, "failed": 0, "cancelled": 0}
    shell.run("review", job, "--approve", "--min-score", "9.5")
    export = shell.json("export", "--out", str(tmp_path / "out"), "--job", job)
    files = tmp_path / "home" / "buckets" / "conversation-files"
    for kind, number in (("raw", 100), ("final", 100), ("enriched", 100)):
        assert len(list((files / kind).rglob("*.json"))) == number
    log = tmp_path / "home" / "buckets" / "batch-logs" / job / "log.txt"
    assert log.read_text(encoding="utf-8").count("completed (conversation") == 100
    assert isinstance(export["files"], list)
    training = next(f for f in export["files"] if f.endswith(".jsonl"))
    lines = [json.loads(line) for line in Path(training).read_text(encoding="utf-8").splitlines()]
    assert 0 < len(lines) == export["rows"] <= 100


def test_a_dataset_is_listed_compared_and_written_again_by_its_name(
    shell: Shell, home: Path, sheet: Path, tmp_path: Path
) -> None:
    """A program names a dataset by name and version to list, compare, write and upload it; a hub that fails is named."""
    job = str(shell.json("generate", "--scenarios", str(sheet), "--limit", "4", "--turns", "4")["id"])
    shell.json("process", job)
    shell.json("review", job, "--approve", "--min-score", "0")
    for place in ("one", "two"):
        shell.json("export", "--out", str(tmp_path / place), "--job", job, "--name", "again")
    again = shell.json(
        "export", "--out", str(tmp_path / "three"), "--dataset", "again@1", "--format", "folder"
    )
    assert (Path(str(again["files"][0])) / "manifest.json").is_file()  # type: ignore[index]
    counts = shell.json("datasets", "--compare", "again@1", "again@2")["counts"]
    assert counts == {"same": again["rows"]}
    assert "again@2" in shell.run("datasets")
    sent = shell.json("push", "again", "--storage")["to"]
    assert isinstance(sent, list)
    assert str(sent[-1]).endswith("/manifest.json")
    assert "HF_TOKEN" in shell.run("push", "again", "--hub", "ana/again", code=1)
    deaf = Shell(home, HF_TOKEN="hf_none", HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_DISABLE_TELEMETRY="1")
    assert "hub did not take it" in deaf.run("push", "again", "--hub", "ana/again", code=1)


def test_a_turn_is_corrected_and_kept_out_of_training_from_the_shell(
    shell: Shell, sheet: Path, tmp_path: Path
) -> None:
    """`correct` changes a turn, tells its score, shows what was changed, and keeps a turn out of training."""
    job = str(shell.json("generate", "--scenarios", str(sheet), "--limit", "1", "--turns", "4")["id"])
    shell.json("process", job)
    name = re.search(r"conversation: ([0-9a-f]{8})", shell.run("log", job))
    assert name
    told = shell.json("correct", name[1], "--turn", "2", "--text", "A better answer.", "--note", "Too vague.")
    assert (told["version"], told["turn"]) == (2, 2)
    better = tmp_path / "better.txt"
    better.write_text("A still better answer.", encoding="utf-8")
    said = shell.run("correct", name[1], "--turn", "2", "--file", str(better))
    assert "{+still +}better answer." in said
    assert "It waits for a decision." in said
    assert shell.json("correct", name[1], "--turn", "4", "--skip")["version"] == 4
    corrections = shell.json("correct", name[1])["corrections"]
    assert isinstance(corrections, list)
    assert [c["turn"] for c in corrections] == [2, 2, 4]
    assert "not trained on any more" in shell.run("correct", name[1], "--turn", "4")
    assert "is the user's" in shell.run("correct", name[1], "--turn", "1", "--skip", code=1)
    assert "Say which turn" in shell.run("correct", name[1], "--text", "x", code=1)
    assert "Say one thing" in shell.run("correct", name[1], "--turn", "2", "--skip", "--train", code=1)
    assert "not a conversation id" in shell.run("correct", "nothing", code=1)


def test_a_byte_order_mark_is_no_part_of_a_corrected_turn(shell: Shell, sheet: Path, tmp_path: Path) -> None:
    """A text that a Windows editor saved becomes the turn without the invisible mark at its beginning."""
    job = str(shell.json("generate", "--scenarios", str(sheet), "--limit", "1", "--turns", "4")["id"])
    shell.json("process", job)
    name = re.search(r"conversation: ([0-9a-f]{8})", shell.run("log", job))
    assert name
    better = tmp_path / "better.txt"
    better.write_text("A better answer.", encoding="utf-8-sig")
    shell.run("correct", name[1], "--turn", "2", "--file", str(better))
    corrections = shell.json("correct", name[1])["corrections"]
    assert isinstance(corrections, list)
    assert corrections[0]["after"]["content"] == "A better answer."


def test_a_conversation_is_written_again_from_the_shell(shell: Shell, sheet: Path) -> None:
    """`regenerate` prices, creates a batch of one, and afterwards lists what it became."""
    job = str(shell.json("generate", "--scenarios", str(sheet), "--limit", "1", "--turns", "4")["id"])
    shell.json("process", job)
    name = re.search(r"conversation: ([0-9a-f]{8})", shell.run("log", job))
    assert name
    assert shell.json("regenerate", name[1], "--note", "Shorter.", "--dry-run")["worst_cost"] == 0
    assert shell.json("regenerate", name[1])["again"] == []
    made = shell.json("regenerate", name[1], "--note", "Shorter.")
    assert shell.json("process", str(made["id"]))["status"] == "completed"
    (became,) = shell.json("regenerate", name[1])["again"]  # type: ignore[misc]
    assert (became["note"], became["status"]) == ("Shorter.", "pending_review")
    assert f"Written again from {made['parent']}" in shell.run("regenerate", str(became["conversation"]))
    assert "no feedback" in shell.run("regenerate", name[1], "--note", " ", code=1)
