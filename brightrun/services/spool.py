"""Raw answers kept: in the store, or on this machine until the store can take them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from brightrun.domain.bucket import Bucket, LocalBucket, Room
from brightrun.domain.conversation import MAX_ANSWER_BYTES
from brightrun.domain.errors import ObjectExists, ObjectMissing, StorageFault

STORE_TRIES = 4
PROVED_SECONDS = 1.0
"""How long the store counts as usable once it took something. Where it fails within, the answer goes to the room held
for it; and a probe before every call leaves so many deleted files that making one takes many times as long."""

SLOW_SECONDS = 0.5
FAILED_SECONDS = 0.02
"""How long a failure of the store is one of whoever asks next: of the others of the same round, for whose leases it might
take too long to wait for a store that hangs once for each of them."""

IDLE_SECONDS = 60.0
"""Room that nobody needed for so long is given back at the next call, but for one. Not sooner: where all answers of a round
have come back none is needed for a moment, and to make all of it anew each time makes every new file slow."""

log = logging.getLogger(__name__)


class Place:
    """Where one answer can be kept whatever happens while its call is out."""

    def __init__(self, room: Room | None) -> None:
        self.room = room


class Spool:
    """Shared by every process of this machine that works in the same data folder."""

    def __init__(
        self,
        files: Bucket,
        local: LocalBucket,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._files = files
        self._local = local
        self._pause = pause
        self._left_behind = False
        self._proved_at = float("-inf")
        self._hangs: StorageFault | None = None
        self._failed_at = float("-inf")
        self._lock = threading.Lock()
        self._rooms: list[Room] = []
        self._lent = 0
        self._lent_at = float("-inf")

    def require_store(self) -> None:
        """Raise StorageFault when an answer could not be kept: nothing may be paid for then."""
        now = self._clock()
        if now - self._proved_at <= PROVED_SECONDS:
            return
        if self._hangs and now - self._failed_at <= FAILED_SECONDS:
            raise self._hangs
        try:
            self._files.check()
        except StorageFault as fault:
            self._failed_at = self._clock()
            self._hangs = fault if self._failed_at - now > SLOW_SECONDS else None
            raise
        self._proved_at = self._clock()

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Hold room for the answer of a call: the disk may fill up while it is out, and the store go down as well.

        Raises StorageFault as `require_store` does, and where there is no such room.
        """
        self.require_store()
        with self._lock:
            if not self._lent and self._clock() - self._lent_at > IDLE_SECONDS:
                del self._rooms[1:]
            room = self._rooms.pop() if self._rooms else None
        lent = Place(room or self._local.set_aside(MAX_ANSWER_BYTES))
        with self._lock:
            self._lent += 1
        try:
            yield lent
        finally:
            with self._lock:
                self._lent -= 1
                self._lent_at = self._clock()
                if lent.room is not None:
                    self._rooms.append(lent.room)

    def keep(self, key: str, body: bytes, place: Place | None = None) -> bool:
        """Store an answer at its write-once key, and say whether the store took it.

        A failing store is tried again; then the answer stays on this machine, in its place where nothing else is
        left. Raises StorageFault when neither takes it.
        """
        tries = 1 if self._clock() - self._failed_at <= FAILED_SECONDS else STORE_TRIES
        for attempt in range(tries):
            try:
                self._files.put(key, body)
                self._proved_at = self._clock()
                self._follow_up()
                return True
            except ObjectExists:
                return True  # an upload that was answered too late
            except StorageFault as fault:
                self._proved_at, self._failed_at = float("-inf"), self._clock()
                log.warning("raw answer %s could not be stored (%s)", key, fault)
                if attempt + 1 < tries:
                    self._pause(0.2 * 2**attempt)
        with suppress(ObjectExists):
            self._keep_here(key, body, place)
        self._left_behind = True
        return False

    def find(self, key: str) -> bytes | None:
        """Return a kept answer, and upload it if it waited here; None where there is none.

        Raises StorageFault when the store cannot say.
        """
        with suppress(ObjectMissing):
            body = self._local.get(key)
            try:
                self._upload(key, body)
            except StorageFault as fault:
                log.warning("raw answer %s still waits on this machine (%s)", key, fault)
            return body
        with suppress(ObjectMissing):
            return self._files.get(key)
        return None

    def waiting(self) -> list[str]:
        """Return the keys of the answers that are only on this machine."""
        return self._local.list("")

    def upload(self) -> int:
        """Upload every answer that waits here and return how many; raises StorageFault at the first refusal."""
        keys = self.waiting()
        for key in keys:
            with suppress(ObjectMissing):  # another process was quicker
                self._upload(key, self._local.get(key))
        return len(keys)

    def _keep_here(self, key: str, body: bytes, place: Place | None) -> None:
        try:
            self._local.put(key, body)
        except ObjectExists:
            raise
        except StorageFault:
            if place is None or place.room is None:
                raise
            room, place.room = place.room, None
            self._local.put_aside(key, body, room)

    def _follow_up(self) -> None:
        """Now that the store takes answers again, upload what this process had to leave here."""
        if self._left_behind:
            self._left_behind = False
            try:
                self.upload()
            except StorageFault as fault:
                self._left_behind = True
                log.warning("answers still wait on this machine (%s)", fault)

    def _upload(self, key: str, body: bytes) -> None:
        try:
            self._files.put(key, body)
        except ObjectExists:
            log.info("spooled answer %s was stored already", key)
        self._local.delete(key)
