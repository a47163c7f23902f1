"""Imports: every entry accounted for, none taken twice, whatever kills or overtakes them."""

from __future__ import annotations

import gzip
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from brightrun import saol
from brightrun.bootstrap import App
from brightrun.domain.conversation import ConversationStatus, Role
from brightrun.domain.errors import InvalidInput, NotAllowed, NotFound
from brightrun.domain.ids import ConversationId
from brightrun.domain.imports import Import, Outcome, read_entry
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.services.entries import MAX_ENTRY

ROOT = Path(__file__).parents[3]


def talk(number: int, **more: object) -> dict[str, object]:
    return {
        "messages": [
            {"role": "system", "content": "Help."},
            {"role": "user", "content": f"How do I plan trip number {number}?"},
            {"role": "assistant", "content": f"Begin trip {number} with the season, then the budget."},
        ],
        **more,
    }


def write_lines(path: Path, entries: list[object]) -> Path:
    text = "\n".join(e if isinstance(e, str) else json.dumps(e) for e in entries) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def outcomes(app: App, found: Import) -> dict[int, str]:
    """What became of each line, by its number."""
    return {line.line: line.outcome.value for o in Outcome for line in app.imports.lines(found.id, o)}


def test_every_line_is_imported_or_refused_with_its_number_and_reason(app: App, tmp_path: Path) -> None:
    """One file of good, blank, doubled and broken lines: each is accounted for where it stands."""
    path = write_lines(
        tmp_path / "mixed.jsonl",
        [talk(1), "", "{broken", talk(1), {"messages": [{"role": "tool", "content": "x"}]}, "17", talk(2)],
    )
    found = app.imports.take(path, actor="ana")
    assert (found.entries, found.imported, found.refused, found.duplicates, found.blank) == (7, 2, 3, 1, 1)
    assert outcomes(app, found) == {
        1: "imported",
        2: "blank",
        3: "refused",
        4: "duplicate",
        5: "refused",
        6: "refused",
        7: "imported",
    }
    reasons = {line.line: line.reason or "" for line in app.imports.lines(found.id, Outcome.REFUSED)}
    assert "no JSON" in reasons[3]
    assert "'tool'" in reasons[5]
    assert "no object" in reasons[6]
    (double,) = app.imports.lines(found.id, Outcome.DUPLICATE)
    assert double.reason == "The same conversation is line 1 of this file."


def test_a_later_import_names_what_is_here_already(app: App, tmp_path: Path) -> None:
    """The same conversation in another file is not taken again; its first place is named."""
    app.imports.take(write_lines(tmp_path / "one.jsonl", [talk(1)]), actor="ana", name="spring")
    found = app.imports.take(write_lines(tmp_path / "two.jsonl", [talk(9), talk(1)]), actor="ana")
    (double,) = app.imports.lines(found.id, Outcome.DUPLICATE)
    assert (double.line, double.reason) == (2, "The same conversation is line 1 of the import “spring”.")
    assert app.reviews.count(ConversationFilter(writer="import")) == 2


def test_an_import_of_the_wrong_file_is_taken_back_whole(app: App, tmp_path: Path) -> None:
    """Rows, texts, counts and files are as they were before, others stay, and the same file can come in again."""
    kept = app.imports.take(write_lines(tmp_path / "kept.jsonl", [talk(1)]), actor="ana")
    bucket = app.settings.home / "buckets" / "conversation-files"
    before = {path for path in bucket.rglob("*") if path.is_file()}
    wrong = write_lines(tmp_path / "wrong.jsonl", [talk(1), talk(2), "{broken", talk(3)])
    found = app.imports.take(wrong, actor="ana")
    told: list[tuple[int, int]] = []
    assert app.imports.withdraw(found.id, actor="ana", progress=lambda done, of: told.append((done, of))) == 2
    assert told[-1] == (6, 6)
    assert {path for path in bucket.rglob("*") if path.is_file()} == before
    assert [one.id for one in app.imports.page()] == [kept.id]
    assert app.reviews.count(ConversationFilter()) == app.reviews.count(ConversationFilter(text="trip")) == 1
    assert sum(app.reviews.count_statuses(ConversationFilter()).values()) == 1
    with pytest.raises(NotFound):
        app.imports.withdraw(found.id, actor="ana")
    assert app.imports.take(wrong, actor="ana").imported == 2


