"""The log of a batch job: read as text, and written into its file."""

from __future__ import annotations

import logging

from brightrun import saol
from brightrun.domain.bucket import Bucket
from brightrun.domain.errors import DatabaseFault, StorageFault
from brightrun.domain.ids import JobId
from brightrun.stores import batches as store

log = logging.getLogger(__name__)


class Logs:
    """Writes a job's log whole each time, so that nothing of it is ever lost."""

    def __init__(self, db: saol.Database, files: Bucket) -> None:
        self._db = db
        self._files = files

    def text(self, job_id: JobId) -> str:
        """Return the log as text, `[time] message (call)` a line; raises NotFound."""
        store.view(self._db, job_id)
        return "".join(f"{line.text()}\n" for line in store.log_lines(self._db, job_id))

    def publish(self, job_id: JobId) -> None:
        """Write the log as it is now into its file in the bucket; raises StorageFault, and no line is lost."""
        self._files.put(f"{job_id}/log.txt", self.text(job_id).encode(), overwrite=True, durable=False)

    def follow(self, job_id: JobId) -> None:
        """Write the log's file after a step, which is not undone because that cannot be done."""
        try:
            self.publish(job_id)
        except (StorageFault, DatabaseFault) as fault:
            log.warning("the log of job %s could not be written: %s", job_id, fault)
