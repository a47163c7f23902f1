"""An embedded installation into a hosted one: rows, then files, then the proof of both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from brightrun import saol
from brightrun.domain.bucket import Bucket
from brightrun.domain.errors import NotAllowed, ObjectExists
from brightrun.domain.migration import Proof
from brightrun.services.spool import Spool

AT_ONCE = 8
"""Files on their way together."""
TOLD_EVERY = 1000

SCAFFOLDING = (
    *("personas", "emotional_arcs", "training_topics", "templates", "template_versions"),
    *("prices", "price_changes", "reject_reasons", "app_users", "app_roles"),
)
"""Tables that the seed fills: what they hold in a new project gives way to the installation's own."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How rows travel: `move` brings them, `prove` compares, `forget` removes the notes of the way."""

    move: Callable[[Callable[[str], None]], Iterable[Proof]]
    prove: Callable[[], Iterable[Proof]]
    forget: Callable[[], None]


class Migration:
    """Moves everything; started again after any break, it goes on where it stood."""

    def __init__(
        self, db: saol.Database, spool: Spool, rows: Rows, buckets: Sequence[tuple[Bucket, Bucket]]
    ) -> None:
        """`buckets` are pairs: from where, to where."""
        self._db = db
        self._spool = spool
        self._rows = rows
        self._buckets = buckets

    def run(self, tell: Callable[[str], None]) -> list[Proof]:
        """Bring everything and return the proofs; raises NotAllowed while something is still being written."""
        self._require_rest()
        found = list(self._rows.move(tell))
        for source, target in self._buckets:
            _bring(source, target, tell)
        found += [_prove(source, target) for source, target in self._buckets]
        if all(proof.is_equal for proof in found):
            self._rows.forget()
        return found

    def prove(self) -> list[Proof]:
        """Compare both sides as they are now."""
        return [*self._rows.prove(), *(_prove(source, target) for source, target in self._buckets)]

    def _require_rest(self) -> None:
        waiting = len(self._spool.waiting())
        if waiting:
            raise NotAllowed(
                f"{waiting} paid answers wait on this machine for the store.",
                remedy="Start Bright Run once, so that they are stored; then migrate.",
            )
        busy = saol.agent_count(self._db, "batch_items", where=[("status", "eq", "processing")]).total()
        if busy:
            raise NotAllowed(
                f"{busy} items are being written.",
                remedy="Close the app and stop the workers; if they were killed, process or cancel the batch first.",
            )


def _bring(source: Bucket, target: Bucket, tell: Callable[[str], None]) -> None:
    """Copy the files that are not there yet; each one arrives whole or not at all."""
    missing = sorted(set(source.list("")) - set(target.list("")))

    def copy(key: str) -> None:
        try:
            target.put(key, source.get(key))
        except ObjectExists:
            return  # an upload whose answer was lost; the proof reads it

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number, _ in enumerate(pool.map(copy, missing), 1):
            if number % TOLD_EVERY == 0 or number == len(missing):
                tell(f"{source.name}: {number} of {len(missing)} files")


def _prove(source: Bucket, target: Bucket) -> Proof:
    """Read every file on both sides."""
    (number, here), (arrived, there) = _digest(source), _digest(target)
    return Proof(f"bucket {source.name}", number, arrived, here, there)


def _digest(bucket: Bucket) -> tuple[int, str]:
    keys = bucket.list("")
    total = hashlib.sha256()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for key, digest in zip(keys, pool.map(lambda key: _hash(bucket.get(key)), keys), strict=True):
            total.update(f"{key} {digest}\n".encode())
    return len(keys), total.hexdigest()


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
