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
