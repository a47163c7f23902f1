"""Frozen datasets and their rows in the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.cluster import Candidate
from brightrun.domain.dataset import Comparison, Dataset, DatasetOptions, Difference, Message, Row, Split
from brightrun.domain.errors import NotFound
from brightrun.domain.ids import ConversationId, ConversationKey, DatasetId
from brightrun.domain.review import ConversationFilter

CHUNK = 200
"""Rows in memory at a time."""


def candidates(
    db: saol.Database, chosen: ConversationFilter, options: DatasetOptions
) -> tuple[list[Candidate], int]:
    """Return what would be frozen, first come first, and how many exact duplicates are not among it."""
    data = saol.agent_execute_rpc(
        db, "dataset_candidates", {"p_filter": chosen.to_json(), "p_options": options.to_json()}
    ).value()
    return [Candidate(ConversationId(entry[0]), *entry[1:]) for entry in data["rows"]], int(
        data["duplicates"]
    )


def texts(db: saol.Database, wanted: Sequence[Candidate]) -> Iterator[str]:
    """Yield what each conversation says, in the order asked for; nothing for one that is gone."""
    for start in range(0, len(wanted), CHUNK):
        ids = [row.id for row in wanted[start : start + CHUNK]]
        found = saol.agent_query(
            db, "conversations", select=["id", "turns"], where=[("id", "in", ids)]
        ).rows()
        said = {
            row["id"]: "\n".join(str(turn.get("content") or "") for turn in row["turns"]) for row in found
        }
        yield from (said.get(each, "") for each in ids)


def keys(db: saol.Database, wanted: Sequence[ConversationId]) -> dict[ConversationId, ConversationKey]:
    """Return what files call conversations."""
    found: dict[ConversationId, ConversationKey] = {}
    for start in range(0, len(wanted), CHUNK):
        where = [("id", "in", list(wanted[start : start + CHUNK]))]
        rows = saol.agent_query(db, "conversations", select=["id", "conversation_id"], where=where).rows()
        found |= {ConversationId(row["id"]): ConversationKey(row["conversation_id"]) for row in rows}
    return found


def freeze(
    db: saol.Database,
    name: str,
    chosen: ConversationFilter,
    options: DatasetOptions,
    actor: str,
    plan: Mapping[str, object],
) -> Dataset | None:
    """Freeze what was looked at as the next version of a name; None when nothing of it matches any more."""
    data = saol.agent_execute_rpc(
        db,
        "freeze_dataset",
        {
            "p_name": name,
            "p_filter": chosen.to_json(),
            "p_actor": actor,
            "p_options": options.to_json(),
            "p_plan": dict(plan),
        },
    ).value()
    return None if data["outcome"] == "empty" else _dataset(data["dataset"])


def page(db: saol.Database, *, limit: int, offset: int = 0) -> list[Dataset]:
    """Return datasets, newest first."""
    result = saol.agent_query(
        db,
        "datasets",
        order_by=[saol.Order("created_at", descending=True), saol.Order("id")],
        limit=limit,
        offset=offset,
    )
    return [_dataset(row) for row in result.rows()]


def count(db: saol.Database) -> int:
    return saol.agent_count(db, "datasets").total()


def get(db: saol.Database, dataset_id: DatasetId) -> Dataset:
    """Return one dataset; raises NotFound."""
    rows = saol.agent_query(db, "datasets", where=[("id", "eq", dataset_id)], limit=1).rows()
    if not rows:
        raise NotFound(f"There is no dataset {dataset_id}.", remedy="Go back to the list.")
    return _dataset(rows[0])


def named(db: saol.Database, name: str) -> list[Dataset]:
    """Return every version of a name, newest first."""
    order = [saol.Order("version", descending=True)]
    found = saol.agent_query(db, "datasets", where=[("name", "eq", name)], order_by=order)
    return [_dataset(row) for row in found.rows()]


def keep_report(db: saol.Database, dataset_id: DatasetId, report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Keep what the checks found, unless somebody was faster; returns what is kept."""
    kept: Mapping[str, Any] = saol.agent_execute_rpc(
        db, "keep_dataset_report", {"p_dataset": dataset_id, "p_report": dict(report)}
    ).value()
    return kept


