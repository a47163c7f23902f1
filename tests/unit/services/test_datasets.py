"""Datasets: only what was approved, frozen as it was, each file whole or not there."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
import re
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import psycopg
import pytest

from brightrun import saol
from brightrun.bootstrap import App, open_app
from brightrun.domain.batch import Job
from brightrun.domain.card import card
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.dataset import DatasetOptions, Split
from brightrun.domain.errors import DatabaseFault, InvalidInput, NotAllowed, NotFound, SetupFault
from brightrun.domain.formats import Format
from brightrun.domain.report import rows_of
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.services.clusters import shingles
from brightrun.services.datasets import PLACED_MEANWHILE
from brightrun.services.exports import WHOLE
from brightrun.services.preflight import Trainer, built_in, preflight
from brightrun.services.targets import check_folder, require_free
from brightrun.stores import datasets as store
from tests.seed import Seed, seed_conversations

Start = Callable[..., Job]
SINGLE = [chosen for chosen in Format if chosen not in (Format.FOLDER, Format.DPO)]


def approve(app: App, start: Start, count: int = 4, approved: int = 3) -> None:
    job = start(count)
    while app.batches.process_next(job.id).job.is_open:
        continue
    rows = app.reviews.page(ConversationFilter(), limit=approved)
    app.reviews.decide([Seen(r["id"], r["row_version"]) for r in rows], Decision.APPROVED, reviewer="ana")


def lines(path: Path) -> list[dict[str, object]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_only_approved_conversations_leave(app: App, start: Start, tmp_path: Path) -> None:
    """The export holds exactly what was approved; asking for anything else is refused."""
    approve(app, start)
    dataset = app.datasets.freeze(ConversationFilter(), name="Harbour tables", actor="ana")
    export = app.exports.write(dataset, Format.MESSAGES, tmp_path / "out")
    approved = app.reviews.page(ConversationFilter(status=ConversationStatus.APPROVED))
    assert {line["id"] for line in lines(export.files[0])} == {row["conversation_id"] for row in approved}
    assert [path.name for path in export.files] == [
        "harbour-tables-v1-demo.jsonl",
        "harbour-tables-v1-demo.sidecar.ndjson",
    ]
    with pytest.raises(InvalidInput, match="pending review"):
        app.datasets.freeze(
            ConversationFilter(status=ConversationStatus.PENDING_REVIEW), name="x", actor="ana"
        )


def test_a_release_is_the_same_bytes_for_ever(app: App, dsn: str, tmp_path: Path) -> None:
    """After 100 more approvals, a new version of a conversation, a later decision and a restart, no byte differs."""
    seed_conversations(dsn, [Seed(number=n) for n in range(30)])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    before, *inside = app.exports.write(dataset, Format.FOLDER, tmp_path / "before").files
    assert sorted(inside) == sorted(path for path in before.rglob("*") if path.is_file())
    zipped = app.exports.write(dataset, Format.ZIP, tmp_path / "before").files[0]

    seed_conversations(dsn, [Seed(number=n) for n in range(30, 130)])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update public.conversations set turns = jsonb_set(turns, '{1,content}', '\"Corrected.\"'), "
            "persona_key = 'somebody_else' where first_words like '% 7'"
        )
    app.reviews.decide_matching(ConversationFilter(), Decision.NEEDS_REVISION, reviewer="ben", reason="later")
    again = open_app(app.settings)
    try:
        frozen = again.datasets.get(dataset.id)
        after = again.exports.write(frozen, Format.FOLDER, tmp_path / "after").files[0]
        rezipped = again.exports.write(frozen, Format.ZIP, tmp_path / "after").files[0]
    finally:
        again.close()
    assert digests(after) == digests(before)
    assert rezipped.read_bytes() == zipped.read_bytes()
    assert not any(b"Corrected." in path.read_bytes() for path in after.rglob("*.jsonl"))
    named = {
        entry["path"]: entry["sha256"] for entry in json.loads((after / "manifest.json").read_text())["files"]
    }
    assert named == {path: sha for path, sha in digests(after).items() if path != "manifest.json"}


@pytest.mark.parametrize("chosen", SINGLE)
def test_every_format_is_written_alone_and_again(app: App, dsn: str, tmp_path: Path, chosen: Format) -> None:
    """Each format comes as a file of its own, whole, and the same when it is asked for again."""
    seed_conversations(dsn, [Seed(number=n) for n in range(12)])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    one = app.exports.write(dataset, chosen, tmp_path / "one")
    app.exports.write(dataset, chosen, tmp_path / "two")
    assert one.rows == (24 if chosen is Format.PROMPT_COMPLETION else 12)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert one.files[0].stat().st_size > 0
    assert {path.name for path in (tmp_path / "one").iterdir()} == {path.name for path in one.files}


def test_shares_that_leave_nothing_to_train_on_are_refused(app: App, dsn: str) -> None:
    """Half to validate and half to test is a slip: it is told before anything is frozen."""
    seed_conversations(dsn, [Seed(number=n) for n in range(4)])
    options = DatasetOptions(validation=0.5, test=0.5)
    with pytest.raises(InvalidInput, match="leave nothing to train on"):
        app.datasets.freeze(ConversationFilter(), name="none", actor="ana", options=options)
    assert app.datasets.all() == []


@pytest.mark.parametrize("chosen", [chosen for chosen in SINGLE if chosen not in (*WHOLE, Format.ZIP)])
def test_the_sides_of_a_split_can_be_taken_one_by_one(
    app: App, dsn: str, tmp_path: Path, chosen: Format
) -> None:
    """Whoever trains on one file gets the rows of its side alone, and all sides together are the whole file."""
    seed_conversations(dsn, [Seed(number=n) for n in range(40)])
    options = DatasetOptions(validation=0.3, test=0.3)
    dataset = app.datasets.freeze(ConversationFilter(), name="sides", actor="ana", options=options)
    whole = app.exports.write(dataset, chosen, tmp_path)
    sides = [app.exports.write(dataset, chosen, tmp_path, side=split) for split in Split]
    assert {path.name for path in whole.files}.isdisjoint(path.name for one in sides for path in one.files)
    for split, one in zip(Split, sides, strict=True):
        assert one.splits == {**dict.fromkeys(Split, 0), split: one.rows}
        assert one.rows == whole.splits[split] > 0
    if chosen is not Format.PARQUET:
        apart = [line for one in sides for line in one.files[0].read_bytes().splitlines()]
        assert sorted(apart) == sorted(whole.files[0].read_bytes().splitlines())
    assert app.exports.kept(dataset, chosen, side=Split.TEST).name == sides[-1].files[0].name
    assert app.exports.ready(dataset, chosen) is None


@pytest.mark.parametrize("chosen", SINGLE)
def test_a_file_of_another_dataset_is_never_overwritten(
    app: App, dsn: str, tmp_path: Path, chosen: Format
) -> None:
    """Two datasets whose files are called alike do not destroy each other; the same one is written again freely."""
    seed_conversations(dsn, [Seed(number=n) for n in range(6)])
    first = app.datasets.freeze(ConversationFilter(), name="Tone, first", actor="ana")
    app.exports.write(first, chosen, tmp_path / "out")
    before = digests(tmp_path / "out")
    app.exports.write(first, chosen, tmp_path / "out")
    seed_conversations(dsn, [Seed(number=n) for n in range(6, 9)])
    other = app.datasets.freeze(ConversationFilter(), name="tone first", actor="ana")
    with pytest.raises(NotAllowed, match=r"tone-first-v1.* exists already.*nothing was written") as caught:
        app.exports.write(other, chosen, tmp_path / "out")
    assert f"--dataset {other.id}" in caught.value.remedy
    assert digests(tmp_path / "out") == before
    assert app.exports.kept(other, chosen).is_file()


@pytest.mark.parametrize("chosen", [*SINGLE, Format.FOLDER])
@pytest.mark.parametrize("writer", ["claude", "demo"])
def test_a_place_that_is_taken_is_known_before_anything_is_frozen(
    app: App, dsn: str, tmp_path: Path, chosen: Format, writer: str
) -> None:
    """Whatever an export of the next dataset would make tells that it is there already; nothing else is in the way."""
    seed_conversations(dsn, [Seed(number=n, writer=writer) for n in range(3)])
    look = partial(require_free, app.datasets, ConversationFilter(), chosen=chosen, folder=tmp_path)
    look(name="My  set")
    dataset = app.datasets.freeze(ConversationFilter(), name="my-set", actor="ana")
    files = app.exports.write(dataset, chosen, tmp_path).files
    look(name="my-set")  # its next version is called otherwise
    for path in files[:1] if chosen is Format.FOLDER else files:
        others = [other for other in tmp_path.iterdir() if other != path]
        for other in others:
            other.rename(tmp_path / f"away-{other.name}")
        with pytest.raises(NotAllowed, match=rf"{re.escape(path.name)} exists already; nothing was frozen"):
            look(name="My  set")
        for other in others:
            (tmp_path / f"away-{other.name}").rename(other)


def test_a_file_of_the_users_own_is_never_overwritten(app: App, dsn: str, tmp_path: Path) -> None:
    """What somebody put beside the exports under such a name stays theirs, and the export leaves nothing half there."""
    seed_conversations(dsn, [Seed(number=1)])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    out = tmp_path / "out"
    out.mkdir()
    mine = out / "first-v1.sidecar.ndjson"
    mine.write_text("mine")
    with pytest.raises(NotAllowed, match=r"first-v1\.sidecar\.ndjson exists already"):
        app.exports.write(dataset, Format.MESSAGES, out)
    assert [path.name for path in out.iterdir()] == [mine.name]
    assert mine.read_text() == "mine"
    mine.unlink()
    assert app.exports.write(dataset, Format.MESSAGES, out).rows == 1


def test_a_changed_conversation_loses_its_approval_and_keeps_its_past(app: App, dsn: str) -> None:
    """An approval is for one version: a corrected text waits for a decision, and the original is kept."""
    seed_conversations(dsn, [Seed(number=1)])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update public.conversations set turns = jsonb_set(turns, '{1,content}', '\"Better.\"')"
        )
        status, version = connection.execute("select status, version from public.conversations").fetchone()  # type: ignore[misc]
        kept = connection.execute(
            "select version, turns #>> '{1,content}' from public.conversation_versions"
        ).fetchall()
    assert (status, version) == ("pending_review", 2)
    assert [number for number, _ in kept] == [1]
    assert kept[0][1] != "Better."


def test_a_correction_becomes_a_preference_pair(app: App, dsn: str, tmp_path: Path) -> None:
    """What a person corrected is chosen over what the writer had written, after the same question."""
    seed_conversations(dsn, [Seed(number=n) for n in range(4)])
    row = next(row for row in app.reviews.page(ConversationFilter()) if row["first_words"].endswith(" 2"))
    app.corrections.correct(row["id"], 4, "Corrected answer.", corrector="ana")
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    dataset = app.datasets.freeze(
        ConversationFilter(), name="pairs", actor="ana", options=DatasetOptions(validation=0)
    )
    found = lines(app.exports.write(dataset, Format.DPO, tmp_path).files[0])
    assert len(found) == 1
    (pair,) = found
    assert pair["chosen"] == [{"role": "assistant", "content": "Corrected answer."}]
    assert pair["rejected"][0]["content"] != "Corrected answer."  # type: ignore[index]
    assert [m["role"] for m in pair["prompt"]] == ["system", "user", "assistant", "user"]  # type: ignore[union-attr]
    assert app.datasets.report(app.datasets.get(dataset.id))["preference_pairs"] == 1


@pytest.mark.parametrize("chosen", [*SINGLE, Format.DPO])
def test_the_rows_told_beside_a_file_are_its_own(app: App, dsn: str, tmp_path: Path, chosen: Format) -> None:
    """Whoever plans a training run by the rows they were told finds exactly these in the file."""
    seed_conversations(dsn, [Seed(number=n) for n in range(9)])
    rows = {row["first_words"].split()[-1]: row["id"] for row in app.reviews.page(ConversationFilter())}
    app.corrections.correct(rows["2"], 4, "Corrected answer.", corrector="ana")
    app.corrections.mark(rows["3"], 2, train=False, corrector="ana")
    app.corrections.correct(rows["4"], 2, "User: what a Nova job refuses.", corrector="ana")
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    seen = [Seen(row["id"], row["row_version"]) for row in app.reviews.page(ConversationFilter(), limit=2)]
    app.reviews.decide(seen, Decision.REJECTED, reviewer="ana")
    dataset = app.datasets.freeze(
        ConversationFilter(), name="rows", actor="ana", options=DatasetOptions(validation=0.4)
    )
    export = app.exports.write(dataset, chosen, tmp_path)
    told = rows_of(app.datasets.report(app.datasets.get(dataset.id)), chosen)
    assert export.rows == sum(export.splits.values())
    assert told in (None, export.rows)
    if export.files[0].suffix == ".jsonl":
        assert export.rows == len(lines(export.files[0]))


def test_a_verdict_on_a_turn_reaches_the_files_recipes_and_the_preflight(
    app: App, dsn: str, tmp_path: Path
) -> None:
    """What a reviewer keeps out of training is out of what trainers read, and each is told what it makes of it."""
    seed_conversations(dsn, [Seed(number=n) for n in range(3)])
    row = app.reviews.page(ConversationFilter())[0]
    app.corrections.mark(row["id"], 2, train=False, corrector="ana")
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    kept = DatasetOptions(validation=0)
    dataset = app.datasets.freeze(ConversationFilter(), name="verdicts", actor="ana", options=kept)
    folder = app.exports.write(dataset, Format.FOLDER, tmp_path).files[0]
    weights = [
        message["weight"]
        for line in lines(folder / "openai/train.jsonl")
        for message in line["messages"]  # type: ignore[attr-defined]
        if message["role"] == "assistant"
    ]
    assert sorted(weights) == [0, 1, 1, 1, 1, 1]
    assert len(lines(folder / "prompt_completion/train.jsonl")) == 5
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["skipped_turns"]["answers"] == 1
    assert "trained all the same" in manifest["skipped_turns"]["formats"]["llamafactory"]
    assert "message_field_training: weight" in (folder / "recipes/axolotl.yaml").read_text()
    assert "--dataset_config prompt_completion" in (folder / "recipes/trl_sft.sh").read_text()
    assert "keep 1 of the answers out of training" in (folder / "README.md").read_text()
    told = preflight(app.datasets, dataset, built_in("chatml"), max_length=4096)
    advice = {verdict.trainer: " ".join(verdict.advice) for verdict in told.verdicts}
    assert "prompt_completion/" in advice[Trainer.TRL]
    assert "openai/" in advice[Trainer.AXOLOTL]
    assert "no way to skip" in advice[Trainer.LLAMAFACTORY]


def test_the_spreadsheet_names_the_answers_kept_out_of_training(app: App, dsn: str, tmp_path: Path) -> None:
    """Whoever reads the table sees which answers are skipped, without looking into the sidecar."""
    seed_conversations(dsn, [Seed(number=1)])
    row = app.reviews.page(ConversationFilter())[0]
    app.corrections.mark(row["id"], 4, train=False, corrector="ana")
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    dataset = app.datasets.freeze(ConversationFilter(), name="table", actor="ana")
    path = app.exports.write(dataset, Format.CSV, tmp_path).files[0]
    with path.open(encoding="utf-8-sig", newline="") as file:
        marks = [(cells["role"], cells["skipped"]) for cells in csv.DictReader(file)]
    assert marks == [("system", ""), ("user", ""), ("assistant", ""), ("user", ""), ("assistant", "yes")]


def test_a_folder_without_pairs_has_no_folder_for_them(app: App, dsn: str, tmp_path: Path) -> None:
    """No empty folder is left where a format has no rows, so that no loader finds one."""
    seed_conversations(dsn, [Seed(number=n) for n in range(3)])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    folder = app.exports.write(dataset, Format.FOLDER, tmp_path).files[0]
    assert (folder / "kto").is_dir()
    assert not (folder / "dpo").exists()
    assert all(any(path.iterdir()) for path in folder.rglob("*") if path.is_dir())


def test_pairs_are_refused_where_nothing_was_corrected(app: App, dsn: str, tmp_path: Path) -> None:
    """A file of no pairs, which no trainer can load, is not written; the refusal says what to do instead."""
    seed_conversations(dsn, [Seed(number=n) for n in range(3)])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    with pytest.raises(NotAllowed, match=r"first@1 was corrected.*no pair to prefer") as caught:
        app.exports.write(dataset, Format.DPO, tmp_path)
    assert "Correct turns in the review" in str(caught.value.remedy)
    assert list(tmp_path.rglob("*dpo*")) == []


def test_the_manifest_tells_how_varied_the_whole_set_is(app: App, dsn: str, tmp_path: Path) -> None:
    """Each figure of the set stands beside its limit in the manifest and with its verdict on the card."""
    seed_conversations(dsn, [Seed(number=n, words=400) for n in range(30)])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    folder = app.exports.write(dataset, Format.FOLDER, tmp_path).files[0]
    variety = json.loads((folder / "manifest.json").read_text())["report"]["variety"]
    assert variety["sample_rows"] == 30
    assert set(variety["figures"]["self_bleu"]) == {"value", "at_most"}
    readme = (folder / "README.md").read_text()
    assert variety["verdict"] in readme
    assert 'Filter: `{"status":"approved"}`.' in readme
    live = {tell.figure.value: round(tell.value, 3) for tell in app.diversity.of_approved().tells}
    assert {name: live[name] for name in variety["figures"]} == {
        name: figure["value"] for name, figure in variety["figures"].items()
    }


def test_a_card_that_left_with_figures_twice_stays_as_it_was(app: App, dsn: str) -> None:
    """What was published before the figures stood there once is made again word for word."""
    seed_conversations(dsn, [Seed(number=n, words=40) for n in range(30)])
    manifest = app.datasets.manifest(app.datasets.freeze(ConversationFilter(), name="first", actor="ana"))
    report = manifest["report"]
    report["variety"]["figures"] = dict(sorted(report["variety"]["figures"].items()))
    older = card({**manifest, "report": {**report, "set": {"compression_ratio": 3.1}}}, {})
    assert '`{"status":"approved"}`, status approved.' in older
    assert older.index("opener share") < older.index("self bleu") < older.index("vendi")


def test_decisions_become_labels(app: App, dsn: str, tmp_path: Path) -> None:
    """What was approved is labelled true, what was rejected false, and only the label file has the latter."""
    seed_conversations(
        dsn, [Seed(number=n, status="rejected" if n % 3 == 0 else "approved") for n in range(9)]
    )
    dataset = app.datasets.freeze(ConversationFilter(), name="labels", actor="ana")
    kto = lines(app.exports.write(dataset, Format.KTO, tmp_path).files[0])
    assert sorted(line["label"] for line in kto) == [False] * 3 + [True] * 6  # type: ignore[type-var]
    messages = lines(app.exports.write(dataset, Format.MESSAGES, tmp_path).files[0])
    assert len(messages) == 6


def test_what_breaks_a_rule_is_left_out_by_name(app: App, dsn: str, tmp_path: Path) -> None:
    """A conversation that would ruin a run is in no file, and the manifest names it with its rule and message."""
    bad = Seed(
        number=99, turns=[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b<|im_end|>"}]
    )
    seed_conversations(dsn, [*(Seed(number=n) for n in range(5)), bad])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    folder = app.exports.write(dataset, Format.FOLDER, tmp_path).files[0]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["report"]["dropped"] == {"control_token": 1}
    (named,) = manifest["report"]["named"]
    assert named["breaches"] == [{"rule": "control_token", "message": 3}]
    data = [
        path
        for path in folder.rglob("*")
        if path.parent.name != "chat_templates" and path.name != "manifest.json" and path.is_file()
    ]
    assert not any(named["id"].encode() in path.read_bytes() for path in data)


RUINOUS = {
    "no_assistant": [("user", "Ruin 1")],
    "assistant_first": [("assistant", "Ruin 2"), ("user", "b"), ("assistant", "c")],
    "trailing_user": [("user", "a"), ("assistant", "Ruin 3"), ("user", "c")],
    "same_role_twice": [("user", "Ruin 4"), ("user", "b"), ("assistant", "c")],
    "system_place": [("user", "a"), ("system", "Ruin 5"), ("assistant", "c")],
    "unknown_role": [("human", "Ruin 6"), ("assistant", "c")],
    "empty_content": [("user", "Ruin 7"), ("assistant", "")],
    "not_text": [("user", "Ruin 8"), ("assistant", 7)],
    "control_token": [("user", "Ruin 9"), ("assistant", "c<|im_end|>")],
    "no_messages": [],
}


def test_nothing_that_ruins_a_run_is_in_any_file_of_the_folder(app: App, dsn: str, tmp_path: Path) -> None:
    """Whatever stands in the database, each shape that trainers drop, misread or die of is named and left out."""
    bad = [
        Seed(number=900 + n, system="", turns=[{"role": role, "content": content} for role, content in said])
        for n, said in enumerate(RUINOUS.values())
    ]
    seed_conversations(dsn, [*(Seed(number=n) for n in range(5)), *bad])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    folder = app.exports.write(dataset, Format.FOLDER, tmp_path).files[0]
    report = json.loads((folder / "manifest.json").read_text())["report"]
    assert set(RUINOUS) <= set(report["dropped"])
    assert (report["rows"], report["left_out"], len(report["named"])) == (5, len(bad), len(bad))
    named = [entry["id"].encode() for entry in report["named"]]
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            written = path.read_bytes()
            assert b"Ruin " not in written, path
            assert not any(each in written for each in named), path


def test_exact_duplicates_leave_once(app: App, dsn: str) -> None:
    """Two conversations that say the same are one row, the older one, and the other is counted."""
    seed_conversations(dsn, [Seed(number=1), Seed(number=2), Seed(number=1)])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    assert (dataset.row_count, dataset.duplicate_count) == (2, 1)


def test_new_rows_never_move_old_ones(app: App, dsn: str) -> None:
    """A later, larger release leaves every old row on its side, and says what it added and removed."""
    seed_conversations(dsn, [Seed(number=n) for n in range(60)])
    older = app.datasets.freeze(ConversationFilter(), name="grow", actor="ana")
    seed_conversations(dsn, [Seed(number=n) for n in range(60, 150)])
    gone = app.reviews.page(ConversationFilter(), sort="oldest", limit=1)[0]
    app.reviews.decide([Seen(gone["id"], gone["row_version"])], Decision.REJECTED, reviewer="ana")
    newer = app.datasets.freeze(ConversationFilter(), name="grow", actor="ana")
    assert newer.version == 2
    found = app.datasets.compare(older, newer)
    assert found.counts == {"added": 90, "removed": 1, "same": 59}
    assert [row.id for row in found.rows if row.kind == "removed"] == [gone["id"]]
    report = app.datasets.report(newer)
    assert 0 < report["splits"]["validation"] < 40
    options = DatasetOptions(validation=0.5)
    other = app.datasets.freeze(ConversationFilter(), name="grow", actor="ana", options=options)
    moved = [row.place for row in app.datasets.compare(newer, other).rows if row.kind == "moved"]
    assert set(moved) == {"train → validation"}


def test_new_rows_never_move_old_ones_even_between_near_duplicates(
    app: App, dsn: str, tmp_path: Path
) -> None:
    """A row like rows of both sides is left out of the next release and named everywhere; the old rows stay put."""
    half = DatasetOptions(validation=0.5)
    seed_conversations(dsn, [Seed(number=n, words=60) for n in range(12)])
    older = app.datasets.freeze(ConversationFilter(), name="grow", actor="ana", options=half)
    placed = {row.split: int(row.variables["scenario"].split()[1]) for row in app.datasets.rows(older)}
    train, held = placed["train"], placed["validation"]
    said = [Seed(number=n, words=60).said() for n in (train, held)]
    like_train = [dict(turn, content=f"{turn['content']} Well.") for turn in said[0]]
    like_held = [
        [dict(turn, content=f"{turn['content']} {word}") for turn in said[1]] for word in ("Well.", "So.")
    ]
    seed_conversations(
        dsn,
        [
            Seed(number=100, turns=like_held[0], variables={"scenario": f"Matter {train}"}),  # of both sides
            Seed(number=101, turns=like_train),
            Seed(number=102, turns=like_held[1]),
        ],
    )
    newer = app.datasets.freeze(ConversationFilter(), name="grow", actor="ana", options=half)
    assert app.datasets.compare(older, newer).counts == {"same": 12, "added": 2}
    splits = {row.variables["scenario"]: row.split for row in app.datasets.rows(newer)}
    assert (splits["Matter 101"], splits["Matter 102"]) == ("train", "validation")
    near = newer.near_duplicates
    assert near is not None
    assert (near["left_out"], near["clusters"]) == (1, 2)
    folder = app.exports.write(newer, Format.FOLDER, tmp_path).files[0]
    manifest = json.loads((folder / "manifest.json").read_text())
    (named,) = manifest["near_duplicates"]["named"]
    ids = {line["id"] for line in lines(folder / "sidecar.ndjson")}
    assert named["id"] not in ids
    assert named["near"] in ids
    assert (
        "1 that nearly repeat conversations of another side were left out"
        in (folder / "README.md").read_text()
    )
    third = app.datasets.freeze(ConversationFilter(), name="other", actor="ana", options=half)
    assert app.datasets.compare(newer, third).counts == {"same": 14}


def test_two_who_freeze_at_once_place_the_same_scenarios_alike(app: App, dsn: str) -> None:
    """Where two see different halves of the same near-duplicates, whoever comes second looks again: sides agree."""
    pairs = [Seed(number=n, words=60) for n in range(40)]
    again = [
        replace(
            seed,
            number=1000 + 3 * seed.number,
            turns=[dict(t, content=t["content"] + " So.") for t in seed.said()],
        )
        for seed in pairs
    ]
    seed_conversations(dsn, [*pairs, *again])
    filters = [ConversationFilter(), ConversationFilter(min_score=8.5), ConversationFilter(max_score=8.5)]
    half = DatasetOptions(validation=0.5)
    with ThreadPoolExecutor(6) as pool:
        made = list(
            pool.map(
                lambda n: app.datasets.freeze(filters[n % 3], name=f"at once {n}", actor="ana", options=half),
                range(6),
            )
        )
    for one in made:
        for other in made:
            assert "moved" not in app.datasets.compare(one, other).counts


def test_a_plan_that_another_dataset_overtook_freezes_nothing(app: App, dsn: str) -> None:
    """Scenarios that were placed otherwise meanwhile are refused by the database, with nothing half-made."""
    seed_conversations(dsn, [Seed(number=n) for n in range(3)])
    db = saol.connect_postgres(dsn)
    rows, _ = store.candidates(db, ConversationFilter(), DatasetOptions())
    plan = {
        "versions": {row.id: row.version for row in rows},
        "anchors": {row.group: rows[0].group for row in rows},
        "duplicates": 0,
        "near_duplicates": None,
    }
    app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    with pytest.raises(DatabaseFault) as refused:
        store.freeze(db, "second", ConversationFilter(), DatasetOptions(), "ana", plan)
    db.close()
    assert refused.value.sqlstate == PLACED_MEANWHILE
    assert [dataset.name for dataset in app.datasets.all()] == ["first"]


@pytest.mark.shared
def test_nothing_of_real_dialogues_stands_on_two_sides(app: App, dsn: str, shared_data: Path) -> None:
    """Of 1,000 real dialogues and reworded copies, ours leaks no scenario and no near-duplicate; chance leaks many."""
    with gzip.open(shared_data / "star_conversations.jsonl.gz", "rt", encoding="utf-8") as file:
        real = [json.loads(line) for line in file]
    seed_conversations(dsn, [star_seed(n, entry) for n, entry in enumerate(real)])
    copies = [star_seed(len(real) + n, reworded(entry)) for n, entry in enumerate(real[::5])]
    seed_conversations(dsn, copies)
    dataset = app.datasets.freeze(ConversationFilter(), name="star", actor="ana")
    report = app.datasets.report(dataset)
    near = dataset.near_duplicates
    assert near is not None
    assert report["rows"] + report["left_out"] + dataset.duplicate_count == len(real) + len(copies)
    assert near["left_out"] == 0

    rows = list(app.datasets.rows(dataset))
    scenarios = [row.variables["scenario"].strip().lower() for row in rows]
    texts = [shingles("\n".join(m["content"] for m in row.spoken)) for row in rows]
    ours = {at for at, row in enumerate(rows) if row.split == "validation"}
    chance = set(random.Random(7).sample(range(len(rows)), len(ours)))
    by_scenario = {at for at, name in enumerate(scenarios) if crc32(name.encode()) / 2**32 < 0.1}
    found = {
        name: (leaked(held, scenarios), alike(held, texts), len(held))
        for name, held in (("ours", ours), ("random", chance), ("scenario alone", by_scenario))
    }
    print(f"held out rows whose scenario, whose near-duplicate is trained, of: {found}; {near}")
    assert found["ours"][:2] == (0, 0)
    assert len(ours) >= 40
    assert found["random"][0] > len(ours) / 10
    assert found["random"][1] > len(ours) / 10
    assert found["scenario alone"][1] > len(by_scenario) / 10


def star_seed(number: int, entry: dict[str, Any]) -> Seed:
    system = entry["messages"][0]["content"] if entry["messages"][0]["role"] == "system" else ""
    said = [m for m in entry["messages"] if m["role"] != "system"]
    return Seed(number=number, system=system, turns=said, variables={"scenario": entry["scenario"]})


def reworded(entry: dict[str, Any]) -> dict[str, Any]:
    """The same dialogue under a scenario of its own, with a word more at its beginning and its end."""
    messages = [dict(message) for message in entry["messages"]]
    first = next(n for n, message in enumerate(messages) if message["role"] == "user")
    messages[first]["content"] = f"Hi {messages[first]['content']}"
    messages[-1]["content"] += " Goodbye"
    return {"messages": messages, "scenario": f"{entry['scenario']} (told again)"}


def leaked(held: set[int], scenarios: list[str]) -> int:
    trained = {name for at, name in enumerate(scenarios) if at not in held}
    return sum(scenarios[at] in trained for at in held)


def alike(held: set[int], texts: list[set[str]]) -> int:
    """Count held rows of which a trained one has four fifths of the shingles, each pair counted out."""
    rest = [text for at, text in enumerate(texts) if at not in held]

    def is_near(one: set[str], other: set[str]) -> bool:
        sizes = sorted((len(one), len(other)))  # counted out only where the sizes allow it at all
        return sizes[0] >= 0.8 * sizes[1] and len(one & other) >= 0.8 * len(one | other)

    return sum(any(is_near(texts[at], other) for other in rest) for at in held)


def test_the_next_dataset_of_a_name_is_its_next_version(app: App, start: Start) -> None:
    """Freezing under the same name counts up; both stay in the list, newest first, and are found by name."""
    approve(app, start)
    for _ in range(2):
        app.datasets.freeze(ConversationFilter(), name="tables", actor="ana")
    assert [(d.name, d.version, d.row_count, d.demo_count) for d in app.datasets.all()] == [
        ("tables", 2, 3, 3),
        ("tables", 1, 3, 3),
    ]
    assert app.datasets.find("tables").version == 2
    assert app.datasets.find("tables@1").version == 1
    odd = app.datasets.freeze(ConversationFilter(), name="tables@1", actor="ana")
    assert app.datasets.find("tables@1") == odd
    assert app.datasets.find("tables@1@1") == odd
    with pytest.raises(NotFound, match="nothing"):
        app.datasets.find("nothing")


def test_all_datasets_are_listed_however_many(app: App, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks for an old release finds it in the list, also behind many newer ones and where one more is frozen."""
    seed_conversations(dsn, [Seed(number=1)])
    monkeypatch.setattr("brightrun.services.datasets.PAGE", 2)
    made = [app.datasets.freeze(ConversationFilter(), name="many", actor="ana").version for _ in range(4)]
    assert [dataset.version for dataset in app.datasets.every()] == made[::-1]
    listed = app.datasets.every()
    first = next(listed)
    app.datasets.freeze(ConversationFilter(), name="many", actor="ana")
    assert [first.version, *(dataset.version for dataset in listed)] == made[::-1]
    other = app.datasets.freeze(ConversationFilter(), name="other", actor="ana")
    latest = app.datasets.freeze(ConversationFilter(), name="many", actor="ana")
    compared = [(dataset.name, dataset.version) for dataset in app.datasets.before(latest)]
    assert compared == [*(("many", version) for version in (5, 4, 3, 2, 1)), ("other", other.version)]


