"""`make benchexport`: a dataset of many conversations to JSONL, CSV and Parquet, beside plain roads to the same.

Every measurement is a process of its own, so that its peak memory is its own. Beside each format stand
the time to copy its finished file (with the wait for the disk) and the fastest plain script we know:
rows streamed as text for JSONL, COPY for CSV, pyarrow fed from a stream for Parquet. The scripts check
nothing, hash nothing and wait for no disk; they write the same texts and their rows are counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from brightrun.bootstrap import open_app
from brightrun.config import Settings
from brightrun.domain.formats import Format
from brightrun.domain.ids import DatasetId
from brightrun.domain.review import ConversationFilter
from tests.seed import Seed, migrated, seed_conversations

PAGE = Path(__file__).parent.parent / "docs" / "export-benchmarks.md"
SIZES = (10_000, 100_000)
WORDS = 165
"""Words a turn, which makes about 6 KB a conversation of four turns."""
FORMATS = (Format.MESSAGES, Format.CSV, Format.PARQUET)
REPEATS = 3


def main() -> None:
    """Measure every size and write the page; with --one, be one measurement."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.export")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--one", nargs=5, metavar=("ROAD", "FORMAT", "DSN", "DATASET", "OUT"))
    given = parser.parse_args()
    if given.one:
        print(json.dumps(_one(*given.one)))
        return
    figures = [figure for size in given.sizes for figure in _measure(size)]
    text = _page(figures, given.sizes)
    print(text)
    PAGE.write_text(text, encoding="utf-8")


def _measure(size: int) -> list[dict[str, Any]]:
    with migrated() as (home, dsn):
        seed_conversations(dsn, (Seed(number=n, words=WORDS) for n in range(size)))
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("vacuum analyze")
        return _compare(dsn, home, size)


def _compare(dsn: str, home: Path, size: int) -> list[dict[str, Any]]:
    app = open_app(Settings(home=home, database_url=dsn, actor="bench"))
    started = time.perf_counter()
    dataset = app.datasets.freeze(ConversationFilter(), name="bench", actor="bench")
    frozen = time.perf_counter() - started
    assert dataset.row_count == size
    started = time.perf_counter()
    app.datasets.report(dataset)
    checked = time.perf_counter() - started
    app.close()
    found = []
    for chosen in FORMATS:
        runs: dict[str, list[dict[str, Any]]] = {"ours": [], "plain": []}
        for turn in range(REPEATS):  # in turns, so that both see the same machine
            for road in ("ours", "plain") if turn % 2 == 0 else ("plain", "ours"):
                runs[road].append(_spawn(road, chosen, dsn, dataset.id, home))
        ours = statistics.median(run["seconds"] for run in runs["ours"])
        found.append(
            {
                "size": size,
                "format": chosen.value,
                "bytes": runs["ours"][0]["bytes"],
                "ours": ours,
                "plain": statistics.median(run["seconds"] for run in runs["plain"]),
                "copy": statistics.median(run["copy"] for run in runs["ours"]),
                "peak": max(run["peak"] for run in runs["ours"]),
                "freeze": frozen,
                "check": checked,
                "load": os.getloadavg()[1],
            }
        )
    return found


def _spawn(road: str, chosen: Format, dsn: str, dataset: DatasetId, home: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=home) as out:
        command = [sys.executable, "-m", "benchmarks.export", "--one", road, chosen.value, dsn, dataset, out]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _one(road: str, chosen: str, dsn: str, dataset: str, out: str) -> dict[str, Any]:
    work = _ours if road == "ours" else PLAIN[Format(chosen)]
    seconds, path = work(dsn, dataset, Path(out), Format(chosen))
    peak = _peak_memory()
    started = time.perf_counter()
    with path.open("rb") as source, (Path(out) / "copy").open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    copied = time.perf_counter() - started
    return {"seconds": seconds, "bytes": path.stat().st_size, "peak": peak, "copy": copied}


def _ours(dsn: str, dataset: str, out: Path, chosen: Format) -> tuple[float, Path]:
    app = open_app(Settings(home=out, database_url=dsn, actor="bench"))
    try:
        frozen = app.datasets.get(DatasetId(dataset))
        started = time.perf_counter()
        export = app.exports.write(frozen, chosen, out)
        return time.perf_counter() - started, export.files[0]
    finally:
        app.close()


