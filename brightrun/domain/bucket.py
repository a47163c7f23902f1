"""The seam to object storage: named buckets of bytes under keys built from UUIDs."""

from __future__ import annotations

from typing import Protocol

CONVERSATION_FILES = "conversation-files"
BATCH_LOGS = "batch-logs"
BUCKETS = (CONVERSATION_FILES, BATCH_LOGS)


class Bucket(Protocol):
    """One bucket; every method raises StorageFault when the store cannot be reached."""

    @property
    def name(self) -> str: ...

    def put(self, key: str, data: bytes, *, overwrite: bool = False, durable: bool = True) -> None:
        """Store bytes whole or not at all; raises ObjectExists unless `overwrite`.

        `durable=False` skips the wait for the disk: for objects that can be derived again.
        """
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
