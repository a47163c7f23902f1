"""The deeds a person, a worker and bad luck can do to jobs, in any order, and what must hold after each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from brightrun import saol
from brightrun.domain.batch import Claim, Job, JobStatus, StepOutcome, WriterName
from brightrun.domain.bucket import BATCH_LOGS, CONVERSATION_FILES
from brightrun.domain.errors import NotAllowed, StorageFault
from brightrun.domain.ids import JobId
from brightrun.domain.review import Decision, Seen
from brightrun.domain.scenario import Scenario, Tier
from brightrun.services.answers import Answers
from brightrun.services.batches import Batches
from brightrun.services.errands import Errands
from brightrun.services.estimates import Estimator
from brightrun.services.generation import Generation
from brightrun.services.hands import Hand, Result, uptime
from brightrun.services.judging import Judging
from brightrun.services.logs import Logs
from brightrun.services.pace import Pace
from brightrun.services.parts import Parts
from brightrun.services.plans import AUTO, Planner
from brightrun.services.previews import KEPT, Previews
from brightrun.services.reparsing import Reparsing
from brightrun.services.reviews import Reviews
from brightrun.services.scenarios import Scenarios
from brightrun.services.spending import Spending
from brightrun.services.spool import Spool
from brightrun.services.steps import Steps
from brightrun.services.templates import TemplateDraft, Templates
from brightrun.stores import batches as store
from tests.fakes import options
from tests.faults.fickle import DIES_READ, KINDS, WHOLE, Act, FickleBucket, FickleWriter, Gone

LEASE = 1000.0
ACTS = st.builds(
    Act,
    st.one_of(st.just(WHOLE), st.sampled_from(KINDS)),
    st.sampled_from([0.01, 0.1, 0.5, 1.0]),
)
FACTS = """
select j.id::text as id, j.status, j.preview, j.total_items, j.budget_usd, j.max_attempts, j.pause_reason, to_jsonb(c) as counts,
  (select jsonb_object_agg(status, n) from (
    select status, count(*) as n from batch_items where job_id = j.id group by 1) s) as by_status,
  (select jsonb_agg(jsonb_build_object('id', i.id, 'position', i.position, 'status', i.status, 'conversation', i.conversation_id,
      'attempts', i.attempts, 'is_as_asked', k.parameters = i.parameters and
        k.template_version_id = i.template_version_id, 'subject', i.parameters -> 'variables' ->> 'scenario', 'written', k.id,
      'cost', i.cost_usd,
      'ledger', (select jsonb_agg(to_jsonb(a) - 'request' order by a.number) from attempts a where a.item_id = i.id)))
    from batch_items i left join conversations k on k.item_id = i.id where i.job_id = j.id) as items
from batch_jobs j join batch_counts c on c.job_id = j.id where j.id = any(%s::uuid[])
"""
CONVERSATIONS = """
select id::text, status, row_version, md5(turns::text) from conversations where job_id = any(%s::uuid[])
"""
NEAR = 1e-6
ENDED = ("completed", "failed", "cancelled")
MOST_JOBS = 6


MISCOUNTED = """
select status, writer, model, template_version_id, flags, sum(number) from (
  select status, writer, model, template_version_id, flags, 1 as number from conversations
  union all
  select status, writer, model, template_version_id, flags, -number from conversation_kinds
) s group by 1, 2, 3, 4, 5 having sum(number) <> 0
"""
"""Kinds whose count is not that of their conversations."""
MISDECIDED = """
(select * from count_decisions('{}') except select * from count_decisions('{"since": "0001-01-01"}'))
union all
(select * from count_decisions('{"since": "0001-01-01"}') except select * from count_decisions('{}'))
"""
"""What is kept of decisions and is not what is there, or the other way round."""
MISPLANNED = """
(select * from count_plans('{}') except select * from count_plans('{"since": "0001-01-01"}'))
union all
(select * from count_plans('{"since": "0001-01-01"}') except select * from count_plans('{}'))
"""
"""What is kept of plans and is not what is there, or the other way round."""
MISADDED = """
with there as materialized (
  select f.figure, f.first, f.second, f.said, f.said_second, f.value, f.day, f.in_bulk, count(*)
  from count_figures(array(select id from conversations)) f group by 1, 2, 3, 4, 5, 6, 7, 8
), kept as materialized (select * from scoped_figures('{}')), ever as materialized (
  select * from scoped_figures('{"since": "0001-01-01"}'))