def _plain_jsonl(dsn: str, dataset: str, out: Path, _: Format) -> tuple[float, Path]:
    query = (
        "select jsonb_build_object('id', c.conversation_id, 'messages', c.turns)::text"
        " from dataset_rows r join conversations c on c.id = r.conversation_id"
        " where r.dataset_id = %s order by r.position"
    )
    started = time.perf_counter()
    with psycopg.connect(dsn) as connection, (out / "plain").open("wb") as file:
        for (line,) in connection.cursor(binary=False).stream(query, [dataset], size=100):
            file.write(line.encode() + b"\n")
    return time.perf_counter() - started, out / "plain"


def _plain_csv(dsn: str, dataset: str, out: Path, _: Format) -> tuple[float, Path]:
    query = (
        "copy (select c.conversation_id, t.place, t.turn ->> 'role', t.turn ->> 'content', c.writer, c.model,"
        " c.persona_key, c.tier, r.quality_score, r.reviewed_by, r.reviewed_at, c.created_at, r.split"
        " from dataset_rows r join conversations c on c.id = r.conversation_id"
        " cross join lateral jsonb_array_elements(c.turns) with ordinality t(turn, place)"
        f" where r.dataset_id = '{dataset}' order by r.position, t.place) to stdout with (format csv, header)"
    )
    started = time.perf_counter()
    with (
        psycopg.connect(dsn) as connection,
        (out / "plain").open("wb") as file,
        connection.cursor().copy(query) as copy,  # type: ignore[arg-type]
    ):
        for block in copy:
            file.write(block)
    return time.perf_counter() - started, out / "plain"


def _plain_parquet(dsn: str, dataset: str, out: Path, _: Format) -> tuple[float, Path]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    query = (
        "select c.conversation_id::text, c.turns from dataset_rows r join conversations c"
        " on c.id = r.conversation_id where r.dataset_id = %s order by r.position"
    )
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    schema = pa.schema([("id", pa.string()), ("messages", pa.list_(message))])
    started = time.perf_counter()
    with (
        psycopg.connect(dsn) as connection,
        pq.ParquetWriter(out / "plain", schema, compression="zstd") as writer,
    ):
        group = []
        for key, turns in connection.cursor().stream(query, [dataset], size=100):
            group.append({"id": key, "messages": turns})
            if len(group) == 1000:
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                group = []
        writer.write_table(pa.Table.from_pylist(group, schema=schema))
    return time.perf_counter() - started, out / "plain"


Plain = Callable[[str, str, Path, Format], tuple[float, Path]]
PLAIN: dict[Format, Plain] = {
    Format.MESSAGES: _plain_jsonl,
    Format.CSV: _plain_csv,
    Format.PARQUET: _plain_parquet,
}


def _peak_memory() -> float:
    """Return this process's peak resident memory in MB; `ru_maxrss` would count its parent's too, from before exec."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _page(figures: list[dict[str, Any]], sizes: list[int]) -> str:
    lines = [
        f"| {f['size']:,} | {f['format']} | {f['bytes'] / 1e6:,.0f} MB | {f['bytes'] / 1e6 / f['ours']:.0f} MB/s "
        f"| {f['copy'] / f['ours']:.3f} | {f['plain'] / f['ours']:.2f} | {f['peak']:.0f} MB "
        f"| {f['load']:.1f} |"
        for f in figures
    ]
    peaks = []
    for chosen in FORMATS:
        at = {f["size"]: f["peak"] for f in figures if f["format"] == chosen.value}
        peaks.append(f"{chosen.value} {at[max(sizes)] / at[min(sizes)]:.2f}")
    freezing = ", ".join(
        f"{f['size']:,}: {f['freeze']:.1f} s, checking {f['check']:.1f} s"
        for f in figures
        if f["format"] == FORMATS[0].value
    )
    table = "\n".join(lines)
    return f"""# Export benchmarks

By `make benchexport`: {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python
{platform.python_version()}, embedded PostgreSQL; median of {REPEATS} runs in turns, each a process of its own. Ratios count; the
absolute figures are that machine's, shared with other work. Ours reads frozen versions through SAOL, checks and cleans
every row, hashes what it writes, writes the sidecar beside JSONL and Parquet, and waits for the disk; the plain scripts
(streamed text, COPY, pyarrow) do none of it. Load is the machine's, over the five minutes before: above the number of cores,
everybody waits, and who talks to a server in another process waits twice.

| conversations | format | file | ours | copy's time / ours | plain script's time / ours | peak memory | load |
|---|---|---|---|---|---|---|---|
{table}

Peak memory at {max(sizes):,} over that at {min(sizes):,}: {", ".join(peaks)}. Freezing {freezing} (once a dataset).
"""


if __name__ == "__main__":
    main()
