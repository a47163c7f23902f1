"""The bytes that leave: one line a conversation, nothing a trainer or a spreadsheet would trip over."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.domain.dataset import check_row, csv_lines, json_document, messages_line, sidecar_line
from tests.unit.domain.material import TALK, row

HARD = 'one\u2028two\u2029three\x85four "five" 🙂 \\ six\nseven'


def cells(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_a_training_line_holds_training_columns_only() -> None:
    """Trainers see messages, an id and who wrote them; everything else stands in the sidecar under the same id."""
    line, side = json.loads(messages_line(row())), json.loads(sidecar_line(row()))
    assert set(line) == {"id", "writer", "messages"}
    assert [m["content"] for m in line["messages"]] == list(TALK)
    assert side["id"] == line["id"]
    assert (side["reviewer"], side["decision"], side["quality_score"]) == ("ana", "approved", 8.5)


@pytest.mark.parametrize("write", [messages_line, sidecar_line])
def test_a_conversation_is_one_line_to_every_reader(write: object) -> None:
    """Unusual line ends inside a text never cut its line in two, and the text comes back as it was."""
    made = row(HARD, "Yes.", variables={"scenario": HARD})
    line = write(made)  # type: ignore[operator]
    assert len(line.decode("utf-8").splitlines()) == 1
    assert line.endswith(b"\n")
    data = json.loads(line)
    assert HARD in (data.get("variables", {}).get("scenario"), data.get("messages", [{}])[0].get("content"))


def test_the_json_document_is_one_document() -> None:
    """Piece by piece it is still valid JSON, for none, one and two rows."""
    for number in range(3):
        data = json.loads(b"".join(json_document([row()] * number, {"name": "x"})))
        assert len(data["conversations"]) == number
        assert data["manifest"] == {"name": "x"}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'"])
def test_no_cell_of_the_csv_is_a_formula(start: str) -> None:
    """A text that a spreadsheet would run is shown as text, and gives back its exact self."""
    text = f'{start}HYPERLINK("http://leak.invalid")'
    (first, _) = cells(b"".join(csv_lines([row(text, "Fine.")])))
    assert first["content"] == f"'{text}"


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
        min_size=2,
        max_size=4,
    )
)
def test_every_text_comes_back_from_the_csv(texts: list[str]) -> None:
    """Commas, quotes, line ends and any alphabet survive the way through a spreadsheet's file."""
    made = row(*texts)
    found = [c["content"] for c in cells(b"".join(csv_lines([made])))]
    guards = ("=", "+", "-", "@", "\t", "\r", "'")
    assert [c[1:] if c.startswith("'") and c[1:].startswith(guards) else c for c in found] == texts


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([("user", "a")], "no assistant turn"),
        ([("assistant", "a"), ("user", "b"), ("assistant", "c")], "the user does not begin"),
        ([("user", "a"), ("assistant", "b"), ("user", "c")], "the assistant does not end"),
        ([("user", "a"), ("user", "b"), ("assistant", "c")], "two turns of one role"),
        ([("user", "a"), ("system", "s"), ("assistant", "c")], "a system message that is not the first"),
        ([("user", "a"), ("tool", "s"), ("assistant", "c")], "a role that is none of"),
        ([("user", " "), ("assistant", "c")], "empty content in message 1"),
        ([("user", "a"), ("assistant", "c<|im_end|>")], "control token in message 2"),
        ([("user", "a\0"), ("assistant", "c")], "characters that no file can hold in message 1"),
    ],
)
def test_what_would_ruin_a_training_run_is_named(messages: list[tuple[str, str]], problem: str) -> None:
    """Each shape that trainers drop, cut or misread in silence is named with its message."""
    made = row(messages=[{"role": role, "content": content} for role, content in messages])
    assert any(problem in found for found in check_row(made)), check_row(made)


def test_a_system_message_first_is_fine() -> None:
    """One system message, then user and assistant in turn, is what trainers expect."""
    assert check_row(row(system="You help.")) == []
    assert check_row(row()) == []


@pytest.mark.slow
def test_the_real_datasets_library_loads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hugging Face's `datasets` reads the JSONL with its own types, every text unharmed."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "train.jsonl"
    made = [row(HARD, "Yes."), row(system="You help."), row("=1+1", "Two.")]
    path.write_bytes(b"".join(map(messages_line, made)))
    loaded = datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.num_rows == 3
    assert loaded[0]["messages"][0]["content"] == HARD
    assert loaded[1]["messages"][0] == {"role": "system", "content": "You help."}
