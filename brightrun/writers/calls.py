"""Many calls out from one thread: an event loop of its own, and a deadline for each call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from brightrun.writers.deadline import ON_TIME_SECONDS, UNREAD_SECONDS, DeadlinePassed

T = TypeVar("T")
Call = Coroutine[Any, Any, T]


class Calls:
    """An event loop in a thread, made when it is first needed; safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        """A loop itself keeps nothing alive that waits."""

    def begin(self, call: Call[T], told: Callable[[T | Exception], object]) -> None:
        """Begin a call and return at once; `told` is called from the loop's thread with what it ended in."""
        self._running().call_soon_threadsafe(self._start, call, told)

    def close(self, last: Callable[[], Call[object]]) -> None:
        """Give up what is out, and do a last thing where the loop was ever needed."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            asyncio.run_coroutine_threadsafe(_end(last), loop).result()
            loop.call_soon_threadsafe(loop.stop)

    def _start(self, call: Call[T], told: Callable[[T | Exception], object]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(partial(_tell, told))

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(loop,), name="calls", daemon=True).start()
                self._loop = loop  # only once it runs: on one that does not, every call would wait for ever
            return self._loop


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """Raise DeadlinePassed after so many seconds, whatever the other side does with each of its bytes."""
    loop = asyncio.get_running_loop()
    due = loop.time() + seconds

    def pass_by() -> None:
        """Let what arrived while this process stood still be read."""
        stood_still = loop.time() - due > ON_TIME_SECONDS
        limit.reschedule(loop.time() + (UNREAD_SECONDS if stood_still else 0.0))

    timer = loop.call_at(due, pass_by)
    try:
        async with asyncio.timeout(None) as limit:
            yield
    except TimeoutError:
        if limit.expired():
            raise DeadlinePassed from None
        raise
    finally:
        timer.cancel()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()


async def _end(last: Callable[[], Call[object]]) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await last()


def _tell(told: Callable[[T | Exception], object], ended: asyncio.Task[T]) -> None:
    if ended.cancelled():
        told(ConnectionAbortedError("The call was given up."))
        return
    fault = ended.exception()
    told(fault if isinstance(fault, Exception) else ended.result())