def test_an_import_that_somebody_has_used_stays_whole(app: App, tmp_path: Path) -> None:
    """One decision keeps all of it, an undone one too: what people did is not lost with a file."""
    found = app.imports.take(write_lines(tmp_path / "used.jsonl", [talk(1), talk(2)]), actor="ana")
    row = app.reviews.page(ConversationFilter())[0]
    told = app.reviews.decide([Seen(row["id"], row["row_version"])], Decision.REJECTED, reviewer="ana")
    with pytest.raises(NotAllowed, match="1 of its conversations"):
        app.imports.withdraw(found.id, actor="ana")
    app.reviews.undo(told.operation_id, reviewer="ana")
    with pytest.raises(NotAllowed, match="nothing was removed"):
        app.imports.withdraw(found.id, actor="ana")
    assert app.reviews.count(ConversationFilter()) == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps([{"conversations": [{"from": "human", "value": "Hi there."}, {"from": "gpt", "value": "Hello."}]}])),
        ("a.jsonl", json.dumps({"instruction": "Hi", "input": "there.", "output": "Hello.", "history": []})),
        ("a.csv", 'instruction,output\n"Hi\nthere.",Hello.\n'),
        ("b.csv", 'messages\n"[{""role"":""user"",""content"":""Hi""},{""role"":""assistant"",""content"":""Hello.""}]"\n'),
    ],
)  # fmt: skip
def test_the_usual_shapes_become_the_same_turns(app: App, tmp_path: Path, name: str, text: str) -> None:
    """messages, ShareGPT and Alpaca, in lists, lines and tables, come in as user and assistant turns."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = app.imports.take(path, actor="ana")
    assert found.imported == 1, app.imports.lines(found.id, Outcome.REFUSED)
    (row,) = app.reviews.page(ConversationFilter(import_id=found.id))
    turns = app.reviews.read(ConversationId(row["id"])).turns
    assert [turn.role for turn in turns] == [Role.USER, Role.ASSISTANT]
    assert turns[1].content == "Hello."


def test_what_stands_at_the_edges_of_a_turn_stays(app: App, tmp_path: Path) -> None:
    """An answer that begins with an indented line of code is that line, and is known when it comes again without it."""
    entry = {
        "messages": [
            {"role": "user", "content": "Show me.\n"},
            {"role": "assistant", "content": "    x = 1\n"},
        ]
    }
    found = app.imports.take(write_lines(tmp_path / "code.jsonl", [entry]), actor="ana")
    (row,) = app.reviews.page(ConversationFilter(import_id=found.id))
    assert [turn.content for turn in app.reviews.read(row["id"]).turns] == ["Show me.\n", "    x = 1\n"]
    bare = {"messages": [{**message, "content": message["content"].strip()} for message in entry["messages"]]}
    assert app.imports.take(write_lines(tmp_path / "bare.jsonl", [bare]), actor="ana").duplicates == 1
    blank = {"messages": [entry["messages"][0], {"role": "assistant", "content": " \n"}]}
    empty = app.imports.take(write_lines(tmp_path / "blank.jsonl", [blank]), actor="ana")
    (row,) = app.reviews.page(ConversationFilter(import_id=empty.id))
    assert app.reviews.read(row["id"]).turns[-1].content == "", "white space alone says nothing"


def test_an_import_without_a_scenario_is_told_by_its_first_words(app: App, tmp_path: Path) -> None:
    """A reviewer tells imported conversations apart, and is not offered to have one written again by nothing."""
    path = tmp_path / "own.jsonl"
    path.write_text(
        "".join(
            json.dumps({"messages": [{"role": "user", "content": said}, *ANSWER], "score": math.nan}) + "\n"
            for said in ("How do I fry eggs?", "How do I boil eggs?")
        )
    )
    found = app.imports.take(path, actor="ana")
    rows = app.reviews.page(ConversationFilter(import_id=found.id))
    assert {row["name"] for row in rows} == {"How do I fry eggs?", "How do I boil eggs?"}
    with pytest.raises(InvalidInput, match="imported without a scenario"):
        app.revisions.plan(ConversationId(rows[0]["id"]), "Shorter.")


ANSWER = [{"role": "assistant", "content": "In a pan."}]


def test_alpaca_history_comes_before_the_question(app: App, tmp_path: Path) -> None:
    """What was said before stands before the instruction."""
    entry = {"instruction": "C?", "output": "D.", "history": [["A?", "B."]]}
    found = app.imports.take(write_lines(tmp_path / "h.jsonl", [entry]), actor="ana")
    (row,) = app.reviews.page(ConversationFilter(import_id=found.id))
    read = app.reviews.read(ConversationId(row["id"]))
    assert [turn.content for turn in read.turns] == ["A?", "B.", "C?", "D."]


def test_an_imported_conversation_keeps_where_it_came_from(app: App, tmp_path: Path) -> None:
    """Its writer is `import`, its files are stored, and its scenario and keys are those of the entry."""
    persona = app.scenarios.axes().personas[0].persona_key
    entry = talk(1, scenario="A trip.", persona=persona, mood=["calm", "curious"], model="some-model")
    found = app.imports.take(write_lines(tmp_path / "p.jsonl.gz", ["", entry]), actor="ana")
    (row,) = app.reviews.page(ConversationFilter(persona_key=persona, import_id=found.id))
    read = app.reviews.read(ConversationId(row["id"]))
    assert (read.writer, read.model, read.import_id, read.import_line) == (
        "import", "some-model", found.id, 2,
    )  # fmt: skip
    assert read.scenario.variables == {"scenario": "A trip.", "mood": "calm, curious"}
    assert read.system == "Help."
    assert read.raw_path
    assert read.final_path
    assert read.enriched_path
    assert json.loads(app.enrichment.document(read.raw_path)) == entry
    final = json.loads(app.enrichment.document(read.final_path))
    assert final["provenance"]["source"] == {
        "import_id": found.id, "import": "p.jsonl.gz", "file": "p.jsonl.gz", "line": 2,
    }  # fmt: skip
    before = app.enrichment.document(read.enriched_path)
    app.enrichment.enrich(read.id)
    after = json.loads(app.enrichment.document(read.enriched_path))
    assert after["training_pairs"] == json.loads(before)["training_pairs"]
    assert after["dataset_metadata"]["conversation_source"] == "imported"


def test_the_rules_judge_an_import_but_not_what_nobody_asked_for(app: App, tmp_path: Path) -> None:
    """A control token blocks an imported conversation; its length is measured against no template."""
    bad = {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes <|im_end|>."}]
    }
    found = app.imports.take(write_lines(tmp_path / "r.jsonl", [bad, talk(2)]), actor="ana")
    blocked, fine = sorted(
        app.reviews.page(ConversationFilter(import_id=found.id)), key=lambda row: not row["has_blockers"]
    )
    assert "CONTROL_TOKEN" in blocked["flags"]
    assert fine["flags"] == []
    assert set(app.reviews.read(ConversationId(fine["id"])).quality["breakdown"]) == {  # type: ignore[call-overload]
        "structure", "coherence",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("cut.jsonl.gz", gzip.compress(b"\n".join([json.dumps(talk(n)).encode() for n in range(500)]))[:-200], "breaks off"),
        ("not.jsonl.gz", b"no gzip at all", "breaks off"),
        ("open.json", b'[{"messages": [], ', "no JSON list"),
        ("object.json", b'{"messages": []}', "no JSON list"),
        ("quote.csv", b'instruction,output\n"Hi,Hello', "no table"),
        ("latin.jsonl", '{"messages": "é"}'.encode("latin-1"), "not UTF-8"),
        ("long.jsonl", b"[" * (MAX_ENTRY + 5) + b"\n", "longer than"),
        ("deep.jsonl", b"[" * 200_000, "no JSON"),
        ("deep.json", b"[" * 200_000, "more than 100 deep"),
        ("deep.json.gz", gzip.compress(b"[" * 9_000_000, mtime=0), "more than 100 deep"),
        ("header.csv", b"instruction,output\n\n", "no row"),
        ("bytes.jsonl", bytes(range(256)) * 20, "binary data"),
        ("picture.json", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), "binary data"),
    ],
)  # fmt: skip
def test_a_broken_file_is_told_where_it_breaks(
    app: App, tmp_path: Path, name: str, data: bytes, told: str
) -> None:
    """A cut, mislabelled, misquoted or endless file ends with a refused line that says so, not with a crash."""
    path = tmp_path / name
    path.write_bytes(data)
    found = app.imports.take(path, actor="ana")
    refused = app.imports.lines(found.id, Outcome.REFUSED)
    assert told in (refused[-1].reason or "")
    assert found.status == "completed"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", b""),
        ("a.csv", b"\xef\xbb\xbf \r\n"),
        ("a.json", b" \n"),
        ("a.jsonl.gz", gzip.compress(b"\n" * 9, mtime=0)),
    ],
)
def test_an_empty_file_is_an_error_and_no_import(app: App, tmp_path: Path, name: str, data: bytes) -> None:
    """Whoever exported nothing by mistake is told that the file is empty; the list of imports stays without it."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=rf"{name} is empty"):
        app.imports.take(path, actor="ana")
    assert not app.imports.page()


