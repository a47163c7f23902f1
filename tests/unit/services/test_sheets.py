"""Uploaded sheets: what people really have on their disks, and what is wrong with it."""

from __future__ import annotations

import csv

import pytest

from brightrun.domain.errors import InvalidInput
from brightrun.services.sheets import MAX_BYTES, MAX_CELL, read_sheet


@pytest.mark.parametrize(
    "data",
    [
        'name,note\nJosé,"a, b"\n'.encode(),
        'name,note\nJosé,"a, b"\n'.encode("utf-8-sig"),
        'name,note\nJosé,"a, b"\n'.encode("utf-16"),
        'name,note\nJosé,"a, b"\n'.encode("cp1252"),
        'name,note\r\nJosé,"a, b"\r\n'.encode(),
        "\r\nname;note\r\n\r\nJosé;a, b\r\n;\r\n".encode(),
        "name\tnote\nJosé\ta, b\n".encode(),
        ' name , note \nJosé,"a, b"\n'.encode(),
        'sep=;\r\nname;note\r\nJosé;"a, b"\r\n'.encode("utf-8-sig"),
    ],
)
def test_sheets_of_every_make_are_read(data: bytes) -> None:
    """Commas, semicolons or tabs, Windows or Unix, any usual encoding: the same cells."""
    sheet = read_sheet(data, "x.csv")
    assert sheet.columns == ("name", "note")
    assert sheet.rows == (("José", "a, b"),)


@pytest.mark.parametrize(
    "name", ['"scenario (who, what, where)"', '"a ""b, c"", d"', '"two\nlines, one, name"']
)
def test_what_stands_in_quotation_marks_does_not_choose_the_delimiter(name: str) -> None:
    """A column's quoted name may be full of commas in a file that is separated by semicolons."""
    sheet = read_sheet(f"{name};domain\nx;y\n".encode(), "x.csv")
    assert sheet.columns[1:] == ("domain",)
    assert sheet.rows == (("x", "y"),)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("name", ["scenario", '"scenario, in your words"', " \nscenario"])
def test_a_sheet_of_one_column_is_never_cut(name: str, end: str) -> None:
    """Where the names hold no delimiter, commas, semicolons and quotation marks in the cells are text."""
    lines = [
        *name.split("\n"),
        "Hello, you; and you, too",
        'She said "no", and left; then',
        '"In, quotes; all"',
    ]
    sheet = read_sheet(end.join(lines).encode(), "x.csv")
    assert sheet.columns == (lines[-4].strip('"'),)
    assert sheet.rows == (
        ("Hello, you; and you, too",),
        ('She said "no", and left; then',),
        ("In, quotes; all",),
    )


def test_a_cell_that_goes_on_behind_its_quotation_marks_is_told_so() -> None:
    """Who wrote `"Yes," she said` in a cell is told in words what is wrong there, whatever the delimiter."""
    for text in (b'a\n"Yes," she said\n', b'a;b\n"Yes," she said;x\n'):
        with pytest.raises(InvalidInput, match="line 2: a cell goes on behind its closing quotation mark"):
            read_sheet(text, "x.csv")


def test_a_long_cell_is_refused_the_same_whatever_was_read_before() -> None:
    """What a process has read before does not change what a sheet is refused for."""
    before = csv.field_size_limit(1000)
    try:
        with pytest.raises(InvalidInput, match="has 300,000 characters") as caught:
            read_sheet(b"a\n" + b"x" * 300_000, "x.csv")
    finally:
        csv.field_size_limit(before)
    assert caught.value.remedy == "Shorten it."


def test_a_cell_may_hold_lines_and_quotes() -> None:
    """A quoted cell keeps its line ends and its quotation marks."""
    sheet = read_sheet(b'scenario\n"He said ""no"".\nThen left."\n', "x.csv")
    assert sheet.rows == (('He said "no".\nThen left.',),)


def test_every_row_keeps_the_line_of_the_file_where_it_begins() -> None:
    """A line that names the delimiter, blank rows and line breaks within cells are counted, in faults too."""
    text = b'sep=;\na;b\n\n"1\n2";3\n"4\n5";6\n'
    assert read_sheet(text, "x.csv").lines == (4, 6)
    for fault in (b'"7\n8";9;10\n', b'"7\n8\n9\n'):
        with pytest.raises(InvalidInput, match=r"x\.csv, line 8: "):
            read_sheet(text + fault, "x.csv")


def test_delimiters_behind_the_last_column_are_no_columns() -> None:
    """A sheet that Excel saved with empty columns at its right, even not in every row, is read without them."""
    sheet = read_sheet(b"name;note;;\r\na;b;;\r\nc;d;\r\ne;f\r\n", "x.csv")
    assert sheet.columns == ("name", "note")
    assert sheet.rows == (("a", "b"), ("c", "d"), ("e", "f"))


def test_a_row_that_ends_early_is_not_told_to_use_quotation_marks() -> None:
    """Who left a field out is told how many the row has, how many it needs, and what to look for."""
    with pytest.raises(InvalidInput, match="line 3: 2 fields where the first line has 3") as caught:
        read_sheet(b"a,b,c\n1,2,3\n1,2\n", "x.csv")
    assert "quotation" not in caught.value.remedy
    assert "all 3" in caught.value.remedy


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"  \n \n", "empty"),
        (b"scenario\n", "no rows"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "binary"),
        (b"PK\x03\x04\x14\x00\x06", "binary"),
        (b"a,b\n1,2,3\n", "line 2"),
        (b"a,b\n1\n", "line 2: 1 field where the first line has 2"),
        (b"a,b,,\n1,2,,\n1,2,3,\n", "line 3: column 3 has no name"),
        (b"a,b,,\n1,2,,,\n", "line 2: 5 fields where the first line has 4"),
        (b"a,a\n1,2\n", "called a"),
        (b"a,,c\n1,2,3\n", "column 2 has no name"),
        (b'a\n"never closed\n', "line"),
        (b"a\n" + b"x" * (MAX_CELL + 1), "characters"),
        (b"a\n" + b"x" * 300_000, "has 300,000 characters; 32,000 are allowed"),
        (b'"sep=;\na;b\n1;2\n', "line"),
        (b"sep=;\na;b\n1;2;3\n", "line 3"),
        ("a\nCafé, Ärger, Übung\n".encode() + b"\xe9\n", "damaged UTF-8"),
        (b"x" * (MAX_BYTES + 1), "MB are allowed"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_a_remedy(data: bytes, said: str) -> None:
    """A file that cannot be used is refused with what, where and what to do."""
    with pytest.raises(InvalidInput, match=said) as caught:
        read_sheet(data, "mine.csv")
    assert "mine.csv" in caught.value.message
    assert caught.value.remedy
