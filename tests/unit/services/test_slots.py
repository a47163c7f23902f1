"""Slots: several items in hand at a time, whose turn it is, and when they stop."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import cycle, repeat
from math import inf
from pathlib import Path

import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import ItemStatus, Job, JobStatus, OpenJob, Step, StepOutcome, WriterName
from brightrun.domain.errors import (
    BrightRunError,
    DatabaseFault,
    InvalidInput,
    NotAllowed,
    WriterBusy,
    WriterRejected,
)
from brightrun.domain.ids import JobId
from brightrun.domain.limits import Limits
from brightrun.domain.writing import Order, RawAnswer
from brightrun.services.hands import Call, Hand, Writing
from brightrun.services.line import Line
from brightrun.services.pace import Pace
from brightrun.services.slots import Rota, Slots
from tests.fakes import ScriptedWriter, envelope, options, scenarios


def test_slots_write_every_item_once(app: App, start: Callable[..., Job]) -> None:
    """Eight slots on two jobs end both: each item is written by exactly one of them."""
    jobs = [start(12), start(5)]
    steps: list[Step] = []
    Slots(app.steps, Rota(app.batches.open_jobs), tell=steps.append).run(8)
    assert {app.batches.get(job.id).status for job in jobs} == {JobStatus.COMPLETED}
    written = [step.item_id for step in steps if step.outcome is StepOutcome.COMPLETED]
    assert len(written) == len(set(written)) == 17


def test_equals_share_and_the_urgent_come_first(app: App, start: Callable[..., Job]) -> None:
    """Of three jobs the urgent one is handed out alone; the other two take turns when it rests."""
    slow, other, urgent = start(3).id, start(3).id, start(3).id
    app.batches.prioritise(urgent, 5, actor="ana")
    now = [0.0]
    rota = Rota(app.batches.open_jobs, clock=lambda: now[0])
    assert {rota.next() for _ in range(4)} == {urgent}
    rota.stepped(urgent, Step(StepOutcome.WAIT, app.batches.get(urgent), again_in=9.0))
    assert Counter(rota.next() for _ in range(6)) == {slow: 3, other: 3}
    now[0] = 10.0
    assert rota.next() == urgent


def test_a_job_that_has_to_wait_is_waited_for() -> None:
    """Where nothing is due, the rota says for how long, and with no open job that there is none."""
    jobs = [OpenJob(JobId("a"), 0)]
    rota = Rota(lambda: jobs, clock=lambda: 100.0)
    assert rota.next() == "a"
    for _ in range(16):  # slots that met the same fault at the same time
        rota.failed(JobId("a"))
    assert rota.next() == pytest.approx(1.0)
    assert Rota(list, clock=lambda: 0.0).next() is None


def test_stopping_finishes_what_is_in_hand(app: App, start: Callable[..., Job]) -> None:
    """After a stop nothing new begins, and what was begun is kept; the job stays open."""
    job = start(40)
    crew = Slots(app.steps, Rota(app.batches.open_jobs), tell=lambda step: crew.stop())
    crew.run(4)
    now = app.batches.get(job.id)
    assert now.is_open
    assert now.counts.processing == 0
    assert 1 <= now.counts.completed <= 16, "8 that had come back, 4 that were out, 4 in line behind them"


def test_a_fault_that_no_waiting_mends_ends_the_work() -> None:
    """A database that refuses for good is told at once, by whatever slot met it."""

    class Refusing:
        at_once = 1

        def is_slow(self, job_id: JobId) -> bool:
            return False

        def next(self, job_id: JobId) -> Step:
            raise AssertionError("no job is slow")

        def hand_out(self, job_id: JobId, number: int) -> tuple[list[Hand], Step | None]:
            raise DatabaseFault("no such function", sqlstate="42883")

        def conclude(self, hands: Sequence[Hand]) -> list[Step | BrightRunError]:
            raise AssertionError("nothing was in hand")

    with pytest.raises(DatabaseFault, match="no such function"):
        Slots(Refusing(), Rota(lambda: [OpenJob(JobId("a"), 0)])).run(3)


def test_a_database_that_is_away_for_a_moment_is_waited_for(app: App, start: Callable[..., Job]) -> None:
    """Slots outlive a restart of the database, whether it meets them at the list of jobs or in a step."""
    job = start(3)
    told: list[BrightRunError] = []
    away = iter([True, False, True])

    def listed() -> list[OpenJob]:
        if next(away, False):
            raise DatabaseFault("restarting", sqlstate="57P01", is_transient=True)
        return app.batches.open_jobs()

    Slots(app.steps, Rota(listed), complain=told.append).run(1)
    assert app.batches.get(job.id).status is JobStatus.COMPLETED
    assert [fault.message for fault in told] == ["restarting"] * len(told)
    assert told


def test_a_priority_is_checked(app: App, start: Callable[..., Job]) -> None:
    """A number out of range, or an ended job, is refused with the reason."""
    job = start(1)
    with pytest.raises(InvalidInput, match="12"):
        app.batches.prioritise(job.id, 12, actor="ana")
    app.batches.cancel(job.id, actor="ana")
    with pytest.raises(NotAllowed, match="cancelled"):
        app.batches.prioritise(job.id, 1, actor="ana")


def test_a_limit_is_shared_by_processes(app: App) -> None:
    """What one process takes of a limit is gone for the other."""
    first, second = Pace(app.batches._db), Pace(app.batches._db)
    for pace in (first, second):
        pace.answered("m", Limits(requests=60))
    taken = 0
    while first.turn("m") == 0:
        taken += 1
        assert taken < 10
    assert taken >= 1
    assert second.turn("m") > 0


def test_a_turn_that_was_not_used_is_given_back(app: App) -> None:
    """An item that goes on from a stored answer costs nothing of the limit."""
    pace = Pace(app.batches._db)
    pace.answered("m", Limits(requests=60))
    for _ in range(20):
        assert pace.turn("m") == 0
        pace.give_back("m")


def test_slots_can_be_told_about_from_any_thread(app: App, start: Callable[..., Job]) -> None:
    """What a slot tells comes one at a time, so that a screen is never drawn by two."""
    start(10)
    inside, most, lock = [0], [0], threading.Lock()

    def tell(step: Step) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        with lock:
            inside[0] -= 1

    Slots(app.steps, Rota(app.batches.open_jobs), tell=tell).run(6)
    assert most[0] == 1


class Counted(ScriptedWriter):
    """Takes a while, and counts how many of its calls are out."""

    def __init__(self) -> None:
        super().__init__()
        self.out = self.most = 0
        self.lengths: Iterator[float] = repeat(0.03)

    def write(self, order: Order) -> RawAnswer:
        with self._lock:
            self.out += 1
            self.most = max(self.most, self.out)
            length = next(self.lengths)
        time.sleep(length)
        with self._lock:
            self.out -= 1
        return super().write(order)


class CountedCaller(Counted):
    """The same, but told of by itself."""

    def begin(self, order: Order, told: Callable[[RawAnswer | Exception], object]) -> None:
        threading.Thread(target=lambda: told(Call(self, order, inf).made())).start()


@pytest.fixture(params=[Counted, CountedCaller])
def counted(request: pytest.FixtureRequest) -> Counted:
    found: Counted = request.param()
    return found


@contextmanager
def opened(writer: ScriptedWriter, dsn: str, home: Path) -> Iterator[App]:
    """Lend an app whose Claude is a writer of ours."""
    settings = Settings(home=home, database_url=dsn, retry_base=0.01, actor="ana")  # type: ignore[arg-type]
    with closing(open_app(settings, writers={WriterName.CLAUDE: writer})) as app:
        yield app


@pytest.fixture
def with_counted(counted: Counted, dsn: str, tmp_path: Path) -> Iterator[App]:
    with opened(counted, dsn, tmp_path) as app:
        yield app


def started(app: App, number: int) -> Job:
    plan = app.planner.plan(scenarios(number), options(WriterName.CLAUDE))
    return app.batches.create(plan, name="counted", actor="ana")


def test_so_many_calls_are_out_and_no_more(with_counted: App, counted: Counted) -> None:
    """Slots are calls at a time: all of them are used, and what is recorded beside them takes none."""
    job = started(with_counted, 40)
    Slots(with_counted.steps, Rota(with_counted.batches.open_jobs)).run(4)
    assert with_counted.batches.get(job.id).counts.completed == 40
    assert (counted.most, counted.calls) == (4, 40)


def test_each_comes_to_its_own_end(with_counted: App, counted: Counted) -> None:
    """Of several that come back together, a fault of one is no other's: each is tried again, failed or completed."""
    for act in (
        WriterBusy("busy", code="overloaded", status=529, retry_after=0.01),
        envelope("no JSON at all"),
        RuntimeError("a mistake of ours"),
        None,
        envelope("{", "max_tokens"),
    ):
        counted.will(act)
    job = started(with_counted, 12)
    Slots(with_counted.steps, Rota(with_counted.batches.open_jobs)).run(4)
    ended = with_counted.batches.get(job.id)
    codes = {item.error_code for item in with_counted.batches.items(job.id, status=ItemStatus.FAILED)}
    assert (ended.counts.completed, ended.counts.failed) == (9, 3)
    assert len(codes) == 3
    assert "internal_error" in codes
    assert counted.calls == 13