def test_what_had_to_be_changed_is_said_of_its_line(app: App, tmp_path: Path) -> None:
    """A character that nothing can hold is taken out or replaced, and whoever imports it is told of which line."""
    odd = talk(1, note="a\0b")
    odd["messages"][1]["content"] = "Half \ud83d and bell \x07\x07."  # type: ignore[index]
    found = app.imports.take(write_lines(tmp_path / "odd.jsonl", [talk(2), odd]), actor="ana")
    (noted,) = app.imports.lines(found.id, Outcome.IMPORTED, noted=True)
    assert noted.line == 2
    assert noted.reason == (
        "Taken with changes: 3 control characters were taken out and 1 half character became \ufffd."
    )


def test_the_place_in_a_list_is_called_an_entry(app: App, tmp_path: Path) -> None:
    """A list on one line has no second line: its entries are counted by their place, also where one is doubled."""
    path = tmp_path / "list.json"
    path.write_text(json.dumps([talk(1), talk(1)]))
    found = app.imports.take(path, actor="ana")
    (double,) = app.imports.lines(found.id, Outcome.DUPLICATE)
    assert (found.unit, double.line) == ("entry", 2)
    assert found.told(double) == "The same conversation is entry 1 of this file."


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"prompt": "Hi", "completion": "Hello"}, "It has no messages, but `prompt`, `completion`. Read are"),
        (
            {"conversation_id": "1", "role": "user", "content": "Hi"},
            "it is one turn of a conversation. Read are",
        ),
        ({"messages": [{"role": "user", "content": 7}]}, "Message 1 has no text."),
        ({"instruction": "Hi", "output": 7}, "`output` has no text."),
    ],
)
def test_a_shape_that_is_not_read_is_told_which_are(entry: dict[str, object], said: str) -> None:
    """Whoever gives another shape sees what of it was found, and which shapes would be read."""
    with pytest.raises(InvalidInput) as caught:
        read_entry(entry, {"persona": (), "arc": (), "topic": ()})
    assert said in f"{caught.value.message} {caught.value.remedy}"