(select * from kept except select * from there) union all (select * from there except select * from kept)
union all (select * from ever except select * from there) union all (select * from there except select * from ever)
"""
"""What is kept of scores and reviewers and is not what conversations come to, or the other way round."""
MISTOTALLED = """
with kept as materialized (select * from total_jobs()), there as materialized (
  select * from count_jobs(array(select id from batch_jobs)))
(select * from kept except select * from there) union all (select * from there except select * from kept)
"""
"""What is kept of jobs and is not what they come to, or the other way round."""


class World:
    """One database, its services on fickle adapters, and what was seen in all runs together."""

    def __init__(self, dsn: str, home: Path) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.db = saol.connect_postgres(dsn)
        self.files = FickleBucket(home / "buckets", CONVERSATION_FILES)
        self.local = FickleBucket(home / "spool", CONVERSATION_FILES)
        self.writer = FickleWriter()
        self.templates, scenarios = Templates(self.db), Scenarios(self.db)
        self.spool = Spool(self.files, self.local, pause=lambda _: None)
        spending = Spending(self.db)
        answers = Answers(self.templates, scenarios, self.files, lambda _: self.writer.read, spending)
        estimator = Estimator(self.db, lambda _: self.writer)
        judging = Judging(self.db, scenarios, estimator, spending, lambda _: self.writer.read)
        self.pace = Pace(self.db)
        self.generation = Generation(
            Errands(answers, judging),
            self.spool,
            lambda _: self.writer,
            spending,
            self.pace,
            retry_base=60,
            lease_margin=60,
        )
        self.parts = Parts(
            self.db,
            self.generation,
            self.spool,
            lambda _: self.writer,
            lease_seconds=LEASE,
            lease_margin=60,
            look_seconds=60,
            most=100,
        )
        self.reparsing = Reparsing(self.db, answers, self.spool)
        self.planner = Planner(self.db, self.templates, scenarios, estimator)
        self.previews = Previews(self.db, self.planner, self.templates)
        self.reviews = Reviews(self.db)
        self.logs = Logs(self.db, FickleBucket(home / "buckets", BATCH_LOGS))
        self.steps = Steps(self.db, self.generation, self.pace, self.parts, self.logs, lease_seconds=LEASE)
        self.subjects = count(1)
        self.done: Counter[str] = Counter()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()
        self.connection.close()

    def batches(self, max_attempts: int, failures: int, refusals: int) -> Batches:
        return Batches(
            self.db,
            self.steps,
            self.logs,
            max_attempts=max_attempts,
            pause_after_failures=failures,
            pause_after_refusals=refusals,
        )

    def execute(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        found = self.connection.execute(query, values)  # type: ignore[arg-type]
        return found.fetchall() if found.description else []

    def summary(self, runs: int, steps: int, seed: int) -> str:
        listed = ", ".join(f"{number} {what}" for what, number in sorted(self.done.items()))
        return (
            f"\n{runs} runs of up to {steps} deeds (seed {seed}): {listed}; every invariant held after each"
        )


@dataclass
class Held:
    """A claim some worker is busy with, and what it has made of it so far."""

    batches: Batches
    claim: Claim
    leased_at: float
    result: Result | None = None


@dataclass
class Known:
    """One job of this run."""

    batches: Batches
    id: JobId
    subjects: dict[str, str] = field(default_factory=dict)


class Deeds(RuleBasedStateMachine):
    """One run: a few jobs, any number of workers."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.jobs: list[Known] = []
        self.held: list[Held] = []
        self.statuses: dict[str, str] = {}
        self.ended: dict[str, tuple[str, str | None]] = {}
        self.decided: dict[str, tuple[Any, ...]] = {}
        self.own_templates: list[str] = []
        self.calls: Counter[str] = Counter()
        world.writer.paid.clear()
        world.writer.understands_garble = False
        world.writer.before_call = self._about_to_call
        for bucket in (world.files, world.local):
            bucket.is_down = bucket.is_down_for_writing = False

    # What a person does.

    @initialize()
    def begin(self) -> None:
        self.create(3, None, 3, 5, 3, False, False, 0, None)

    @precondition(lambda self: len(self.jobs) < 3)
    @rule(
        items=st.integers(2, 6),
        budget=st.sampled_from([None, None, 0.05, 0.1, 0.3]),
        max_attempts=st.integers(1, 4),
        failures=st.integers(1, 4),
        refusals=st.integers(1, 3),
        stop_on_error=st.booleans(),
        retry_cut=st.booleans(),
        template=st.integers(0, 3),
        preview=st.sampled_from([None, None, 1, 2, 3]),
    )
    def create(
        self,
        items: int,
        budget: float | None,
        max_attempts: int,
        failures: int,
        refusals: int,
        stop_on_error: bool,
        retry_cut: bool,
        template: int,
        preview: int | None,
    ) -> None:
        world = self.world
        batches = world.batches(max_attempts, failures, refusals)
        scenarios = [
            Scenario(Tier.SCENARIO, variables={"scenario": f"Book table {next(world.subjects)}."})
            for _ in range(items)
        ]
        chosen = options(WriterName.CLAUDE, budget=budget, stop_on_error=stop_on_error, retry_cut=retry_cut)
        name = self.own_templates[template] if template < len(self.own_templates) else AUTO
        plan = world.planner.plan(scenarios, chosen, template=name)
        job = batches.create(plan, name="Any order", actor="ana", preview=preview)
        found = batches.items(job.id)
        self.jobs.append(
            Known(batches, job.id, {item.scenario.variables["scenario"]: item.id for item in found})
        )
        self._did("created")

    @rule(
        pick=st.integers(0, 2),
        deed=st.sampled_from(
            ["pause", "resume", "resume", "resume", "retry_failed", "retry_failed", "cancel"]
        ),
        sure=st.integers(0, 2),
    )
    def person(self, pick: int, deed: str, sure: int) -> None:
        if deed == "cancel" and sure:
            return
        if self._act(pick, deed) and deed == "retry_failed":
            for item in self._job(pick).subjects.values():
                if self.ended.get(item, ("", None))[0] == "failed":
                    del self.ended[item]

    @rule(pick=st.integers(0, 2), deed=st.sampled_from(["start", "one more", "adjust", "adjust"]))
    def preview(self, pick: int, deed: str) -> None:
        """Start what waits behind a preview, or one of it, or adjust all that has not begun."""
        job, previews = self._job(pick), self.world.previews
        try:
            if deed == "adjust":
                template = AUTO if pick else KEPT
                rest = previews.plan_rest(job.id, template=template, variables={"mood": "calm"}, turns=4)
                if not rest.items or rest.plan.problems:
                    return
                changed = previews.adjust(rest, actor="ana")
                self._did("adjusted" if changed == len(rest.items) else "adjusted but for what was asked")
            else:
                previews.start(job.id, actor="ana", more=1 if deed == "one more" else None)
                self._did(f"preview: {deed}")
        except NotAllowed:
            self._did(f"preview: was refused to {deed}")

    @rule(pick=st.integers(0, 2), decision=st.sampled_from([Decision.APPROVED, Decision.REJECTED]))
    def decide(self, pick: int, decision: Decision) -> None:
        rows = self.world.execute(
            "select id::text, row_version from conversations where job_id = %s and not has_blockers limit 1",
            self._job(pick).id,
        )
        if rows:
            self.world.reviews.decide([Seen(*rows[0])], decision, reviewer="ben")
            self._did("decided")

    @rule(pick=st.integers(0, 2), improved=st.booleans())
    def reparse(self, pick: int, improved: bool) -> None:
        """Read all answers of a job again, with the parser and rules as they are or better ones: nothing is called."""
        before = len(self.world.writer.paid)
        if improved:
            self.world.execute(
                "update conversations set quality_score = 1 where job_id = %s and status = 'pending_review'",
                self._job(pick).id,
            )
        self.world.writer.understands_garble = improved
        try:
            for done in self.world.reparsing.reparse_job(self._job(pick).id, actor="ana"):
                self._did(f"read again: {done.found.value}")
        except StorageFault:
            self._did("read again: the store is down")
        self.world.writer.understands_garble = False
        assert len(self.world.writer.paid) == before

    @rule(deed=st.sampled_from(["publish", "edit", "withdraw", "delete"]), pick=st.integers(0, 2))
    def template(self, deed: str, pick: int) -> None:
        templates, own = self.world.templates, self.own_templates
        if not own or (deed == "publish" and len(own) < 3):
            own.append(f"own_{next(self.world.subjects)}")
            templates.publish(_draft(own[-1]), actor="ana")
        elif deed == "delete":
            self._delete_template(own[pick % len(own)])
            return
        elif deed == "withdraw":
            template = templates.find(own[pick % len(own)])
            templates.set_active(template.id, active=not template.is_active)
        else:
            kind = f"Be kind, as ever {next(self.world.subjects)}."  # what has not changed is not published
            templates.publish(_draft(own[pick % len(own)], kind), actor="ana")
        self._did(f"template: {deed}")

    def _delete_template(self, key: str) -> None:
        """A template that items were planned with cannot go; one that none was planned with can."""
        template = self.world.templates.find(key)
        done = saol.agent_delete(self.world.db, "templates", where=[("id", "eq", template.id)], confirm=True)
        used = self.world.execute(
            "select 1 from batch_items i join template_versions v on v.id = i.template_version_id"
            " where v.template_id = %s limit 1",
            template.id,
        )
        assert done.success != bool(used), done.summary
        if done.success:
            self.own_templates.remove(key)
        self._did("template: deleted" if done.success else "template: refused to delete")

    # What workers do.

    @rule(pick=st.integers(0, 2), acts=st.lists(ACTS, min_size=1, max_size=4))
    def work(self, pick: int, acts: list[Act]) -> None:
        """A worker and a person who resumes whatever pauses."""
        job = self._busy(pick)
        for act in acts:
            if job.batches.get(job.id).status is JobStatus.PAUSED:
                self._act(self.jobs.index(job), "resume")
            if self._step(job, act) is StepOutcome.WAIT:
                self.leases_run_out(self.jobs.index(job))
            self.the_books_balance()
            self._wait(job)
            if job not in self._open():
                break

    @rule(pick=st.integers(0, 2), act=ACTS)
    def step(self, pick: int, act: Act) -> None:
        self._step(self._busy(pick), act)

    def _step(self, job: Known, act: Act) -> StepOutcome | None:
        self._prepare(act)
        try:
            step = job.batches.process_next(job.id)
        except Gone:
            self._did("crashed")
            return None
        finally:
            self._prepare(Act(WHOLE))  # what it did not come to is no matter of what comes next
        self._did(f"step {step.outcome.value}")
        return step.outcome

    @rule(pick=st.integers(0, 2), workers=st.integers(1, 3))
    def claim(self, pick: int, workers: int) -> None:
        job = self._busy(pick)
        leased_at = uptime()
        for answer in store.claim_several(self.world.db, job.id, ["host:1:1"] * workers, LEASE):
            claimed = store.claimed_of(answer, job.id)
            if isinstance(claimed, Claim):
                self.held.append(Held(job.batches, claimed, leased_at))
                self._did("claimed")

    @precondition(lambda self: any(held.result is None for held in self.held))
    @rule(act=ACTS)
    def write(self, act: Act) -> None:
        """Every worker that has claimed and not written yet writes."""
        for held in [held for held in self.held if held.result is None]:
            self._write(held, act)
            self.the_books_balance()

    def _write(self, held: Held, act: Act) -> None:
        self._prepare(act)
        try:
            hand = Hand(held.claim, self.world.generation.writing(held.claim, leased_at=held.leased_at))
            hand.finish()
            held.result = hand.result
        except Gone:
            self.held.remove(held)
            self._did("crashed")
        finally:
            self._prepare(Act(WHOLE))

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0, 5), act=ACTS)
    def finish(self, pick: int, act: Act) -> None:
        held = self.held[pick % len(self.held)]
        if held.result is None:
            self._write(held, act)
        if held.result is None:
            return  # it crashed
        self.held.remove(held)
        settled = self.world.steps._record(held.claim, held.result)
        self._did(f"finished: {settled.outcome}")

    # What time and bad luck do.

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0, 5))
    def crash(self, pick: int) -> None:
        del self.held[pick % len(self.held)]
        self._did("crashed")

    @rule(pick=st.integers(0, 2))
    def leases_run_out(self, pick: int) -> None:
        job = self._job(pick)
        self.world.execute(
            "update batch_items set lease_until = clock_timestamp() - interval '1 s'"
            " where job_id = %s and status = 'processing'",
            job.id,
        )
        for held in self.held:
            if held.claim.job_id == job.id:
                held.leased_at -= 2 * LEASE
        job.batches.get(job.id)
        self._did("leases ran out")

    @rule(pick=st.integers(0, 2))
    def time_passes(self, pick: int) -> None:
        self._wait(self._job(pick))

    @rule(how=st.sampled_from(["up", "up", "down", "down for writing"]))
    def store_goes(self, how: str) -> None:
        self.world.files.is_down = how == "down"
        self.world.files.is_down_for_writing = how == "down for writing"
        if how == "up":  # and the app is started again
            self.world.spool.upload()
            assert not self.world.spool.waiting()

    # What must hold.

    @invariant()
    def the_books_balance(self) -> None:
        paid: Counter[str] = Counter()
        for subject, cost in self.world.writer.paid:
            paid[subject] += cost  # type: ignore[assignment]
        for facts in self._facts():
            self._counts_add_up(facts)
            self._money_adds_up(facts, paid)
            for item in facts["items"]:
                if facts["preview"] is not None and item["position"] > facts["preview"]:
                    assert item["attempts"] == 0, "called behind a preview"
                self._one_conversation(facts, item)
                self._ledger_is_whole(item)

    @invariant()
    def kinds_are_counted(self) -> None:
        """What lists, counts, insight and templates show is what is there."""
        for wrong in (MISCOUNTED, MISDECIDED, MISPLANNED, MISADDED, MISTOTALLED):
            assert self.world.connection.execute(wrong).fetchall() == []

    @invariant()
    def decisions_stand(self) -> None:
        """What a person decided on is changed by nobody but a person."""
        rows = self.world.connection.execute(CONVERSATIONS, [[job.id for job in self.jobs]]).fetchall()
        for key, status, version, turns in rows:
            if status in ("approved", "rejected"):
                known = self.decided.get(key)
                if known and known[0] == status and known[1] == version:
                    assert known == (status, version, turns)
                self.decided[key] = (status, version, turns)

    def teardown(self) -> None:
        """Whatever happened: once the store is up and time passes, everything ends, and nothing is reserved."""
        world = self.world
        world.files.is_down = world.files.is_down_for_writing = False
        self.held.clear()
        for pick, job in enumerate(self.jobs):
            self._drive_to_its_end(pick, job)
        for key in self.own_templates:
            world.templates.set_active(world.templates.find(key).id, active=False)

    def _drive_to_its_end(self, pick: int, job: Known) -> None:
        self.leases_run_out(pick)
        for _ in range(60):
            self._prepare(Act(WHOLE))
            step = job.batches.process_next(job.id)
            if step.outcome is StepOutcome.DONE:
                break
            if step.outcome is StepOutcome.PAUSED:
                if "budget" in (step.job.pause_reason or ""):
                    break
                try:
                    if self.world.previews.is_over(step.job):
                        self.world.previews.start(job.id, actor="ana")
                    else:
                        job.batches.resume(job.id, actor="ana")
                except NotAllowed as refused:
                    if "budget" not in str(refused):
                        raise
                    break
            self._wait(job)
        else:
            raise AssertionError(f"stuck: {step}")
        self.the_books_balance()
        (facts,) = [facts for facts in self._facts() if facts["id"] == job.id]
        assert facts["counts"]["processing"] == 0
        assert float(facts["counts"]["reserved_usd"]) == 0
        assert facts["counts"]["queued"] == 0 or facts["status"] == "paused"
        self.world.spool.upload()  # as the next start does
        assert not self.world.spool.waiting()

    def _counts_add_up(self, facts: dict[str, Any]) -> None:
        counts, found = facts["counts"], facts["by_status"]
        for status in ("queued", "processing", "completed", "failed", "cancelled"):
            assert counts[status] == found.get(status, 0), (status, counts, found)
        assert sum(found.values()) == facts["total_items"]
        is_open = counts["queued"] + counts["processing"] > 0
        if facts["status"] in ("completed", "failed"):
            assert not is_open, "an ended job with open items"
            assert (facts["status"] == "completed") == (counts["completed"] > 0)
        if facts["status"] == "cancelled":
            assert counts["queued"] == 0
        if not is_open:
            assert facts["status"] in ("completed", "failed", "cancelled"), "a job that does not end"

    def _money_adds_up(self, facts: dict[str, Any], paid: Counter[str]) -> None:
        ledger = [attempt for item in facts["items"] for attempt in item["ledger"] or ()]
        counts = {name: float(facts["counts"][f"{name}_usd"]) for name in ("spent", "possible", "reserved")}
        by_usage = 0.0
        for name, column in (
            ("spent", "cost_usd"),
            ("possible", "possible_usd"),
            ("reserved", "reserved_usd"),
        ):
            assert abs(counts[name] - sum(float(a[column]) for a in ledger)) < NEAR, name
        for attempt in ledger:
            by_usage += attempt["input_tokens"] * 2e-6 + attempt["output_tokens"] * 10e-6
            assert attempt["outcome"] == "started" or float(attempt["reserved_usd"]) == 0
        assert counts["spent"] >= by_usage - NEAR, "less is counted than was used"
        whole = sum(counts.values())
        truly = sum(paid[item["subject"]] for item in facts["items"])
        assert truly <= whole + NEAR, f"{truly} was paid, {whole} is on record"
        if facts["budget_usd"] is not None:
            assert whole <= float(facts["budget_usd"]) + NEAR, "above the budget"

    def _one_conversation(self, facts: dict[str, Any], item: dict[str, Any]) -> None:
        assert item["conversation"] == item["written"]
        assert (item["status"] == "completed") == (item["written"] is not None)
        assert item["written"] is None or item["is_as_asked"], "read as something else than was asked"
        was = self.ended.get(item["id"])
        now = (item["status"], item["conversation"])
        if was and was[0] in ("completed", "cancelled"):
            assert now == was, f"an ended item changed: {was} to {now}"
        if was and was[0] == "failed":
            assert now[0] in ("failed", "completed")
        if item["status"] in ("completed", "failed", "cancelled"):
            self.ended[item["id"]] = now

    def _ledger_is_whole(self, item: dict[str, Any]) -> None:
        ledger = item["ledger"] or []
        assert [attempt["number"] for attempt in ledger] == list(range(1, item["attempts"] + 1))
        listed = sum(a["outcome"] in ("started", "stored", "failed", "unknown") for a in ledger)
        assert self.calls[item["subject"]] <= listed, "a call that the ledger does not list"
        if item["status"] == "completed":
            assert any(a["outcome"] == "stored" and not a["judged"] for a in ledger)

    def _about_to_call(self, subject: str) -> None:
        """Called at every call that may be paid for: no answer of the item may be waiting to be used."""
        (item,) = [job.subjects[subject] for job in self.jobs if subject in job.subjects]
        kept = [
            path
            for root in (self.world.files._folder, self.world.local._folder)
            for path in root.glob(f"raw/*/{item}-*.json")
        ]
        rows = self.world.execute("select number from attempts where item_id = %s and judged", item)
        judged = {number for (number,) in rows}
        unused = [path.name for path in kept if int(path.stem.rsplit("-", 1)[1]) not in judged]
        assert not unused, f"called although {unused} is stored"
        self.calls[subject] += 1

    def _prepare(self, act: Act) -> None:
        self.world.writer.act = act
        self.world.writer.dies_on_read = False
        self.world.files.dies_after = "final/" if act.kind == DIES_READ else None

    def _act(self, pick: int, deed: str) -> Job | None:
        job = self._job(pick)
        try:
            done: Job = getattr(job.batches, deed)(job.id, actor="ana")
        except NotAllowed:
            self._did(f"was refused to {deed}")
            return None
        self._did(deed)
        return done

    def _wait(self, job: Known) -> None:
        self.world.execute(
            "update batch_items set next_attempt_at = clock_timestamp() where job_id = %s and status = 'queued'"
            " and next_attempt_at is not null",
            job.id,
        )
        self.world.execute(
            "update batch_jobs set next_attempt_at = clock_timestamp() where id = %s"
            " and next_attempt_at is not null",
            job.id,
        )

    def _job(self, pick: int) -> Known:
        return self.jobs[pick % len(self.jobs)]

    def _busy(self, pick: int) -> Known:
        """Return a job with work left, and start one where there is none, as often as a run has time for."""
        if not self._open() and len(self.jobs) < MOST_JOBS:
            self.begin()
        busy = self._open() or self.jobs
        return busy[pick % len(busy)]

    def _open(self) -> list[Known]:
        return [job for job in self.jobs if self.statuses.get(job.id) not in ENDED]

    def _facts(self) -> list[dict[str, Any]]:
        cursor = self.world.connection.cursor(row_factory=psycopg.rows.dict_row)
        found = cursor.execute(FACTS, [[job.id for job in self.jobs]]).fetchall()
        self.statuses = {facts["id"]: facts["status"] for facts in found}
        return found

    def _did(self, what: str) -> None:
        self.world.done[what] += 1


def _draft(key: str, system: str = "You write conversations.") -> TemplateDraft:
    return TemplateDraft(
        template_key=key,
        name=key,
        tier=Tier.SCENARIO,
        rating=0,
        system_text=system,
        user_text="Write exactly {{ turns }} turns: {{ scenario }} {{ words_min }} to {{ words_max }} words.",
        required=("scenario",),
    )