@pytest.mark.parametrize("breaks", [ZeroDivisionError, SystemExit])
def test_what_is_out_is_kept_although_the_work_breaks_off(
    with_counted: App, counted: Counted, breaks: type[BaseException]
) -> None:
    """Where something unheard of happens, every answer that was paid for is still stored, and gone on from."""

    def tell(step: Step) -> None:
        raise breaks

    started(with_counted, 20)
    with pytest.raises(breaks):
        Slots(with_counted.steps, Rota(with_counted.batches.open_jobs), tell=tell).run(4)
    assert len(stored(with_counted)) == counted.calls >= 4


def test_who_asks_twice_to_stop_waits_for_no_call_and_loses_no_answer(
    with_counted: App, counted: Counted
) -> None:
    """What has come back by then is stored; what is out is left to whoever goes on."""
    bought: list[int] = []

    def tell(step: Step) -> None:
        until(lambda: counted.out == 0)  # all that were out have come back meanwhile
        bought.append(counted.calls)
        raise KeyboardInterrupt

    started(with_counted, 20)
    with pytest.raises(KeyboardInterrupt):
        Slots(with_counted.steps, Rota(with_counted.batches.open_jobs), tell=tell).run(4)
    assert len(stored(with_counted)) == bought[0] > 4


def test_answers_are_kept_while_something_else_takes_long(with_counted: App, counted: Counted) -> None:
    """A database that does not answer for a while keeps no answer from being stored."""
    kept: list[int] = []

    class Held:
        """Is held up when the first items are to be recorded, until whatever is out has come back and was kept."""

        at_once, is_slow, next = 1, with_counted.steps.is_slow, with_counted.steps.next
        hand_out = with_counted.steps.hand_out

        def conclude(self, hands: Sequence[Hand]) -> list[Step | BrightRunError]:
            if not kept:
                until(lambda: counted.out == 0 and len(stored(with_counted)) == counted.calls > 4)
                kept.append(counted.calls)
            return with_counted.steps.conclude(hands)

    job = started(with_counted, 20)
    Slots(Held(), Rota(with_counted.batches.open_jobs)).run(4)
    assert with_counted.batches.get(job.id).counts.completed == counted.calls == 20
    assert kept[0] > 4


