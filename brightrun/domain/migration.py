"""What proves that an installation has moved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proof:
    """One table or bucket on both sides: how many, and a hash over all of it."""

    name: str
    number: int
    arrived: int
    hash: str
    arrived_hash: str

    @property
    def is_equal(self) -> bool:
        return (self.number, self.hash) == (self.arrived, self.arrived_hash)
