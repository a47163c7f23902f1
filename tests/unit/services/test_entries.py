"""Files that are small when packed and huge when read."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from brightrun.services.entries import MOST_BEHIND, entries

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