def stored(app: App) -> list[Path]:
    return list((app.settings.home / "buckets").glob("conversation-files/raw/*/[!.]*.json"))


def until(happened: Callable[[], bool]) -> None:
    """Wait until something has happened, and was so for a moment."""
    for _ in range(1000):
        time.sleep(0.02)
        if happened():
            time.sleep(0.1)
            if happened():
                return
    raise AssertionError("it never happened")


@pytest.mark.parametrize(("lengths", "is_ahead"), [((0.45,), True), ((0.45, 0.75), False)])
def test_items_are_ready_before_calls_of_a_known_length_come_back(
    with_counted: App, counted: Counted, lengths: tuple[float, ...], is_ahead: bool
) -> None:
    """No slot waits for its next item where it is known when its call ends; elsewhere no item waits for a slot."""
    counted.lengths = cycle(lengths)
    in_hand: list[int] = []

    class Watched:
        at_once, is_slow, next = 1, with_counted.steps.is_slow, with_counted.steps.next
        conclude = with_counted.steps.conclude
        handed = 0

        def hand_out(self, job_id: JobId, number: int) -> tuple[list[Hand], Step | None]:
            hands, step = with_counted.steps.hand_out(job_id, number)
            self.handed += len(hands)
            in_hand.append(self.handed - counted.calls)
            return hands, step

    job = started(with_counted, 28)
    Slots(Watched(), Rota(with_counted.batches.open_jobs)).run(4)
    assert with_counted.batches.get(job.id).counts.completed == counted.calls == 28
    assert (max(in_hand) > 4) is is_ahead