def test_the_card_tells_imported_rows_from_generated_ones(app: App, dsn: str, tmp_path: Path) -> None:
    """Nobody who reads the card takes what people wrote for generated text, and an old release keeps its card."""
    seed_conversations(dsn, [Seed(number=n) for n in range(5)])
    cards = {}
    for imported in (0, 2, 5):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                "update public.conversations set writer = 'import' where conversation_id in "
                "(select conversation_id from public.conversations order by created_at, id limit %s)",
                [imported],
            )
        app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
        dataset = app.datasets.freeze(ConversationFilter(), name=f"from {imported}", actor="ana")
        folder = app.exports.write(dataset, Format.FOLDER, tmp_path / "out").files[0]
        cards[imported] = (folder / "README.md").read_text()
    assert "Every row was generated" in cards[0]
    assert "source_datasets:\n- original" in cards[0]
    assert "Rows by origin: 3 generated, 2 imported from files." in cards[2]
    assert "- machine-generated\n- found\n- expert-generated" in cards[2]
    assert "Every row was imported from a file" in cards[5]
    assert not any(word in cards[5] for word in ("synthetic", "machine-generated", "- original"))
    assert "in a dataset of the same shares (validation 10 %, test 0 %)" in cards[0]

    manifest = app.datasets.manifest(dataset)
    del manifest["report"]["imported"]
    old = card(manifest, {})
    assert "Every row was generated" in old
    assert "rows that come later never move these.\n" in old