def test_an_import_is_found_by_its_name_or_the_beginning_of_its_id(app: App, tmp_path: Path) -> None:
    """Nobody has to copy a whole id; a name that two imports have is not guessed at."""
    one = app.imports.take(write_lines(tmp_path / "one.jsonl", [talk(1)]), actor="ana", name="Spring set")
    other = app.imports.take(write_lines(tmp_path / "two.jsonl", [talk(2)]), actor="ana", name="twice")
    app.imports.take(write_lines(tmp_path / "three.jsonl", [talk(3)]), actor="ana", name="twice")
    assert [app.imports.find(text) for text in ("Spring set", one.id, other.id[:13])] == [
        one.id,
        one.id,
        other.id,
    ]
    with pytest.raises(NotFound, match="more than one import"):
        app.imports.find("twice")
    with pytest.raises(NotFound, match="no import 'nope'"):
        app.imports.find("nope")
    chosen = ConversationFilter.parse(["import=Spring set"], find_import=app.imports.find)
    assert app.reviews.count(chosen) == 1


def test_a_file_of_another_kind_is_refused_before_anything_is_written(app: App, tmp_path: Path) -> None:
    """A name that is not read is refused with the kinds that are."""
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    with pytest.raises(InvalidInput, match="no kind"):
        app.imports.take(tmp_path / "a.xlsx", actor="ana")
    assert not app.imports.page()


