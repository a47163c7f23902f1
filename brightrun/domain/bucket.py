"""The seam to object storage: named buckets of bytes under keys built from UUIDs."""

from __future__ import annotations

from os import PathLike
from typing import Protocol

CONVERSATION_FILES = "conversation-files"
BATCH_LOGS = "batch-logs"
DATASET_FILES = "datasets"
BUCKETS = (CONVERSATION_FILES, BATCH_LOGS, DATASET_FILES)


class Bucket(Protocol):
    """One bucket; every method raises StorageFault when the store cannot be reached."""

    @property
    def name(self) -> str: ...

    def put(self, key: str, data: bytes, *, overwrite: bool = False, durable: bool = True) -> None:
        """Store bytes whole or not at all; raises ObjectExists unless `overwrite`.

        `durable=False` skips the wait for the disk: for objects that can be derived again.
        """
        ...

    def put_file(self, key: str, source: PathLike[str], *, overwrite: bool = False) -> None:
        """Store a file whole or not at all, without holding it in memory."""
        ...

    def get(self, key: str) -> bytes:
        """Return the bytes; raises ObjectMissing."""
        ...

    def exists(self, key: str) -> bool: ...

    def list(self, prefix: str) -> list[str]:
        """Return every key below a folder prefix, sorted, however many there are."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object; a missing one is no error."""
        ...

    def check(self) -> None:
        """Raise StorageFault, with the remedy, when the bucket cannot be written to."""
        ...


class Room(Protocol):
    """Space on this machine's disk for one object."""

    @property
    def handle(self) -> int:
        """The open file that holds it."""
        ...

    def close(self) -> None:
        """Give it back."""
        ...


class LocalBucket(Bucket, Protocol):
    """A bucket on this machine, which can hold room for an object before there is one."""

    def set_aside(self, size: int) -> Room | None:
        """Return so much room on the disk; None where its file system cannot hold any.

        Raises StorageFault where there is not that much.
        """
        ...

    def put_aside(self, key: str, data: bytes, room: Room) -> None:
        """Store an object in room that was set aside, which is used up by that; raises ObjectExists."""
        ...
