"""How fast calls may leave: as fast as the writer's limits allow, for all slots, processes and machines together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from brightrun import saol
from brightrun.domain.limits import Limits
from brightrun.stores import limits as store

LOOK_SECONDS = 1.0
"""Another process may have learned a limit that this one has not met yet; so often that is looked for."""
NEWEST = 0.2
"""The weight of the newest call in what the next one is expected to use."""


@dataclass
class _Model:
    """What this process knows of one model, and what it has yet to tell the others."""

    limits: Limits = field(default_factory=Limits)
    input_tokens: float = 0.0
    output_tokens: float = 0.0
    told: dict[str, float] = field(default_factory=dict)
    looked: float = float("-inf")
    free_at: float = float("-inf")
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, amount: float) -> None:
        self.told[name] = self.told.get(name, 0.0) + amount


class Pace:
    """Hands out turns to call; safe between threads."""

    def __init__(self, db: saol.Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._clock = clock
        self._models: dict[str, _Model] = {}
        self._lock = threading.Lock()

    def turn(self, model: str) -> float:
        """Take a turn to call a model; returns the seconds to wait where it is not time yet, and nothing is taken."""
        known = self._model(model)
        with known.lock:
            now = self._clock()
            if now < known.free_at:
                return known.free_at - now
            if not known.limits and not known.told and now - known.looked < LOOK_SECONDS:
                return 0.0
            told, known.told = known.told, {}
            try:
                wait = store.take_turn(
                    self._db,
                    model,
                    input_tokens=known.input_tokens,
                    output_tokens=known.output_tokens,
                    told=told,
                )
            except BaseException:
                known.told = told | known.told
                raise
            known.looked = self._clock()
            known.free_at = known.looked + wait
            return wait

    def give_back(self, model: str) -> None:
        """Give a turn back that no call was made with."""
        known = self._model(model)
        with known.lock:
            if known.limits:
                known.add("more_requests", -1)
                known.add("more_input", -known.input_tokens)
                known.add("more_output", -known.output_tokens)

    def answered(self, model: str, limits: Limits) -> None:
        """Note what a response says is allowed."""
        known = self._model(model)
        with known.lock:
            if limits and limits != known.limits:
                known.limits = limits
                known.told |= {name: value for name, value in asdict(limits).items() if value}

    def refused(self, model: str) -> None:
        """Note that a call was turned away: too many came in one moment."""
        known = self._model(model)
        with known.lock:
            known.told["refused"] = 1.0

    def used(self, model: str, input_tokens: int, output_tokens: int) -> None:
        """Note what a call used, beside what was taken for it."""
        known = self._model(model)
        with known.lock:
            if known.limits:
                known.add("more_input", input_tokens - known.input_tokens)
                known.add("more_output", output_tokens - known.output_tokens)
            known.input_tokens = mean(known.input_tokens, input_tokens)
            known.output_tokens = mean(known.output_tokens, output_tokens)

    def _model(self, name: str) -> _Model:
        known = self._models.get(name)
        if known is not None:
            return known
        with self._lock:
            return self._models.setdefault(name, _Model())


def mean(before: float, newest: float) -> float:
    """Return a mean in which the newest value weighs most; 0 before there was one."""
    return newest if not before else before + NEWEST * (newest - before)
