"""A worker process whose writer spends at random, up to the most a call can cost, and notes every true dollar."""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from brightrun.bootstrap import open_app
from brightrun.config import Settings
from brightrun.domain.batch import StepOutcome, WriterName
from brightrun.domain.errors import WriterBusy, WriterUncertain
from brightrun.domain.price import approximate_tokens
from brightrun.domain.writing import Order, RawAnswer
from tests.faults.fickle import INPUT_USD, OUTPUT_USD, FickleWriter
from tests.warm import FORKS, forked


class SpendingWriter(FickleWriter):
    """Most answers are whole; some are lost, cut or without usage, and some calls take their worker with them."""

    def __init__(self, journal: Path, chance: random.Random) -> None:
        super().__init__()
        self._journal = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._chance = chance

    def write(self, order: Order) -> RawAnswer:
        time.sleep(self._chance.uniform(0, 0.01))
        luck = self._chance.random()
        if luck < 0.05:
            raise WriterBusy("Overloaded.", code="overloaded", status=529)
        tokens = approximate_tokens(order.prompt.system + order.prompt.user)
        used = order.max_tokens if luck < 0.3 else self._chance.randint(1, order.max_tokens)
        usage = {"input_tokens": tokens, "output_tokens": used}
        cost = tokens * INPUT_USD + used * OUTPUT_USD
        subject = order.cast.scenario.variables["scenario"]
        os.write(self._journal, json.dumps([subject, cost]).encode() + b"\n")
        if 0.3 <= luck < 0.34:
            os.kill(os.getpid(), signal.SIGKILL)
        if 0.34 <= luck < 0.42:
            raise WriterUncertain("Timed out.", code="timeout")
        kind = "mute" if 0.42 <= luck < 0.47 else "cut" if 0.47 <= luck < 0.52 else "whole"
        return RawAnswer(self._body(order, kind, usage), "req_spender", 0.01)


class Spender:
    """One process that advances the jobs it is given; it may die over any of them."""

    def __init__(self, settings: Settings, journal: Path, said: Path, seed: str) -> None:
        self._here, there = FORKS.Pipe()
        self._process = forked("tests.warm.shell", serve, settings, journal, said, seed, there, daemon=True)
        there.close()

    def ask(self, job: str) -> None:
        self._here.send(job)

    def answer(self) -> str | None:
        """Return how the job ended for this worker; None when it died over it."""
        with suppress(EOFError, ConnectionResetError):
            return str(self._here.recv())
        self._process.join()
        assert self._process.exitcode == -signal.SIGKILL, self._process.exitcode
        return None

    def stop(self) -> None:
        self._here.close()
        self._process.join()


def serve(settings: Settings, journal: Path, said: Path, seed: str, there: Connection) -> None:
    """Open the app once, then advance one job after the other until nobody asks any more."""
    logging.basicConfig(filename=said, force=True)
    writer = SpendingWriter(journal, random.Random(seed))
    app = open_app(settings, writers={WriterName.CLAUDE: writer})
    with suppress(EOFError):
        while True:
            job = there.recv()
            while True:
                step = app.batches.process_next(job)
                if step.outcome in (StepOutcome.DONE, StepOutcome.PAUSED):
                    break
                time.sleep(min(step.again_in, 0.05))
            there.send(step.outcome.value)
    app.close()
