"""One process of a fleet: a procrastinate worker whose tasks each drain a job for a while.

The truth stays with the items: a task is only the permission to work at a job for some seconds, so the queue is
short, a lost task loses nothing, and every job that is open gets new ones from whichever process looks next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import procrastinate
from procrastinate.exceptions import AlreadyEnqueued, ProcrastinateException
from procrastinate.jobs import Status

from brightrun.domain.batch import OpenJob
from brightrun.domain.errors import BrightRunError, DatabaseFault
from brightrun.domain.ids import JobId
from brightrun.saol import full
from brightrun.saol.failures import UNREACHABLE

QUEUE = "drain"
SCHEMA = "procrastinate"
LOOK_SECONDS = 1.0
BEAT_SECONDS = 3.0
STALLED_SECONDS = 20.0
"""A process that has not been heard of for so long is gone, and what it was at is let go."""
REST_SECONDS = 3.0
"""How long a worker waits for a database that has failed it before it begins anew."""
BACK_SECONDS = 2.5 * BEAT_SECONDS
"""A database that has failed nothing for so long is back: a beat is written within it."""

log = logging.getLogger(__name__)


class Crew:
    """Runs until it is told to stop; what is in hand then is finished, the rest belongs to the others."""

    def __init__(
        self,
        dsn: str,
        *,
        slots: int,
        listed: Callable[[], Sequence[OpenJob]],
        drain: Callable[[JobId, threading.Event], None],
        beat: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """listed: the jobs that are open. drain: works at one for a while. beat: says that this process is alive.

        tell: hears in a sentence that the database fails the crew, once for as long as it does, and that it is back.
        """
        self._slots = slots
        self._listed = listed
        self._drain = drain
        self._beat = beat
        self._tell = tell
        self._failed_at: float | None = None
        self._stop = threading.Event()
        # Nothing is kept in a session but the schema's name, and nobody listens: poolers in session mode are fine.
        connector = procrastinate.PsycopgConnector(
            conninfo=dsn, kwargs={"options": f"-c search_path={SCHEMA}"}, min_size=1, max_size=4
        )
        self._app = procrastinate.App(connector=connector)
        self._task = self._app.task(name="drain", queue=QUEUE)(self._work)

    def stop(self) -> None:
        """Begin nothing more; may be called from any thread and from a signal's handler."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`, or a signal that asks for it; raises DatabaseFault where the queue cannot be opened."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(self._slots + 4, thread_name_prefix="brightrun-crew"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        async with self._opened():
            others = [
                asyncio.create_task(self._again(LOOK_SECONDS, self._look)),
                asyncio.create_task(self._again(BEAT_SECONDS, lambda: asyncio.to_thread(self._beat))),
                asyncio.create_task(self._again(STALLED_SECONDS / 2, self._let_go)),
            ]
            while not self._stop.is_set():
                await self._serve()
            for task in others:
                task.cancel()

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        """Hold the queue's connections, its tables made; raises DatabaseFault where that cannot be."""
        async with contextlib.AsyncExitStack() as closing:
            try:
                await closing.enter_async_context(self._app.open_async())
                await self._prepare()
            except ProcrastinateException as fault:
                raise _explained(fault) from fault
            yield

    async def _serve(self) -> None:
        """Let procrastinate's worker work until `stop`, or until the database fails it; then rest for a while."""
        worker = asyncio.create_task(
            self._app.run_worker_async(
                queues=[QUEUE],
                concurrency=self._slots,
                listen_notify=False,
                fetch_job_polling_interval=LOOK_SECONDS / 2,
                install_signal_handlers=False,
                delete_jobs="always",
                update_heartbeat_interval=BEAT_SECONDS,
                stalled_worker_timeout=STALLED_SECONDS,
            )
        )
        while not self._stop.is_set() and not worker.done():
            await asyncio.sleep(0.1)
            if self._failed_at is not None and time.monotonic() > self._failed_at + BACK_SECONDS:
                self._failed_at = None
                self._tell("The database is back, and the worker goes on.")
        worker.cancel()  # graceful: it waits for what is in hand, which has been told to stop
        try:
            await worker
        except asyncio.CancelledError:
            return
        except ProcrastinateException as fault:
            self._complain(_explained(fault))
        await self._rest()

    def _complain(self, fault: BrightRunError) -> None:
        log.warning("the crew goes on without: %s", fault)
        if self._stop.is_set() or not isinstance(fault, DatabaseFault):
            return
        if self._failed_at is None:
            self._tell(f"The worker waits for the database. {fault} Then it goes on by itself.")
        self._failed_at = time.monotonic()

    async def _rest(self) -> None:
        until = time.monotonic() + REST_SECONDS
        while not self._stop.is_set() and time.monotonic() < until:
            await asyncio.sleep(0.1)

    async def _prepare(self) -> None:
        """Make procrastinate's own tables, once, whoever comes first."""
        if await self._is_prepared():
            return
        script = self._app.schema_manager.get_schema().replace("%", "%%")
        begun = f"create schema if not exists {SCHEMA}; revoke all on schema {SCHEMA} from public; "
        try:
            await self._app.connector.execute_query_async(begun + script)
        except procrastinate.exceptions.ConnectorException:
            if not await self._is_prepared():  # else another process has just made them
                raise

    async def _is_prepared(self) -> bool:
        query = f"select to_regclass('{SCHEMA}.procrastinate_jobs') is not null as there"
        return bool((await self._app.connector.execute_query_one_async(query))["there"])

    async def _again(self, seconds: float, do: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await do()
            except BrightRunError as fault:
                self._complain(fault)
            except ProcrastinateException as fault:
                self._complain(_explained(fault))
            await asyncio.sleep(seconds)

    async def _look(self) -> None:
        """See that every open job has tasks waiting, one a slot at most."""
        jobs = await asyncio.to_thread(self._listed)
        if not jobs:
            return
        waiting = await self._app.job_manager.list_jobs_async(queue=QUEUE, status=Status.TODO.value)
        known = {job.queueing_lock for job in waiting}
        for job in jobs:
            for number in range(self._slots):
                lock = f"{job.id}:{number}"
                if lock not in known:
                    with contextlib.suppress(AlreadyEnqueued):  # another process was quicker
                        await self._task.configure(queueing_lock=lock, priority=job.priority).defer_async(
                            job_id=job.id
                        )

    async def _let_go(self) -> None:
        """End the tasks of processes that are gone; their items come back by their leases."""
        manager = self._app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS, queue=QUEUE):
            await manager.finish_job(job, status=Status.FAILED, delete_job=True)

    def _work(self, job_id: str) -> None:
        self._drain(JobId(job_id), self._stop)


def _explained(fault: ProcrastinateException) -> DatabaseFault:
    """Return what the database itself said, which procrastinate wraps in a sentence of its own."""
    cause = fault.__cause__ or fault
    said = " ".join((str(cause) or type(cause).__name__).split()).rstrip(".")
    if full.says_full(cause):
        return DatabaseFault(full.told(said, None), remedy=full.REMEDY, is_transient=True)
    return DatabaseFault(
        f"The queue cannot be used: {said}.", remedy=UNREACHABLE.remediation, is_transient=True
    )
