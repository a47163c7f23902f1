"""Everything a network, a proxy or a broken server can do to one call, through the real service and SDK.

BRIGHTRUN_TRANSPORT_FAULTS says how many items meet a fault (60 in `make test`, 1,000 in `make faults`),
BRIGHTRUN_FAULT_SEED which. Every kind comes at least once.
"""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from brightrun.domain.batch import Job, JobStatus
from brightrun.writers.claude import ClaudeWriter
from tests.faults.road import BEYOND_SECONDS, CALL_SECONDS, SEED, Road, opened, place_of, size
from tests.many import AmongMany
from tests.messages_api import Fault, MessagesApi, Script

NUMBER = size("BRIGHTRUN_TRANSPORT_FAULTS", 60)

HTML = "<html><head><title>{0}</title></head><body>{0}</body></html>"
LAST = "connection: close\r\n"
"""The server closes after every fault; where a client could not know, the next call on that connection would break too."""
JSON = f"content-type: application/json\r\nrequest-id: req_x\r\n{LAST}"
OK = f"HTTP/1.1 200 OK\r\n{JSON}"
LONG = f"{OK}content-length: 500000\r\n\r\n"
CHUNKED = f"{OK}transfer-encoding: chunked\r\n\r\n"

LOST = {"connection_broken", "timeout", "http_101", "http_502", "http_504", "http_520", "http_524"}
"""Nobody knows whether it was paid: listed as unknown, with its worst case, and called at most twice more."""
UNPAID = {"http_500", "http_503", "overloaded", "rate_limited", "unreachable"}
"""An error that the API itself gave: nothing is counted as paid."""
UNREADABLE = {"unreadable_answer", "incomplete_answer"}
"""An answer arrived and its bytes are kept, but not what it cost: possibly paid, and not bought again unasked."""

Wire = list[tuple[str, Any]]
Make = Callable[[random.Random], Fault]


def wire(*steps: tuple[str, Any]) -> Make:
    return lambda chance: Fault("wire", wire=steps)


def cut(*end: tuple[str, Any]) -> Make:
    """Send some share of a long body, and then what is given."""

    def make(chance: random.Random) -> Fault:
        return Fault("wire", wire=[("send", LONG), ("answer", [0, chance.random()]), *end])

    return make


def body(data: bytes | str, headers: str = "", status: str = "200 OK") -> Make:
    """Send a whole response that is no message."""
    text = data if isinstance(data, str) else data.decode("latin-1")
    head = f"HTTP/1.1 {status}\r\n{headers or JSON}content-length: {len(text)}\r\n\r\n"
    return wire(("send", head + text))


def page(status: int) -> Make:
    """Send a proxy's page instead of an answer."""
    return body(HTML.format(status), f"content-type: text/html\r\n{LAST}", f"{status} No")


def truncated(head: str) -> Make:
    """Send the beginning of an answer as if it were all."""

    def make(chance: random.Random) -> Fault:
        whole = json.dumps({"content": [{"type": "text", "text": "x" * 900}], "stop_reason": "end_turn"})
        part = whole[: chance.randrange(1, len(whole))]
        return Fault("wire", wire=[("send", head.format(length=len(part)) + part)])

    return make


SSE = (
    'event: message_start\r\ndata: {"type": "message_start"}\r\n\r\nevent: content_block_delta\r\ndata: {"ty'
)
PACKED = gzip.compress(json.dumps({"content": [], "stop_reason": "end_turn", "id": "m" * 5000}).encode())