def compare(db: saol.Database, older: DatasetId, newer: DatasetId, *, limit: int) -> Comparison:
    """Return what differs between two datasets."""
    data = saol.agent_execute_rpc(
        db, "compare_datasets", {"p_older": older, "p_newer": newer, "p_limit": limit}
    ).value()
    return Comparison(
        data["counts"],
        tuple(
            Difference(
                row["kind"],
                ConversationId(row["id"]),
                ConversationKey(row["key"]),
                row["name"],
                row["older"],
                row["newer"],
                (_side(row["older_side"]), _side(row["newer_side"])),
            )
            for row in data["rows"]
        ),
    )


def _side(text: str | None) -> Split | None:
    return Split(text) if text else None


def rows(db: saol.Database, dataset: Dataset) -> Iterator[Row]:
    """Yield a dataset's rows in their order, a chunk at a time, so that memory does not grow."""
    starts = range(0, dataset.row_count + dataset.rejected_count, CHUNK)
    if not starts:
        return
    # While one chunk is written, the server makes the next: two are in memory, whatever there is in all.
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="dataset-rows") as ahead:
        coming = ahead.submit(_chunk, db, dataset.id, starts[0])
        for start in starts:
            chunk = coming.result()
            if start != starts[-1]:
                coming = ahead.submit(_chunk, db, dataset.id, start + CHUNK)
            yield from map(_row, chunk)


def _chunk(db: saol.Database, dataset_id: DatasetId, start: int) -> list[dict[str, Any]]:
    """Return the rows after a position; positions have no gaps.

    Bounded at both ends, a chunk costs the same wherever it lies and however many rows the planner believes there are.
    """
    bounds = [("position", "gt", start), ("position", "lte", start + CHUNK)]
    return saol.agent_query(
        db,
        "dataset_contents",
        where=[("dataset_id", "eq", dataset_id), *bounds],
        order_by=[saol.Order("position")],
    ).rows()


def _dataset(row: Mapping[str, Any]) -> Dataset:
    return Dataset(
        id=DatasetId(row["id"]),
        name=str(row["name"]),
        version=int(row["version"]),
        filter=row["filter"],
        options=DatasetOptions.from_json(row["options"]),
        row_count=int(row["row_count"]),
        rejected_count=int(row["rejected_count"]),
        duplicate_count=int(row["duplicate_count"]),
        demo_count=int(row["demo_count"]),
        prices=row["prices"],
        near_duplicates=row["near_duplicates"],
        report=row["report"],
        created_by=str(row["created_by"]),
        created_at=datetime.fromisoformat(row["created_at"]),
    )


def _row(entry: Mapping[str, Any]) -> Row:
    head: list[Message] = (
        [{"role": "system", "content": entry["system_text"]}] if entry["system_text"] else []
    )
    return Row(
        key=ConversationKey(entry["conversation_id"]),
        version=int(entry["version"]),
        messages=head + _messages(entry["turns"]),
        writer=str(entry["writer"]),
        model=str(entry["model"]),
        persona_key=entry["persona_key"],
        arc_key=entry["arc_key"],
        topic_key=entry["topic_key"],
        tier=str(entry["tier"]),
        variables=entry["parameters"].get("variables") or {},
        quality_score=float(entry["quality_score"]),
        flags=entry["flags"],
        decision=str(entry["decision"]),
        reviewer=entry["reviewed_by"],
        reviewed_at=entry["reviewed_at"],
        reason=entry["review_reason"],
        template=f"{entry['template_key']} v{entry['template_version']}" if entry["template_key"] else "",
        job_id=entry["job_id"],
        split=str(entry["split"]),
        created_at=str(entry["created_at"]),
        cost=float(entry["cost_usd"]),
        skipped=frozenset(n for n, turn in enumerate(entry["turns"]) if turn.get("train") is False),
        first_messages=_messages(entry["first_turns"]) if entry["first_turns"] else None,
    )


def _messages(turns: list[Mapping[str, Any]]) -> list[Message]:
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns]
