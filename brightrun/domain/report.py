"""What is said of a whole dataset: counted in one pass over its rows, in memory that does not grow with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from brightrun.domain.canonical import BYTES_A_TOKEN, Mend, Prepared, estimate_tokens
from brightrun.domain.dataset import Row, Split
from brightrun.domain.formats import SHAPES, Format, is_reserved
from brightrun.domain.imports import IMPORT_WRITER

LENGTHS = (1024, 2048, 4096, 8192)
"""Sequence lengths that trainers are usually given, in tokens."""
NAMED = 200
"""Rows left out that are named one by one; the rest is counted."""
MAX_STRATA = 500
"""Values of one kind that are counted one by one."""


class Survey:
    """Counts what leaves and what does not; fed with one conversation after another."""

    def __init__(self) -> None:
        self._dropped: Counter[str] = Counter()
        self._mended: Counter[str] = Counter()
        self._named: list[dict[str, Any]] = []
        self._splits = {split.value: 0 for split in Split}
        self._strata: dict[str, dict[str, Counter[str]]] = {
            name: {} for name in ("persona", "emotional_arc", "topic", "tier", "writer", "model", "template")
        }
        self._tokens: Counter[int] = Counter()
        self._over: Counter[int] = Counter()
        self._blind: Counter[int] = Counter()
        self._figures: Counter[str] = Counter()
        self._score = self._cost = 0.0
        self._score_low, self._score_high = 10.0, 0.0
        self._pairs = {Format.DPO: 0, Format.KTO: 0}

    def add(self, row: Row, prepared: Prepared) -> None:
        """Count one conversation and what the rules made of it."""
        if row.decision != "approved":
            self._figures["rejected"] += len(prepared.rows)
            self._pairs[Format.KTO] += len(prepared.rows)
            return
        self._mended.update(mend.value for mend in prepared.mends if not prepared.breaches)
        if prepared.breaches:
            self._dropped.update({breach.rule.value for breach in prepared.breaches})
            self._figures["left_out"] += 1
            if len(self._named) < NAMED:
                breaches = [{"rule": b.rule.value, "message": b.message} for b in prepared.breaches]
                self._named.append({"id": row.key, "breaches": breaches})
            return
        self._figures["conversations"] += 1
        self._figures["reviewed"] += bool(row.reviewer) * len(prepared.rows)
        self._cost += row.cost
        for made in prepared.rows:
            self._add_row(made)

    def to_json(self) -> dict[str, Any]:
        """Return the report as it is kept with the dataset."""
        rows = sum(self._splits.values())
        return {
            "rows": rows,
            "conversations": self._figures["conversations"],
            "left_out": self._figures["left_out"],
            "dropped": dict(sorted(self._dropped.items())),
            "named": self._named,
            "mended": {mend.value: self._mended[mend.value] for mend in Mend if self._mended[mend.value]},
            "splits": self._splits,
            "strata": {name: _whole(found) for name, found in self._strata.items()},
            "strata_by_split": {name: _by_split(found) for name, found in self._strata.items()},
            "assistant_turns": self._figures["assistant_turns"],
            "reviewed": self._figures["reviewed"],
            "imported": self._figures["imported"],
            "cost_usd": round(self._cost, 6),
            "scores": {
                "average": round(self._score / rows, 2) if rows else 0.0,
                "minimum": self._score_low if rows else 0.0,
                "maximum": self._score_high,
            },
            "tokens": {
                "estimate": f"UTF-8 bytes / {BYTES_A_TOKEN} and a frame for each message",
                "total": self._figures["tokens"],
                "median": self._percentile(rows, 0.5),
                "p95": self._percentile(rows, 0.95),
                "longest": max(self._tokens, default=0) * 64,
                "over": {str(length): self._over[length] for length in LENGTHS},
                "untrained_at": {str(length): self._blind[length] for length in LENGTHS},
            },
            "with_system": self._figures["with_system"],
            "bedrock_reserved": self._figures["bedrock_reserved"],
            "skipped_turns": self._figures["skipped_turns"],
            "skipped_within": self._figures["skipped_within"],
            "preference_pairs": self._pairs[Format.DPO],
            "labels": {"true": rows, "false": self._figures["rejected"]},
        }

    def _add_row(self, row: Row) -> None:
        self._splits[row.split] += 1
        for name, value in (
            ("persona", row.persona_key),
            ("emotional_arc", row.arc_key),
            ("topic", row.topic_key),
            ("tier", row.tier),
            ("writer", row.writer),
            ("model", row.model),
            ("template", row.template),
        ):
            self._stratify(name, value or "none", row.split)
        self._count_tokens(row)
        self._figures["assistant_turns"] += len(row.spoken) // 2
        self._figures["imported"] += row.writer == IMPORT_WRITER
        self._figures["skipped_turns"] += len(row.skipped)
        self._figures["skipped_within"] += row.skipped_within
        self._figures["with_system"] += bool(row.system)
        self._figures["bedrock_reserved"] += is_reserved(row)
        self._score += row.quality_score
        self._score_low = min(self._score_low, row.quality_score)
        self._score_high = max(self._score_high, row.quality_score)
        self._pairs[Format.DPO] += sum(1 for _ in SHAPES[Format.DPO].lines(row))

    def _stratify(self, name: str, value: str, split: str) -> None:
        strata = self._strata[name]
        if value not in strata and len(strata) >= MAX_STRATA:
            value = "others"
        strata.setdefault(value, Counter())[split] += 1

    def _count_tokens(self, row: Row) -> None:
        tokens = estimate_tokens(row.messages)
        self._figures["tokens"] += tokens
        self._tokens[tokens // 64] += 1
        if tokens > LENGTHS[0]:
            first = next(n for n, m in enumerate(row.messages) if m["role"] == "assistant")
            before = estimate_tokens(row.messages[:first])
            for length in LENGTHS:
                self._over[length] += tokens > length
                self._blind[length] += before >= length

    def _percentile(self, rows: int, share: float) -> int:
        seen = 0
        for bucket in sorted(self._tokens):
            seen += self._tokens[bucket]
            if seen >= share * rows:
                return bucket * 64
        return 0


def offers(report: Mapping[str, Any], chosen: Format) -> bool:
    """Return whether a format has anything to say of a dataset: pairs need an answer that was corrected."""
    return chosen is not Format.DPO or bool(report["preference_pairs"])


def lack_of(report: Mapping[str, Any], chosen: Format) -> str:
    """Return what a file of a format lacks to be trained on well; an empty text where it lacks nothing."""
    if chosen is Format.KTO and report["labels"]["true"] and not report["labels"]["false"]:
        return "Every row is labelled good, and KTO learns from good beside bad: it takes rejected conversations too."
    return ""


def rows_of(report: Mapping[str, Any], chosen: Format) -> int | None:
    """Return how many rows the file of a format has; None where only writing it tells."""
    rows, skipped = int(report["rows"]), int(report.get("skipped_turns", 0))
    match chosen:
        case Format.PROMPT_COMPLETION:
            return int(report["assistant_turns"]) - skipped
        case Format.DPO:
            return int(report["preference_pairs"])
        case Format.KTO:
            return int(report["labels"]["true"]) + int(report["labels"]["false"])
        case Format.BEDROCK:
            # An answer kept out of training may take the word that a row was counted for along.
            return None if skipped else rows - int(report["bedrock_reserved"])
    return rows


def _whole(found: Mapping[str, Counter[str]]) -> dict[str, int]:
    return {value: sum(counts.values()) for value, counts in sorted(found.items())}


def _by_split(found: Mapping[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {value: {s.value: counts[s.value] for s in Split} for value, counts in sorted(found.items())}
