"""A worker that kills itself at one named point of the step: `python -m tests.faults.dying POINT …`.

The adapters of the real app are wrapped; the step between them is the product's own, untouched.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import httpx

from brightrun import saol
from brightrun.buckets.local import LocalBucket
from brightrun.domain.batch import OpenJob, Step, StepOutcome
from brightrun.domain.bucket import BATCH_LOGS, CONVERSATION_FILES
from brightrun.domain.errors import StorageFault
from brightrun.domain.ids import ItemId, JobId
from brightrun.domain.part import Remote, Result
from brightrun.domain.writing import Answer, Order, RawAnswer
from brightrun.saol.schema import Function
from brightrun.saol.transports.postgres import PostgresTransport
from brightrun.services.answers import Answers
from brightrun.services.errands import Errands
from brightrun.services.estimates import Estimator
from brightrun.services.generation import Generation
from brightrun.services.judging import Judging
from brightrun.services.logs import Logs
from brightrun.services.pace import Pace
from brightrun.services.parts import Parts
from brightrun.services.scenarios import Scenarios
from brightrun.services.slots import Rota, Slots
from brightrun.services.spending import Spending
from brightrun.services.spool import Spool
from brightrun.services.steps import Steps
from brightrun.services.templates import Templates
from brightrun.writers.claude import ClaudeWriter
from tests.messages_api import KEY

PART_ITEMS = 4
Reached = Callable[[str], None]


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


class Transport:
    """The real transport, with a point on either side of each function."""

    def __init__(self, inner: PostgresTransport, reached: Reached) -> None:
        self._inner = inner
        self._reached = reached

    def call(self, function: Function, params: Mapping[str, Any]) -> Any:
        self._reached(f"before {function.name}")
        value = self._inner.call(function, params)
        self._reached(f"after {function.name}")
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Bucket(LocalBucket):
    """The real bucket, with points around each kind of object, and while one gets its name."""

    def __init__(self, root: Path, name: str, reached: Reached, label: str, *, down: bool = False) -> None:
        super().__init__(root, name)
        self._reached = reached
        self._label = label
        self._down = down

    def put(self, key: str, data: bytes, *, overwrite: bool = False, durable: bool = True) -> None:
        point = self._point(key)
        self._reached(f"before {point}")
        if self._down and point != "probe":  # it went down after the probe, while the call was out
            raise StorageFault("The store is down.", bucket=self.name, key=key)
        super().put(key, data, overwrite=overwrite, durable=durable)
        self._reached(f"after {point}")

    def delete(self, key: str) -> None:
        self._reached(f"before deleting {self._point(key)}")
        super().delete(key)

    @contextmanager
    def _only_once(self, key: str) -> Iterator[None]:
        self._reached(f"written {self._point(key)}")
        with super()._only_once(key):
            yield
        self._reached(f"named {self._point(key)}")

    def _point(self, key: str) -> str:
        kind = key.split("/")[0] if self._label == "store" else ""
        return f"{self._label} {kind}".strip() if not key.startswith("check-") else "probe"


class Writer(ClaudeWriter):
    """The real writer, with points around the call and around reading."""

    def __init__(self, url: str, reached: Reached, in_call: bool) -> None:
        super().__init__(KEY, url, timeout=10)
        self._reached = reached
        self._in_call = in_call
        self._url = url

    def write(self, order: Order) -> RawAnswer:
        self._reached("before the call")
        if self._in_call:
            threading.Thread(target=self._die_once_called, daemon=True).start()
        raw = super().write(order)
        self._reached("after the call")
        return raw

    def begin(self, order: Order, told: Callable[[RawAnswer | Exception], object]) -> None:
        self._reached("before the call")
        if self._in_call:
            threading.Thread(target=self._die_once_called, daemon=True).start()

        def ended(came: RawAnswer | Exception) -> None:
            if isinstance(came, RawAnswer):
                self._reached("after the call")
            told(came)

        super().begin(order, ended)

    def submit(self, orders: Sequence[tuple[ItemId, Order]]) -> Remote:
        self._reached("before the hand-over")
        remote = super().submit(orders)
        self._reached("after the hand-over")
        return remote

    def look(self, remote_id: str) -> Remote:
        self._reached("before a look")
        return super().look(remote_id)

    def results(self, remote_id: str) -> Iterator[Result | bytes]:
        self._reached("before the results")
        for number, line in enumerate(super().results(remote_id), start=1):
            self._reached(f"result {number}")
            yield line

    def _die_once_called(self) -> None:
        """Die when the server has the request, which it answers later than it tells of it."""
        while not any(entry["number"] for entry in httpx.get(f"{self._url}/journal").json()["requests"]):
            time.sleep(0.01)
        die()

    def read(self, body: bytes) -> Answer:
        self._reached("before parsing")
        answer = super().read(body)
        self._reached("after parsing")
        return answer


def steps(
    dsn: str, home: Path, url: str, reached: Reached, *, lease: float, in_call: bool, store_down: bool
) -> Steps:
    """Assemble the use case on wrapped adapters, as bootstrap does on bare ones."""
    db = saol.Database(Transport(PostgresTransport(dsn), reached))
    files = Bucket(home / "buckets", CONVERSATION_FILES, reached, "store", down=store_down)
    local = Bucket(home / "spool", CONVERSATION_FILES, reached, "spool")
    logs = Bucket(home / "buckets", BATCH_LOGS, reached, "log")
    writer = Writer(url, reached, in_call)
    templates, scenarios = Templates(db), Scenarios(db)
    spool = Spool(files, local, pause=lambda _: None)
    spending = Spending(db)
    answers = Answers(templates, scenarios, files, lambda _: writer.read, spending)
    judging = Judging(db, scenarios, Estimator(db, lambda _: writer), spending, lambda _: writer.read)
    pace = Pace(db)
    generation = Generation(
        Errands(answers, judging),
        spool,
        lambda _: writer,
        spending,
        pace,
        retry_base=0.05,
        lease_margin=lease,
    )
    parts = Parts(
        db,
        generation,
        spool,
        lambda _: writer,
        lease_seconds=lease,
        lease_margin=lease,
        look_seconds=0.05,
        most=PART_ITEMS,
    )
    return Steps(db, generation, pace, parts, Logs(db, logs), lease_seconds=lease)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("point")
    parser.add_argument("job", type=JobId)
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--lease", type=float, default=60.0)
    parser.add_argument("--store-down", action="store_true")
    parser.add_argument("--slots", type=int, default=0)
    given = parser.parse_args()

    def reached(point: str) -> None:
        if point == given.point:
            die()

    def told(step: Step) -> None:
        if step.outcome in (StepOutcome.DONE, StepOutcome.PAUSED):
            raise SystemExit(f"the point {given.point!r} was never reached: {step.outcome}")

    work = steps(
        given.dsn,
        given.home,
        given.url,
        reached,
        lease=given.lease,
        in_call=given.point == "in the call",
        store_down=given.store_down,
    )
    if given.slots:
        Slots(work, Rota(lambda: [OpenJob(given.job, 0)]), tell=told).run(given.slots)
    while True:
        step = work.next(given.job)
        told(step)
        time.sleep(min(step.again_in, 0.1))


if __name__ == "__main__":
    main()
