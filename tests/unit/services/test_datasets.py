"""Datasets: only what was approved, frozen as it was, each file whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Job
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import InvalidInput, NotAllowed, SetupFault
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.services.datasets import Format, check_folder

Start = Callable[..., Job]


def approve(app: App, start: Start, count: int = 4, approved: int = 3) -> None:
    job = start(count)
    while app.batches.process_next(job.id).job.is_open:
        continue
    rows = app.reviews.page(ConversationFilter(), limit=approved)
    app.reviews.decide([Seen(r["id"], r["row_version"]) for r in rows], Decision.APPROVED, reviewer="ana")


def test_only_approved_conversations_leave(app: App, start: Start, tmp_path: Path) -> None:
    """The export holds exactly what was approved; asking for anything else is refused."""
    approve(app, start)
    dataset = app.datasets.freeze(ConversationFilter(), name="Harbour tables", actor="ana")
    export = app.datasets.write(dataset, Format.MESSAGES, tmp_path)
    lines = [json.loads(line) for line in export.files[0].read_text(encoding="utf-8").splitlines()]
    approved = app.reviews.page(ConversationFilter(status=ConversationStatus.APPROVED))
    assert {line["id"] for line in lines} == {row["conversation_id"] for row in approved}
    assert export.files[0].name == "harbour-tables-v1-demo.jsonl"
    with pytest.raises(InvalidInput, match="pending review"):
        app.datasets.freeze(
            ConversationFilter(status=ConversationStatus.PENDING_REVIEW), name="x", actor="ana"
        )


@pytest.mark.parametrize("chosen", list(Format))
def test_a_frozen_dataset_stays_as_it_was(app: App, start: Start, chosen: Format) -> None:
    """What is decided later changes no dataset that exists: its files are the same, byte for byte."""
    approve(app, start)
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    before = b"".join(app.datasets.stream(dataset, chosen))
    app.reviews.decide_matching(ConversationFilter(), Decision.NEEDS_REVISION, reviewer="ben", reason="later")
    assert b"".join(app.datasets.stream(app.datasets.get(dataset.id), chosen)) == before
    assert b'"later"' not in b"".join(app.datasets.sidecar(dataset))


def test_the_next_dataset_of_a_name_is_its_next_version(app: App, start: Start) -> None:
    """Freezing under the same name counts up; both stay in the list, newest first."""
    approve(app, start)
    for _ in range(2):
        app.datasets.freeze(ConversationFilter(), name="tables", actor="ana")
    assert [(d.name, d.version, d.row_count, d.demo_count) for d in app.datasets.all()] == [
        ("tables", 2, 3, 3),
        ("tables", 1, 3, 3),
    ]


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
    with pytest.raises(SetupFault, match="cannot be written"):
        check_folder(blocked / "out")
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    with pytest.raises(SetupFault):
        app.datasets.write(dataset, Format.CSV, blocked / "out")
    out = tmp_path / "out"
    out.mkdir()
    (out / "first-v1-demo.csv").mkdir()  # a folder of the file's name
    with pytest.raises(SetupFault):
        app.datasets.write(dataset, Format.CSV, out)
    assert [path.name for path in out.iterdir()] == ["first-v1-demo.csv"]


def test_each_row_of_the_sidecar_belongs_to_a_row_of_the_file(app: App, start: Start) -> None:
    """Training rows and their metadata come in the same order under the same ids."""
    approve(app, start)
    dataset = app.datasets.freeze(ConversationFilter(), name="first", actor="ana")
    rows = [json.loads(line)["id"] for line in app.datasets.stream(dataset, Format.MESSAGES)]
    sides = [json.loads(line) for line in app.datasets.sidecar(dataset)]
    assert [side["id"] for side in sides] == rows
    assert {side["reviewer"] for side in sides} == {"ana"}
    assert {side["writer"] for side in sides} == {"demo"}
