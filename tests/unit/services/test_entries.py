"""Files of every make, and files that are small when packed and huge when read."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from brightrun.services.entries import MAX_ENTRY, MOST_BEHIND, entries

READ = """
import sys
from pathlib import Path
from brightrun.services.entries import entries
faults = [entry.fault for entry in entries(Path(sys.argv[1])) if entry.fault]
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(int(peak) // 1024, *faults, sep="\\n")
"""
MANY = 60_000_000
BLOCK = 1_000_000


def text() -> Iterator[bytes]:
    return (b"x" * BLOCK for _ in range(MANY // BLOCK))


def lists() -> Iterator[bytes]:
    return (b"[]," * (BLOCK // 3) for _ in range(MANY // BLOCK))


BOMBS = {
    "one text.json.gz": (b'[{"a": "', text, b'"}, {"a": 1}]'),
    "many lists.json.gz": (b"[[", lists, b"[]]]"),
    "one line.jsonl.gz": (b'{"a": "', text, b'"}\n'),
    "one cell.csv.gz": (b'a,b\n1,"', text, b'"\n'),
    "one row.csv.gz": (b"a,b\n", lambda: (b'"x\n",' * (BLOCK // 5) for _ in range(MANY // BLOCK)), b"1\n"),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_a_small_packed_file_takes_no_large_memory(name: str, tmp_path: Path) -> None:
    """One entry of 60 MB in less than a megabyte is refused by its line, within what reading takes anyway."""
    first, middle, last = BOMBS[name]
    path = tmp_path / name
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.writelines((first, *middle(), last))
    assert path.stat().st_size < 1_000_000
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    peak, *faults = done.stdout.splitlines()
    assert int(peak) < 400
    assert [fault for fault in faults if fault.startswith("It is longer than")], faults


def test_long_entries_that_may_be_that_long_are_read(tmp_path: Path) -> None:
    """The limit is of one entry: many that come near it are read one after the other."""
    long = "y" * 5_000_000
    path = tmp_path / "long.json"
    path.write_text("[" + ", ".join(f'{{"a": "{long}"}}' for _ in range(8)) + "]")
    assert path.stat().st_size > 2 * MOST_BEHIND
    found = list(entries(path))
    assert [entry.fault for entry in found] == [None] * 8
    table = tmp_path / "long.csv"
    table.write_text("a,b\n" + f'1,"{long}"\n' * 8)
    assert [entry.fault for entry in entries(table)] == [None] * 8


PLAIN = 'instruction,output\n"Say, hi",Café\n'


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("cp1252"),
        PLAIN.encode("utf-16"),
        'instruction;output\n"Say, hi";"Café"\n'.encode(),
        "instruction\toutput\r\nSay, hi\tCafé\r\n".encode("utf-16"),
        'sep=;\r\ninstruction;output\r\n"Say, hi";Café\r\n'.encode("cp1252"),
        '\ninstruction,output\n"Say, hi",Café\n'.encode(),
    ],
)
def test_tables_of_every_make_are_imported(tmp_path: Path, name: str, data: bytes) -> None:
    """An import reads the delimiters and encodings that a sheet of scenarios may have, packed or not."""
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = [entry for entry in entries(path) if entry.raw or entry.fault]
    assert [entry.value for entry in found] == [{"instruction": "Say, hi", "output": "Café"}]


def test_a_long_table_keeps_every_row_whatever_its_make(tmp_path: Path) -> None:
    """A table much longer than what its make is told by loses no row and no letter, where one is cut in two too."""
    for encoding in ("utf-8", "utf-16", "cp1252"):
        for shift in range(2):
            path = tmp_path / f"{encoding}{shift}.csv"
            path.write_text("a" * (shift + 1) + ";b\n" + f"é{'é' * 40};ü\n" * 9000, encoding=encoding)
            assert [entry.fault for entry in entries(path)] == [None] * 9000
            assert {entry.value["b"] for entry in entries(path)} == {"ü"}


@pytest.mark.parametrize("ending", ["", "\n", "\n" + "x,y\n" * 40_000], ids=["open", "closed", "long"])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["late.csv", "late.csv.gz"])
def test_a_table_whose_first_accent_comes_late_is_read(
    tmp_path: Path, name: str, encoding: str, ending: str
) -> None:
    """A long list with one name from abroad near its end is imported whole, as Excel saves it and as others do."""
    data = ("a,b\n" + "x,y\n" * 50_000 + "Zoë,Café" + ending).encode(encoding)
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = list(entries(path))
    assert [entry.fault for entry in found if entry.fault] == []
    assert found[50_000].value == {"a": "Zoë", "b": "Café"}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        (
            "late.csv",
            "a,b\né,y\n".encode() + b"x,y\n" * 50_000 + "é,y\n".encode("cp1252"),
            "Save it as UTF-8, comma separated",
        ),
        (
            "damaged.csv",
            b"a,b\n" + b"x,y\n" * 50_000 + "Ärger,Übung\n".encode() + b"\xe9,x\n",
            "begins as UTF-8",
        ),
        ("binary.csv", b"a,b\n" + b"x,y\n" * 50_000 + b"\xff\x01\x02\n", "begins as UTF-8"),
        ("cut.csv", PLAIN.encode("utf-16")[:-1], "begins as UTF-16"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\0\0\0", "comma separated, UTF-8"),
        ("mixed.csv", "a,b\nÄrger,Übung\n".encode() + b"\xe9,x\n", "damaged UTF-8"),
        ("named.csv", b'"sep=;\na;b\n1;2\n', "no table"),
        ("long.csv", b"a,b\nx," + b"y" * (MAX_ENTRY + 1) + b"\n", "It is longer than"),
        ("wide.jsonl", ('{"a": 1}\n' * 9).encode("utf-16"), "UTF-16. Save it as UTF-8"),
        ("unmarked.jsonl", ('{"a": 1}\n' * 9).encode("utf-16-be"), "UTF-16. Save it as UTF-8"),
        ("wide.json", '[{"a": 1}]'.encode("utf-16"), "UTF-16. Save it as UTF-8"),
    ],
)
def test_a_file_whose_text_cannot_be_read_is_told_once(
    tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    """What is no readable text is refused once, with what to save it as, and not line after line."""
    path = tmp_path / name
    path.write_bytes(data)
    (fault,) = [entry.fault for entry in entries(path) if entry.fault]
    assert said in fault


def test_a_packed_table_that_is_cut_keeps_the_rows_before_the_cut(tmp_path: Path) -> None:
    """Finding out the make of a broken file loses none of the rows that can be read."""
    whole = "a,b\n" + "".join(f"{n},{n * 7919 % 10007}\n" for n in range(4000))
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress(whole.encode())[:-3000])
    *rows, last = entries(path)
    assert len(rows) > 500
    assert "breaks off" in (last.fault or "")


def test_rows_below_a_named_delimiter_keep_their_line_numbers(tmp_path: Path) -> None:
    """The line `sep=;` is no entry, but it is counted: what is refused is where the file has it."""
    path = tmp_path / "named.csv"
    path.write_text("sep=;\na;b\n1;2\n1;2;3\n")
    assert [(entry.line, bool(entry.fault)) for entry in entries(path)] == [(3, False), (4, True)]


@pytest.mark.parametrize("row", ["1,2,,", "1,2,", "1,2"])
def test_delimiters_behind_the_last_column_are_no_columns(tmp_path: Path, row: str) -> None:
    """A table that Excel saved with empty columns at its right, even not in every row, is imported without them."""
    path = tmp_path / "trailing.csv"
    path.write_text(f"a,b,,\n{row}\n")
    assert [(entry.value, entry.fault) for entry in entries(path)] == [({"a": "1", "b": "2"}, None)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1,2,x,", "Column 3 has no name, but a value. Name the column in the first line, or empty it."),
        ("1,2,,,", "5 fields where the first line has 4. Put quotation marks around"),
        ("1", "1 field where the first line has 2. Give it all 2"),
    ],
)
def test_a_row_that_does_not_fit_its_names_is_refused_with_what_to_do(
    tmp_path: Path, row: str, said: str
) -> None:
    """Something in a column without a name, or too many fields or too few, is told by its line and with a remedy."""
    path = tmp_path / "trailing.csv"
    path.write_text(f'a,b,,\n"1\n2",3,,\n{row}\n4,5,,\n')
    first, refused, last = entries(path)
    assert (first.fault, last.fault) == (None, None)
    assert refused.line == 4
    assert (refused.fault or "").startswith(said)


def test_columns_that_cannot_be_told_apart_lose_no_value(tmp_path: Path) -> None:
    """A value under no name, also between two names, is refused with its row; a name given twice refuses the table."""
    path = tmp_path / "names.csv"
    path.write_text("a,,b\n1,,2\n1,x,2\n")
    kept, refused = entries(path)
    assert kept.value == {"a": "1", "b": "2"}
    assert (refused.line, (refused.fault or "")[:28]) == (3, "Column 2 has no name, but a ")
    path.write_text("a,b,a\n1,2,3\n")
    (table,) = entries(path)
    assert table.fault == "More than one column is called a. Give each its own name."