def test_two_imports_of_one_file_at_once_take_it_once(app: App, tmp_path: Path) -> None:
    """Two people who start the same import share it: nothing is doubled, nothing is left out."""
    path = write_lines(tmp_path / "same.jsonl", [talk(n) for n in range(700)])
    threads = [threading.Thread(target=app.imports.take, args=(path,), kwargs={"actor": a}) for a in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert app.reviews.count(ConversationFilter(writer="import")) == 700
    assert sum(found.imported for found in app.imports.page()) == 700
    assert not [found for found in app.imports.page() if found.status != "completed"]


def test_a_killed_import_goes_on_where_it_stood(app: App, dsn: str, tmp_path: Path) -> None:
    """Killed again and again in the middle, started again each time: every line once, in one import."""
    path = write_lines(tmp_path / "long.jsonl", [talk(n) for n in range(1500)])
    environment = {**os.environ, "DATABASE_URL": dsn, "BRIGHTRUN_HOME": str(tmp_path)}
    killed = 0
    for target in (200, 700, 1100):
        process = subprocess.Popen(
            [sys.executable, "-m", "brightrun", "import", str(path), "--json"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        _wait_until(lambda target=target: app.reviews.count(ConversationFilter()) >= target)  # type: ignore[misc]
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait(20)
    assert killed, "no import was caught in the middle"
    found = app.imports.take(path, actor="ana")
    assert (found.entries, found.imported, found.duplicates) == (1500, 1500, 0)
    assert len(app.imports.page()) == 1
    assert app.reviews.count(ConversationFilter(import_id=found.id)) == 1500


def test_what_stands_before_too_deep_an_entry_is_taken(app: App, tmp_path: Path) -> None:
    """Only the entry that is too deep and what follows it are left; brackets in a text are no nesting."""
    many = talk(1) | {"note": "[{" * 500 + '"'}
    path = tmp_path / "deep.json"
    path.write_text(
        f"[{json.dumps(many)}, {json.dumps(talk(2))}, {'[' * 101}{']' * 101}, {json.dumps(talk(3))}]"
    )
    found = app.imports.take(path, actor="ana")
    assert (found.imported, found.refused) == (2, 1)
    assert app.imports.lines(found.id, Outcome.REFUSED)[0].line == 3


def test_nearly_the_same_conversations_of_an_import_are_flagged(app: App, tmp_path: Path) -> None:
    """Whoever imports copies with a word changed sees all but the first of them flagged, before anything is approved."""
    words = " ".join(f"word{n}" for n in range(200))
    near = [
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": f"{words} end{n}"}]}
        for n in range(3)
    ]
    found = app.imports.take(write_lines(tmp_path / "near.jsonl", [*near, talk(7)]), actor="ana")
    flagged = app.reviews.page(ConversationFilter(import_id=found.id, flag="NEAR_DUPLICATE"))
    assert len(flagged) == 2
    (mark,) = app.reviews.read(ConversationId(flagged[0]["id"])).marks
    assert "an earlier conversation of its import" in str(mark["message"])
    assert app.duplicates.mark_import(found.id).marked == 2


def test_memory_does_not_grow_with_the_file(app: App, tmp_path: Path) -> None:
    """Reading 100 MB takes no more than a few entries' memory."""
    path = tmp_path / "big.jsonl"
    line = json.dumps(talk(1, padding="x" * 20_000)) + "\n"
    with path.open("w", encoding="utf-8") as file:
        for _ in range(100_000_000 // len(line) + 1):
            file.write(line)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = app.imports.take(path, actor="ana")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert found.entries == found.imported + found.duplicates > 4900
    assert grown < 60, f"{grown:.0f} MB more"


def test_a_thousand_real_conversations_are_reviewed_and_frozen_like_written_ones(
    app: App, shared_data: Path
) -> None:
    """All of them are accounted for, found by their words, approved by a filter and frozen as a dataset."""
    found = app.imports.take(shared_data / "star_conversations.jsonl.gz", actor="ana")
    assert found.entries == 1000 == found.imported + found.refused + found.duplicates
    flights = ConversationFilter(import_id=found.id, text="flight")
    number = app.reviews.count(flights)
    assert 0 < number < 1000
    free = flights.narrowed(blocked=False)
    verdict = app.reviews.decide_matching(free, Decision.APPROVED, reviewer="ana")
    assert verdict.decided == app.reviews.count(flights.narrowed(status=ConversationStatus.APPROVED))
    dataset = app.datasets.freeze(ConversationFilter(import_id=found.id), name="flights", actor="ana")
    assert 0 < dataset.row_count <= verdict.decided


def test_the_ledger_cannot_say_more_than_the_lines(app: App, tmp_path: Path) -> None:
    """The database refuses an import whose counts do not add up."""
    found = app.imports.take(write_lines(tmp_path / "c.jsonl", [talk(1)]), actor="ana")
    changed = saol.agent_update(
        app.reviews._db, "imports", {"imported": 2}, where=[("id", "eq", found.id)], returning=False
    )
    assert not changed.success


def _wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until, "it never came so far"
        time.sleep(0.02)