def test_failures_that_are_not_in_a_row_pause_nothing(with_counted: App, counted: Counted) -> None:
    """Several that come back together are recorded in their order: a refusal now and then is no row of refusals."""
    job = started(with_counted, 9)
    hands, _ = with_counted.steps.hand_out(job.id, 9)
    for number, hand in enumerate(hands):
        counted.will(envelope("", "refusal") if number % 2 else None)
        assert hand.call
        hand.go_on(hand.call.made())
        hand.finish()
    with_counted.steps.conclude(hands)
    ended = with_counted.batches.get(job.id)
    assert (ended.status, ended.counts.failed, ended.pause_reason) == (JobStatus.COMPLETED, 4, None)


def test_a_call_that_waited_too_long_is_not_made(with_counted: App, counted: Counted) -> None:
    """Where too little of the lease is left when its turn comes, nothing is bought, and the item goes back."""
    job = started(with_counted, 1)
    (hand,), _ = with_counted.steps.hand_out(job.id, 1)
    assert hand.call
    hand.call = replace(hand.call, until=0.0)
    with ThreadPoolExecutor(1) as threads:
        line = Line(1, threads)
        line.add(hand)
        ((_, came),) = line.back(5)
    hand.go_on(came)
    (step,) = with_counted.steps.conclude([hand])
    assert isinstance(step, Step)
    assert step.outcome is StepOutcome.RETRY
    assert counted.calls == 0


class Exhausted(CountedCaller):
    """Cannot begin its first call: this machine has no file or thread left for it."""

    refused = False

    def begin(self, order: Order, told: Callable[[RawAnswer | Exception], object]) -> None:
        if not self.refused:
            self.refused = True
            raise OSError(24, "Too many open files")
        super().begin(order, told)


def test_a_call_that_cannot_be_begun_ends_its_item_and_holds_nobody(dsn: str, tmp_path: Path) -> None:
    """On a machine that is out of files the work goes on, or ends: it never waits for a call that is not out."""
    settings = Settings(home=tmp_path, database_url=dsn, actor="ana")  # type: ignore[arg-type]
    app = open_app(settings, writers={WriterName.CLAUDE: Exhausted()})
    job = started(app, 6)
    crew = Slots(app.steps, Rota(app.batches.open_jobs))
    working = threading.Thread(target=crew.run, args=(2,), daemon=True)
    working.start()
    working.join(30)
    assert not working.is_alive()
    counts = app.batches.get(job.id).counts
    assert (counts.completed, counts.failed, counts.processing) == (5, 1, 0)
    app.close()


LIMITED = WriterBusy("too many", code="rate_limit_error", status=429, retry_after=60.0)


@pytest.mark.parametrize("refusal", [LIMITED, WriterRejected("no such key", code="rejected", status=401)])
def test_no_more_is_called_for_once_a_refusal_holds_the_job_back(
    with_counted: App, counted: Counted, refusal: Exception
) -> None:
    """After a rate limit, or a rejected key, nothing leaves but what was out: the wait a server asks for is kept."""
    for _ in range(40):
        counted.will(refusal)
    started(with_counted, 40)
    crew = Slots(with_counted.steps, Rota(with_counted.batches.open_jobs), tell=lambda step: crew.stop())
    crew.run(4)
    assert counted.calls == 4


def test_what_is_refused_at_once_lets_no_others_wait_in_line(with_counted: App, counted: Counted) -> None:
    """A busy server refuses in no time and answers slowly: a call behind it would outlast a pause by that time."""
    for _ in range(4):
        counted.will(LIMITED)
    hands, _ = with_counted.steps.hand_out(started(with_counted, 4).id, 4)
    with ThreadPoolExecutor(4) as threads:
        line = Line(4, threads)
        for hand in hands:
            line.add(hand)
        while line.length:
            line.back(5)
        line.close()
    assert line.room == 4