def test_nothing_approved_is_nothing_frozen(app: App, start: Start) -> None:
    """Without an approved conversation no dataset appears, and the message leads to the review."""
    approve(app, start, count=1, approved=1)
    with pytest.raises(NotAllowed, match="No approved conversation"):
        app.datasets.freeze(ConversationFilter(max_score=0.1), name="none", actor="ana")
    with pytest.raises(InvalidInput, match="name"):
        app.datasets.freeze(ConversationFilter(), name="   ", actor="ana")
    assert app.datasets.all() == []


def test_a_folder_that_cannot_be_written_leaves_nothing_half_done(
    app: App, start: Start, tmp_path: Path
) -> None:
    """A file in the way of the folder is named, and no partial file stays anywhere."""
    approve(app, start)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(SetupFault, match="file is a file"):
        check_folder(blocked / "out")
    check_folder(tmp_path / "new" / "out")
    assert not (tmp_path / "new").exists()
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    with pytest.raises(SetupFault):
        app.exports.write(dataset, Format.CSV, blocked / "out")
    out = tmp_path / "out"
    out.mkdir()
    (out / "first-v1-demo.csv").mkdir()  # a folder of the file's name
    with pytest.raises(NotAllowed, match="exists already"):
        app.exports.write(dataset, Format.CSV, out)
    assert [path.name for path in out.iterdir()] == ["first-v1-demo.csv"]


