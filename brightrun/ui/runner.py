"""Lets a job advance while its page is open, without a script thread ever waiting on a paid call."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import streamlit as st

from brightrun.config import RunnerMode
from brightrun.domain.batch import Step
from brightrun.domain.errors import BrightRunError
from brightrun.domain.ids import JobId
from brightrun.ui.session import server_app

MOST_SLOTS = 16
"""Of one batch on a page: more belong to the shell, where no browser has to stay open."""
WORKERS = 32
LONGEST_PAUSE = 30.0
QUICK_SECONDS = 0.5
SLOW_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Track:
    """What is known here about one job's steps."""

    futures: list[Future[None]] = field(default_factory=list)
    fault: BrightRunError | None = None
    faults_in_a_row: int = 0
    not_before: float = 0.0
    is_quick: bool = False


class Runner:
    """So many steps a job at a time as the page asks for; the database keeps processes apart.

    Nothing here calls Streamlit from a thread, and nothing runs on its own: every step is asked for by the
    tick of an open page.
    """

    def __init__(
        self,
        process_next: Callable[[JobId], Step],
        mode: RunnerMode,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._process_next = process_next
        self._mode = mode
        self._clock = clock
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="brightrun-step")
        self._tracks: dict[JobId, _Track] = {}
        self._lock = threading.Lock()

    def advance(self, job_id: JobId, slots: int = 1) -> int:
        """Start a step in each slot that is free, unless it is too early; returns how many were started."""
        with self._lock:
            track = self._tracks.setdefault(job_id, _Track())
            free = slots - _running(track)
            if free < 1 or self._clock() < track.not_before:
                return 0
            if self._mode is RunnerMode.THREAD:
                track.futures += [self._pool.submit(self._step, job_id, track) for _ in range(free)]
                return free
            future: Future[None] = Future()
            track.futures.append(future)
        try:
            self._step(job_id, track)
        finally:
            future.set_result(None)
        return 1

    def busy(self, job_id: JobId) -> int:
        """Return how many steps of this job are under way in this process."""
        with self._lock:
            track = self._tracks.get(job_id)
            return _running(track) if track else 0

    def is_quick(self, job_id: JobId) -> bool:
        """Whether steps end so soon that a page should ask for the next one more often."""
        with self._lock:
            track = self._tracks.get(job_id)
            return track is not None and track.is_quick

    def last_error(self, job_id: JobId) -> BrightRunError | None:
        """Return why the last step could not be made; None when it could."""
        with self._lock:
            track = self._tracks.get(job_id)
            return track.fault if track else None

    def close(self) -> None:
        """Take no more steps; those under way end by themselves."""
        self._pool.shutdown(wait=False)

    def _step(self, job_id: JobId, track: _Track) -> None:
        began = self._clock()
        try:
            step = self._process_next(job_id)
        except BrightRunError as fault:
            self._failed(track, fault)
        except Exception as fault:  # a page must show any fault; a future would swallow it
            log.exception("job %s: a step met an unexpected fault", job_id)
            self._failed(track, BrightRunError(f"Unexpected fault: {type(fault).__name__}: {fault}"))
        else:
            self._done(track, step, self._clock() - began)

    def _done(self, track: _Track, step: Step, seconds: float) -> None:
        with self._lock:
            track.fault, track.faults_in_a_row = None, 0
            track.not_before = self._clock() + min(step.again_in, LONGEST_PAUSE)
            if step.item_id is not None:
                track.is_quick = seconds < (SLOW_SECONDS if track.is_quick else QUICK_SECONDS)

    def _failed(self, track: _Track, fault: BrightRunError) -> None:
        with self._lock:
            track.fault = fault
            track.faults_in_a_row += 1
            track.not_before = self._clock() + min(2.0**track.faults_in_a_row, LONGEST_PAUSE)


class Indexer:
    """Prepares texts to be searched, one thread of this process, while people read."""

    def __init__(self, index_texts: Callable[[], int]) -> None:
        self._index_texts = index_texts
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="brightrun-texts")
        self._lock = threading.Lock()
        self._future: Future[None] | None = None

    def wake(self) -> None:
        """Begin unless it is at work; whoever searches meanwhile misses nothing."""
        with self._lock:
            if self._future is None or self._future.done():
                self._future = self._pool.submit(self._work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _work(self) -> None:
        try:
            self._index_texts()
        except BrightRunError as fault:
            log.warning("texts wait to be indexed: %s", fault.message)


@st.cache_resource(show_spinner=False, on_release=Indexer.close)
def current_indexer() -> Indexer:
    """Return the one indexer of this process."""
    return Indexer(server_app().reviews.index_texts)


@st.cache_resource(show_spinner=False, on_release=Runner.close)
def current_runner() -> Runner:
    """Return the one runner of this process: steps are the server's, whoever asked for them."""
    app = server_app()
    return Runner(app.batches.process_next, app.settings.runner)


def _running(track: _Track) -> int:
    track.futures = [future for future in track.futures if not future.done()]
    return len(track.futures)