class Gated(ScriptedWriter):
    """Answers once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.may = threading.Event(), threading.Event()

    def write(self, order: Order) -> RawAnswer:
        self.asked.set()
        assert self.may.wait(10)
        return super().write(order)


@pytest.fixture
def gated() -> Gated:
    return Gated()


@pytest.fixture
def with_gated(gated: Gated, dsn: str, tmp_path: Path) -> Iterator[App]:
    with opened(gated, dsn, tmp_path) as app:
        yield app


def test_what_waits_in_line_is_not_bought_by_who_has_left(with_gated: App, gated: Gated) -> None:
    """After a second Ctrl-C no call is made whose answer nobody would take."""
    hands, _ = with_gated.steps.hand_out(started(with_gated, 3).id, 3)
    with ThreadPoolExecutor(1) as threads:
        line = Line(1, threads)
        for hand in hands:
            line.add(hand)
        line.close()
        gated.may.set()
        assert len(line.back(5)) == 1
    assert gated.calls == 1


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_loses_no_answer_that_the_store_takes_long_for(
    with_gated: App, gated: Gated, tmp_path: Path
) -> None:
    """Where the store fails while somebody asks twice to stop, the answer is still kept on this machine."""
    job = started(with_gated, 1)
    in_the_way = tmp_path / "buckets" / "conversation-files" / "raw" / job.id
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.write_text("no folder")

    def ask() -> None:
        assert gated.asked.wait(10)
        gated.may.set()
        time.sleep(0.5)  # the store is tried for more than a second
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=ask).start()
    with pytest.raises(KeyboardInterrupt):
        Slots(with_gated.steps, Rota(with_gated.batches.open_jobs)).run(2)
    assert len(list((tmp_path / "spool").glob("conversation-files/raw/*/[!.]*.json"))) == gated.calls == 1


class Meeting:
    """Four items, each of whose answers waits to be kept for those of the others to be kept with it."""

    at_once = 1

    def __init__(self, app: App, job: Job, counted: Counted) -> None:
        hands, _ = app.steps.hand_out(job.id, 4)
        self._all = threading.Barrier(len(hands), timeout=60)
        self._left = [Hand(hand.claim, self._meeting(hand)) for hand in hands]
        for hand in self._left:
            hand.go_on()
        self._counted, self.is_slow, self.next = counted, app.steps.is_slow, app.steps.next
        self._app, self._job = app, job

    def hand_out(self, job_id: JobId, number: int) -> tuple[list[Hand], Step | None]:
        given, self._left = self._left, []
        if given:
            return given, None
        while self._counted.calls < 4 or self._counted.out:  # all four are back when they are taken
            time.sleep(0.01)
        time.sleep(1)  # a call that is over is still to be told by its thread, which a busy machine holds up
        return [], Step(StepOutcome.WAIT, self._app.batches.get(self._job.id), again_in=0.1)

    def conclude(self, hands: Sequence[Hand]) -> list[Step | BrightRunError]:
        return self._app.steps.conclude(hands)

    def _meeting(self, hand: Hand) -> Writing:
        came = yield hand.call
        self._all.wait()
        hand.go_on(came)
        yield None
        hand.finish()
        assert hand.result
        return hand.result


def test_answers_that_come_back_together_are_kept_at_the_same_time(
    with_counted: App, counted: Counted
) -> None:
    """A disk takes as long for one file as for a few, so none waits for another to be safe."""
    job = started(with_counted, 4)
    slots = Slots(Meeting(with_counted, job, counted), Rota(with_counted.batches.open_jobs))
    # A fifth is asked for before anything is taken back, and there the meeting waits until all four have come.
    slots.run(5)
    assert with_counted.batches.get(job.id).counts.completed == counted.calls == 4


class OneItem:
    """A job of one item: whoever asks for more of it before that is recorded is told to come again much later."""

    at_once = 1

    def __init__(self, hand: Hand, job: Job, ended: Job) -> None:
        self.left, self.job, self.ended, self.open = [hand], job, ended, [OpenJob(job.id, 0)]

    def is_slow(self, job_id: JobId) -> bool:
        return False

    def next(self, job_id: JobId) -> Step:
        raise AssertionError("no job is slow")

    def hand_out(self, job_id: JobId, number: int) -> tuple[list[Hand], Step | None]:
        given, self.left = self.left, []
        return given, None if given else Step(StepOutcome.WAIT, self.job, again_in=30.0)

    def conclude(self, hands: Sequence[Hand]) -> list[Step | BrightRunError]:
        self.open.clear()
        return [Step(StepOutcome.COMPLETED, self.ended)]


def test_the_end_of_the_last_item_is_the_end_of_the_work(with_counted: App, counted: Counted) -> None:
    """Nobody waits at the shell for a job that has ended: at its last item it was still told to wait for more."""

    def waited() -> float:
        job = started(with_counted, 1)
        (hand,), _ = with_counted.steps.hand_out(job.id, 1)
        worker = OneItem(hand, job, replace(job, status=JobStatus.COMPLETED))
        told: list[float] = []
        Slots(worker, Rota(lambda: worker.open), tell=lambda step: told.append(time.monotonic())).run(2)
        return time.monotonic() - told[-1]

    assert min(waited() for _ in range(3)) < 0.5, (
        "a machine that is busy otherwise is slow once, not each time"
    )