KINDS: dict[str, tuple[Make, set[str]]] = {
    "reset before any answer": (lambda chance: Fault("reset"), LOST),
    "closed before any answer": (wire(), LOST),
    "closed in the status line": (wire(("send", "HTTP/1.1 20")), LOST),
    "closed in the headers": (wire(("send", f"{OK}content-le")), LOST),
    "reset after the headers": (wire(("send", LONG), ("reset", None)), LOST),
    "reset in the body": (cut(("wait", 0.02), ("reset", None)), LOST),
    "body cut off": (cut(), LOST),
    "no status": (wire(("send", "HTTP/1.1 fine thanks\r\n\r\n")), LOST),
    "another protocol": (wire(("send", "220 mail.example.com ESMTP ready\r\n")), LOST),
    "bytes of TLS": (wire(("send", "\x15\x03\x01\x00\x02\x02\x28")), LOST),
    "a header that is none": (wire(("send", f"{OK}\x00\x01 no header\r\n\r\n{{}}")), LOST),
    "two lengths": (wire(("send", f"{OK}content-length: 2\r\ncontent-length: 7\r\n\r\n{{}}")), LOST),
    "a length below nothing": (wire(("send", f"{OK}content-length: -5\r\n\r\n{{}}")), LOST),
    "headers without end": (wire(("send", OK + "x: y\r\n" * 40_000)), LOST),
    "chunk without size": (wire(("send", f"{CHUNKED}zz\r\n{{}}\r\n0\r\n\r\n")), LOST),
    "chunk cut off": (wire(("send", f"{CHUNKED}ffff\r\n"), ("answer", [0, 0.3])), LOST),
    "last chunk missing": (wire(("send", f"{CHUNKED}2\r\n{{}}\r\n")), LOST),
    "not packed as it says": (body("plain text", f"{JSON}content-encoding: gzip\r\n"), LOST),
    "another protocol from here": (
        wire(
            ("send", "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        ),
        LOST,
    ),
    "silence": (lambda chance: Fault("stall", seconds=CALL_SECONDS * 4), LOST),
    "silence after the headers": (wire(("send", LONG), ("wait", CALL_SECONDS * 4)), LOST),
    "silence in the body": (cut(("wait", CALL_SECONDS * 4)), LOST),
    "silence late in the body": (
        cut(("wait", CALL_SECONDS * 0.9), ("answer", [0, 0.1]), ("wait", 9.0)),
        LOST,
    ),
    "headers one by one": (wire(("trickle", [OK + "x: y\r\n" * 90, 9.0])), LOST),
    "body byte by byte": (wire(("send", LONG), ("trickle", ["x" * 900, 9.0])), LOST),
    "nothing but continue": (wire(("trickle", ["HTTP/1.1 100 Continue\r\n\r\n" * 40, 9.0])), LOST),
    "a gateway's 502": (page(502), LOST),
    "a gateway's 504": (page(504), LOST),
    "a gateway's 524": (page(524), LOST),
    "a gateway's 502, cut off": (wire(("send", "HTTP/1.1 502 No\r\ncontent-length: 999\r\n\r\n<ht")), LOST),
    "a page with 500": (page(500), UNPAID),
    "a page with 503": (page(503), UNPAID),
    "529, cut off": (wire(("send", "HTTP/1.1 529 No\r\ncontent-length: 999\r\n\r\n{")), UNPAID),
    "429, reset": (
        wire(("send", "HTTP/1.1 429 No\r\ncontent-length: 9\r\n\r\n{"), ("reset", None)),
        UNPAID,
    ),
    "500, never ending": (
        wire(("send", "HTTP/1.1 500 No\r\ncontent-length: 999\r\n\r\n"), ("trickle", ["x" * 900, 9.0])),
        UNPAID | {"timeout"},
    ),
    "nothing with 200": (body(""), UNREADABLE),
    "no content": (wire(("send", f"HTTP/1.1 204 No Content\r\n{LAST}\r\n")), UNREADABLE),
    "null": (body("null"), UNREADABLE),
    "a list": (body("[]"), UNREADABLE),
    "a text": (body('"I am a text"'), UNREADABLE),
    "a number": (body("12"), UNREADABLE),
    "an empty object": (body("{}"), UNREADABLE),
    "an error with 200": (body('{"type": "error", "error": {"type": "api_error"}}'), UNREADABLE),
    "a page with 200": (page(200), UNREADABLE),
    "not JSON": (body("{'content': None}"), UNREADABLE),
    "two objects": (body('{"content": []}\n{"content": []}'), UNREADABLE),
    "another alphabet": (body('{"content": []}'.encode("utf-16")), UNREADABLE),
    "depth 10,000": (body("[" * 10_000), UNREADABLE),
    "no reason to stop": (body('{"content": [], "stop_reason": null, "usage": {}}'), UNREADABLE),
    "a stream": (body(SSE, f"content-type: text/event-stream\r\n{LAST}"), UNREADABLE),
    "a stream, cut off": (
        wire(("send", f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{SSE}")),
        UNREADABLE,
    ),
    "cut off, with its own length": (truncated(OK + "content-length: {length}\r\n\r\n"), UNREADABLE),
    "cut off, without a length": (truncated(f"{OK}\r\n"), UNREADABLE),
    "packed and cut off": (body(PACKED[:40], f"{JSON}content-encoding: gzip\r\n"), UNREADABLE | LOST),
}


@dataclass(frozen=True)
class Plan:
    """What one item meets: a kind of fault, and how often before its call goes well."""

    kind: str
    fault: Fault
    times: int


class Plans(Script):
    """Faults by item; counts each item's calls."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: list[Plan] = []
        self.calls: Counter[int] = Counter()
        self.guard = threading.Lock()

    def next(self, number: int, prompt: str) -> Fault | None:
        place = place_of(prompt)
        with self.guard:
            self.calls[place] += 1
            plan = self.plans[place - 1]
            return plan.fault if self.calls[place] <= plan.times else None


def planned(chance: random.Random, number: int) -> list[Plan]:
    names = [*KINDS, *chance.choices([*KINDS], k=max(0, number - len(KINDS)))]
    return [Plan(name, KINDS[name][0](chance), 1 if chance.random() < 0.8 else 99) for name in names[:number]]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [ClaudeWriter, AmongMany], ids=["alone", "among many"])
def test_no_fault_of_the_network_is_unhandled_or_passes_for_an_answer(
    tmp_path: Path, dsn: str, kind: type[ClaudeWriter]
) -> None:
    """Each fault ends as the failure model says: unknown, unpaid or unreadable; and a person can retry them all."""
    script = Plans()
    with MessagesApi(script) as api, opened(tmp_path, dsn, api, kind=kind, max_attempts=4) as road:
        script.plans = planned(random.Random(SEED), NUMBER)
        job = road.create(len(script.plans))
        ended = road.run(job)
        seen = check(road, job, script)
        assert road.slowest < CALL_SECONDS + BEYOND_SECONDS
        assert ended.counts.queued == ended.counts.processing == 0
        script.calls.clear()
        script.plans = [Plan(plan.kind, plan.fault, 0) for plan in script.plans]
        if ended.counts.failed:
            road.app.batches.retry_failed(job.id, actor="ana")
            assert road.run(job).status is JobStatus.COMPLETED
        assert road.app.batches.get(job.id).counts.completed == len(script.plans)
    print(f"\n{len(script.plans)} items met a fault of {len(KINDS)} kinds (seed {SEED}): {seen}")
    print(f"slowest step {road.slowest:.2f} s with a time-out of {CALL_SECONDS} s")


def check(road: Road, job: Job, script: Plans) -> dict[str, int]:
    """Hold the ledger against what each item met."""
    rows = road.rows(
        "select i.position, i.status, a.number, a.outcome, a.error_code, a.possible_usd, a.raw_path, a.item_id"
        " from attempts a join batch_items i on i.id = a.item_id where a.job_id = %s order by 1, 3",
        job,
    )
    attempts: dict[int, list[Any]] = {}
    for row in rows:
        attempts.setdefault(row[0], []).append(row)
    seen: Counter[str] = Counter()
    for place, plan in enumerate(script.plans, start=1):
        mine, known = attempts[place], KINDS[plan.kind][1]
        calls = script.calls[place]
        assert len(mine) == calls, f"{plan.kind}: {calls} calls, {len(mine)} attempts"
        for _, _, number, outcome, code, possible, path, _ in mine:
            if number > plan.times:
                assert (outcome, code) == ("stored", None), plan.kind
                continue
            seen["calls that met a fault"] += 1
            assert code in known, f"{plan.kind}: {code}"
            expected = "failed" if code in UNPAID else "unknown" if code in LOST else "stored"
            assert outcome == expected, plan.kind
            assert (possible > 0) == (outcome != "failed"), f"{plan.kind}: not listed as possibly paid"
            assert (path is not None) == (outcome == "stored"), plan.kind
            seen[outcome] += 1
        ended(plan, mine, calls)
        seen[f"items {mine[0][1]}"] += 1
    job = road.app.batches.get(job.id)
    assert job.money.possible == pytest.approx(float(sum(row[5] for row in rows)))
    assert job.money.reserved == 0
    return dict(seen)


def ended(plan: Plan, mine: list[Any], calls: int) -> None:
    """Say how an item must have ended, and after how many calls."""
    status, last = mine[-1][1], mine[-1][4]
    if last in UNREADABLE:
        assert (status, calls) == ("failed", 1), f"{plan.kind} was bought again"
    elif plan.times == 1:
        assert (status, calls) == ("completed", 2), plan.kind
    else:
        assert status == "failed", plan.kind
        assert calls == (3 if last in LOST else 4 if last != "rate_limited" else 24), plan.kind
