"""A limit on calls a minute as the Messages API keeps it: a bucket that fills by itself, told in every header."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Allowance:
    """So many calls a minute; `at_once` of them may come in one moment."""

    requests: int
    at_once: int
    refused: int = 0
    _left: float = field(init=False)
    _at: float = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._left, self._at = float(self.at_once), time.monotonic()

    def take(self) -> bool:
        """Take a call where one is left."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self.at_once, self._left + (now - self._at) * self.requests / 60)
            self._at = now
            if self._left < 1:
                self.refused += 1
                return False
            self._left -= 1
            return True

    @property
    def headers(self) -> dict[str, str]:
        return {
            "anthropic-ratelimit-requests-limit": str(self.requests),
            "anthropic-ratelimit-requests-remaining": str(max(0, math.floor(self._left))),
        }
