"""Message Batches of the server: taken whole, ended when a test says so, answered out of order."""

from __future__ import annotations

import json
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.messages_api.replies import complaint, prompt_of, wants_verdict

MOST_REQUESTS = 100_000
LIFETIME = timedelta(hours=24)
_CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")

Fate = str
"""succeeded, expired, canceled, or errored:TYPE."""


@dataclass
class Batch:
    """One batch, and what will become of its requests."""

    id: str
    requests: list[dict[str, Any]]
    created_at: datetime
    looks: int = 0
    ended_at: datetime | None = None
    archived_at: datetime | None = None
    cancelled_at: datetime | None = None
    lines: list[bytes] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    def tell(self) -> dict[str, Any]:
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts |= dict(self.kinds) if self.ended_at else {"processing": len(self.requests)}
        status = "ended" if self.ended_at else "canceling" if self.cancelled_at else "in_progress"
        return {
            "id": self.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": counts,
            "created_at": self.created_at.isoformat(),
            "expires_at": (self.created_at + LIFETIME).isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
            "cancel_initiated_at": self.cancelled_at.isoformat() if self.cancelled_at else None,
            "archived_at": self.archived_at.isoformat() if self.archived_at else None,
            # Another's address: whoever fetches results there gives the key away.
            "results_url": f"http://127.0.0.1:9/{self.id}/results" if self.ended_at else None,
        }


class Batches:
    """What the server knows of batches; safe between its threads."""

    def __init__(self, write: Callable[[dict[str, Any], str], dict[str, Any]]) -> None:
        """`write` answers one request: its parameters and prompt."""
        self._write = write
        self._lock = threading.Lock()
        self._random = random.Random(8)
        self.all: dict[str, Batch] = {}
        self.fates: Callable[[str, str], Fate] = lambda item, prompt: "succeeded"
        """From a request's id and prompt to what becomes of it."""
        self.ends_after: int | None = None
        """So many looks end a batch by themselves; None: `end` does."""
        self.written: Counter[str] = Counter()
        """How often each id was written, which is what is paid for."""
        self.refusals: list[tuple[int, str]] = []
        """Statuses and types that the next batches meet instead of being taken."""
        self.loses = 0
        """So many batches are taken without their answer ever coming."""
        self.cuts: list[float] = []
        """Shares of the results' bytes after which the next streams break."""
        self.drops: set[str] = set()
        """Requests that the results leave out."""

    def create(self, body: Any) -> Batch | tuple[int, str, str]:
        """Take a batch, or return the status, type and text of its refusal."""
        with self._lock:
            if self.refusals:
                status, kind = self.refusals.pop(0)
                return status, kind, "scripted"
            requests = body.get("requests") if isinstance(body, dict) else None
            if not isinstance(requests, list) or not 1 <= len(requests) <= MOST_REQUESTS:
                return 400, "invalid_request_error", "requests: between 1 and 100000 are allowed"
            ids = [str(request.get("custom_id")) for request in requests]
            if len(set(ids)) < len(ids) or not all(map(_CUSTOM_ID.fullmatch, ids)):
                return 400, "invalid_request_error", "custom_id: must be unique and fit the pattern"
            for request in requests:
                if text := complaint(request.get("params")):
                    return 400, "invalid_request_error", text
            batch = Batch(f"msgbatch_{len(self.all) + 1:06}", requests, datetime.now(UTC))
            self.all[batch.id] = batch
            return batch

    def look(self, key: str) -> Batch | None:
        with self._lock:
            batch = self.all.get(key)
            if batch:
                self._looked(batch)
            return batch

    def cancel(self, key: str) -> Batch | None:
        """What is not written yet never is; what a fate calls succeeded was quicker."""
        with self._lock:
            batch = self.all.get(key)
            if batch and not batch.ended_at:
                batch.cancelled_at = datetime.now(UTC)
            return batch

    def end(self, key: str | None = None, *, fates: Callable[[str, str], Fate] | None = None) -> None:
        """End one batch, or all that are out."""
        with self._lock:
            for batch in self.all.values():
                if key in (None, batch.id) and not batch.ended_at:
                    self._end(batch, fates or self.fates)

    def page(self, after: str | None, limit: int) -> dict[str, Any]:
        """List batches as the API does: newest first."""
        with self._lock:
            keys = sorted(self.all, reverse=True)
            start = keys.index(after) + 1 if after in self.all and after else 0
            for key in keys[start : start + limit]:
                self._looked(self.all[key])
            shown = [self.all[key].tell() for key in keys[start : start + limit]]
            return {"data": shown, "has_more": start + limit < len(keys)}

    def cut(self, data: bytes) -> bytes:
        with self._lock:
            return data[: int(len(data) * self.cuts.pop(0))] if self.cuts else data

    def results(self, batch: Batch) -> bytes:
        return b"".join(line + b"\n" for line in batch.lines)

    def _looked(self, batch: Batch) -> None:
        if batch.ended_at:
            return
        batch.looks += 1
        if self.ends_after is not None and batch.looks >= self.ends_after:
            self._end(batch, self.fates)

    def _end(self, batch: Batch, fates: Callable[[str, str], Fate]) -> None:
        for request in batch.requests:
            item = request["custom_id"]
            fate, _, kind = fates(item, prompt_of(request["params"])).partition(":")
            result: dict[str, Any] = {"type": fate}
            if fate == "succeeded":
                self.written[item] += 1
                result["message"] = self._write(request["params"], prompt_of(request["params"]))
            elif fate == "errored":
                error = {"type": kind or "api_error", "message": "scripted"}
                result["error"] = {"type": "error", "error": error}
            batch.kinds[fate] += 1
            if item not in self.drops:
                batch.lines.append(json.dumps({"custom_id": item, "result": result}).encode())
        self._random.shuffle(batch.lines)
        batch.ended_at = datetime.now(UTC)


def writes(
    turns: Callable[[str], str], verdict: Callable[[str], str], message: Callable[..., dict[str, Any]]
) -> Callable[[Mapping[str, Any], str], dict[str, Any]]:
    """Return how one request of a batch is answered: as a call of its own would be, in the batch tier."""

    def write(params: Mapping[str, Any], prompt: str) -> dict[str, Any]:
        text = verdict(prompt) if wants_verdict(dict(params)) else turns(prompt)
        whole = message(params["model"], prompt, text)
        return {**whole, "usage": {**whole["usage"], "service_tier": "batch"}}

    return write