def test_a_folder_that_is_there_is_never_overwritten(app: App, dsn: str, tmp_path: Path) -> None:
    """The same dataset into the same place is no error; a folder somebody changed is left alone and named."""
    seed_conversations(dsn, [Seed(number=n) for n in range(3)])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    folder = app.exports.write(dataset, Format.FOLDER, tmp_path).files[0]
    app.exports.write(dataset, Format.FOLDER, tmp_path)
    (folder / "sidecar.ndjson").write_text("mine")
    with pytest.raises(NotAllowed, match="exists already"):
        app.exports.write(dataset, Format.FOLDER, tmp_path)
    assert (folder / "sidecar.ndjson").read_text() == "mine"


def test_each_row_of_the_sidecar_belongs_to_a_row_of_the_file(app: App, start: Start, tmp_path: Path) -> None:
    """Training rows and their metadata come in the same order under the same ids."""
    approve(app, start)
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    export = app.exports.write(dataset, Format.MESSAGES, tmp_path)
    sides = lines(export.files[1])
    assert [side["id"] for side in sides] == [line["id"] for line in lines(export.files[0])]
    assert {side["reviewer"] for side in sides} == {"ana"}
    assert {side["writer"] for side in sides} == {"demo"}


def test_the_zip_holds_the_folder(app: App, dsn: str, tmp_path: Path) -> None:
    """One file opens into the folder, manifest, card and recipes included."""
    seed_conversations(dsn, [Seed(number=n) for n in range(5)])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    path = app.exports.kept(dataset, Format.ZIP)
    assert path == app.exports.kept(dataset, Format.ZIP)
    with zipfile.ZipFile(path) as packed:
        assert packed.testzip() is None
        packed.extractall(tmp_path / "opened")
    folder = app.exports.write(dataset, Format.FOLDER, tmp_path / "written").files[0]
    assert digests(tmp_path / "opened" / "first-v1") == digests(folder)


def test_an_upload_puts_every_file_into_the_bucket(app: App, dsn: str) -> None:
    """What the manifest names lies in the bucket `datasets`, and the manifest was put there last."""
    seed_conversations(dsn, [Seed(number=n) for n in range(3)])
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    keys = app.exports.upload(dataset)
    assert keys[-1] == f"{dataset.id}/manifest.json"
    root = app.settings.home / "buckets" / "datasets"
    assert all((root / key).is_file() for key in keys)
