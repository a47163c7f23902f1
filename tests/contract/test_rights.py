"""Every action by every role, as a person with a login: once stopped by the policy, once by the database alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.errors import DatabaseFault, InvalidInput, NotAllowed
from brightrun.domain.formats import Format
from brightrun.domain.ids import ConversationId, JobId
from brightrun.domain.insight import Scope
from brightrun.domain.person import LOWEST, Action, Person, Role, may
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.domain.scaffolding import Kind, PersonaDraft
from brightrun.services.drafts import draft_of
from tests.fakes import scenarios

OPTIONS = JobOptions(WriterName.DEMO, "demo", 8000)


@pytest.fixture
def app(dsn: str, tmp_path: Path) -> Iterator[App]:
    """The server's own app, with one person of each role on its list and a finished batch."""
    opened = open_app(Settings(home=tmp_path, database_url=dsn, actor="server"))
    for role in Role:
        opened.people.add(person(role).email, role, actor="server")
    written(opened, 3)
    yield opened
    opened.close()


def person(role: Role) -> Person:
    return Person(f"{role}@example.org", role.title(), role)


def written(app: App, number: int) -> JobId:
    job = app.batches.create(app.planner.plan(scenarios(number), OPTIONS), name="Ready", actor="server")
    while app.batches.process_next(job.id).job.is_open:
        continue
    app.reviews.index_texts()
    return job.id


def any_job(app: App) -> JobId:
    return app.batches.page()[0].id


def rows(app: App) -> list[Seen]:
    return [
        Seen(ConversationId(row["id"]), row["row_version"]) for row in app.reviews.page(ConversationFilter())
    ]


def review(server: App, app: App, who: str) -> None:
    server.reviews.decide_matching(ConversationFilter(), Decision.NEEDS_REVISION, reviewer="server")
    verdict = app.reviews.decide(rows(server)[:1], Decision.REJECTED, reviewer=who, reason="Unsafe")
    assert app.reviews.undo(str(verdict.operation_id), reviewer=who)[0] == 1
    assert app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer=who).decided == 3
    assert server.reviews.history(rows(server)[0].id)[0].reviewer == who


def correct(server: App, app: App, who: str) -> None:
    found = rows(server)[0]
    app.corrections.correct(found.id, 1, f"Said otherwise {uuid4()}.", corrector=who)
    assert server.corrections.of(found.id)[-1].corrector == who


def save_view(server: App, app: App, who: str) -> None:
    app.views.save("Mine", {"status": "approved"}, person=who)
    app.views.forget("Mine")


def run_batch(server: App, app: App, who: str) -> None:
    job = app.batches.create(app.planner.plan(scenarios(2), OPTIONS), name="Asked for", actor=who)
    app.batches.pause(job.id, actor=who)
    app.batches.resume(job.id, actor=who)
    server.batches.process_next(job.id)
    app.batches.cancel(job.id, actor=who)
    assert server.batches.get(job.id).created_by == who
    assert who in server.batches.log_text(job.id)


def set_budget(server: App, app: App, who: str) -> None:
    job = server.batches.create(server.planner.plan(scenarios(2), OPTIONS), name="Open", actor="server")
    app.budgets.set(job.id, 5.0, actor=who)


def take(server: App, app: App, who: str) -> None:
    path = server.settings.home / "given.jsonl"
    turns = [{"role": "user", "content": f"Hello {uuid4()}"}, {"role": "assistant", "content": "Hello."}]
    path.write_text(json.dumps({"messages": turns}), encoding="utf-8")
    assert app.imports.take(path, actor=who).created_by == who


def reparse(server: App, app: App, who: str) -> None:
    assert len(list(app.reparsing.reparse_job(any_job(server), actor=who))) == 3


def enrich(server: App, app: App, who: str) -> None:
    app.enrichment.enrich(rows(server)[0].id)


def publish(server: App, app: App, who: str) -> None:
    template = server.templates.all()[0]
    draft = draft_of(template, template.version)
    made = app.templates.publish(
        draft.model_copy(update={"user_text": f"{draft.user_text} {uuid4()}"}), actor=who
    )
    app.templates.set_active(made.id, active=False)
    app.templates.set_active(made.id, active=True)


def edit_scaffolding(server: App, app: App, who: str) -> None:
    key = f"made_{uuid4().hex[:8]}"
    app.scaffolding.save(Kind.PERSONA, [PersonaDraft(persona_key=key, name="Made here")])
    app.scaffolding.offer(Kind.PERSONA, key, active=False)
    app.scaffolding.remove(Kind.PERSONA, key)


def freeze(server: App, app: App, who: str) -> None:
    server.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="server")
    frozen = app.datasets.freeze(ConversationFilter(), name="Kept", actor=who)
    assert app.datasets.report(frozen)["rows"] == 3
    assert server.datasets.get(frozen.id).created_by == who


def set_price(server: App, app: App, who: str) -> None:
    app.prices.save(replace(server.prices.all()[0], input_usd=9.75), actor=who)
    assert server.prices.history()[0].by == who


def set_reasons(server: App, app: App, who: str) -> None:
    app.reviews.set_reasons(server.reviews.reasons(), "Too long\nToo short")


def manage_people(server: App, app: App, who: str) -> None:
    app.people.add("new@example.org", Role.VIEWER, name="New", actor=who)
    app.people.set_role("new@example.org", Role.REVIEWER, actor=who)
    app.people.remove("new@example.org", actor=who)
    assert [change.after for change in server.people.history(limit=3)] == [None, Role.REVIEWER, Role.VIEWER]
    assert {change.changed_by for change in server.people.history(limit=3)} == {who}


def choose_columns(server: App, app: App, who: str) -> None:
    app.views.set_columns("review", ["name"], person=who)
    assert server.views.columns("review", ["name", "status"], person=who) == ["name"]


def push(server: App, app: App, who: str) -> None:
    server.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="server")
    frozen = server.datasets.freeze(ConversationFilter(), name="Handed on", actor="server")
    assert app.exports.upload(frozen)


def read(server: App, app: App, who: str) -> None:
    """What every page reads, among it what is worked out when it is first asked for."""
    job = any_job(server)
    found = rows(app)[0]
    server.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="server")
    frozen = server.datasets.freeze(ConversationFilter(), name="Looked at", actor="server")
    app.batches.progress(job)
    app.costs.of_job(job)
    app.costs.by_version()
    app.budgets.outlook(job)
    app.reviews.read(found.id)
    app.reviews.history(found.id)
    app.reviews.facets()
    app.reviews.count_statuses(ConversationFilter(text="the"))
    app.insight.decisions(Scope())
    app.insight.coverage(Scope())
    app.insight.reviewers(Scope())
    app.diversity.of_job(job)
    app.exports.write(frozen, Format.MESSAGES, server.settings.home / str(uuid4()))
    app.planner.plan(scenarios(2), OPTIONS)
    app.prices.in_force()
    app.templates.all(active_only=False)


DEEDS: dict[Action, Callable[[App, App, str], None]] = {
    Action.READ: read,
    Action.CHOOSE_COLUMNS: choose_columns,
    Action.REVIEW: review,
    Action.CORRECT: correct,
    Action.SAVE_VIEW: save_view,
    Action.RUN_BATCH: run_batch,
    Action.SET_BUDGET: set_budget,
    Action.IMPORT: take,
    Action.REPARSE: reparse,
    Action.ENRICH: enrich,
    Action.PUBLISH_TEMPLATE: publish,
    Action.EDIT_SCAFFOLDING: edit_scaffolding,
    Action.FREEZE_DATASET: freeze,
    Action.PUSH_DATASET: push,
    Action.SET_PRICE: set_price,
    Action.SET_REASONS: set_reasons,
    Action.MANAGE_PEOPLE: manage_people,
}
"""Each does one thing through the second app, as this person; the first app is the server's."""
BEYOND = {Action.PUSH_DATASET}
"""These write files alone, of which the database knows nothing."""


def test_every_action_has_a_lowest_role_and_a_deed_here() -> None:
    """An action that is added cannot be forgotten in the policy or in these tests."""
    assert set(LOWEST) == set(DEEDS) == set(Action)


@pytest.mark.parametrize("action", Action)
def test_a_role_does_what_it_may_and_is_told_what_it_may_not(app: App, action: Action) -> None:
    """Who may not is told so before anything has happened; who may succeeds under the database's own eyes."""
    for role in Role:
        who = person(role)
        acting = app.acting_as(who)
        assert acting.may(action) is may(role, action)
        if may(role, action):
            DEEDS[action](app, acting, who.email)
        else:
            with pytest.raises(NotAllowed, match=rf"{role.title()}s may not {action.value}") as caught:
                DEEDS[action](app, acting, who.email)
            assert LOWEST[action] in caught.value.remedy


@pytest.mark.parametrize("action", [action for action in Action if action not in BEYOND])
def test_the_database_stops_what_the_policy_let_through(app: App, action: Action) -> None:
    """Were a check missing here, with every role taken for an admin's, nothing would be done all the same."""
    for role in (role for role in Role if not may(role, action)):
        who = person(role)
        fooled = app.acting_as(replace(who, role=Role.ADMIN))
        with pytest.raises(DatabaseFault) as caught:
            DEEDS[action](app, fooled, who.email)
        assert caught.value.code == "ERR_SCHEMA_ACCESS_DENIED", caught.value
        assert "may not" in caught.value.message or "permission denied" in caught.value.message


def test_an_import_is_withdrawn_by_who_may_import(app: App) -> None:
    """People may delete no conversation; what takes an import back as a whole asks for the role itself."""
    take(app, app, "server")
    found = app.imports.page(limit=1)[0]
    for role in (Role.VIEWER, Role.REVIEWER):
        fooled = app.acting_as(replace(person(role), role=Role.ADMIN))
        with pytest.raises(DatabaseFault, match="may not withdraw imports"):
            fooled.imports.withdraw(found.id, actor=person(role).email)
    author = app.acting_as(person(Role.AUTHOR))
    assert author.imports.withdraw(found.id, actor=person(Role.AUTHOR).email) == 1
    assert found.id not in [one.id for one in app.imports.page()]


def test_a_person_cannot_act_under_another_name(app: App) -> None:
    """A decision carries the name of who made it, whatever the page believes."""
    reviewer = app.acting_as(person(Role.REVIEWER))
    with pytest.raises(DatabaseFault, match="row-level security"):
        reviewer.reviews.decide(rows(app)[:1], Decision.APPROVED, reviewer="viewer@example.org")
    assert app.reviews.history(rows(app)[0].id) == []


def test_a_changed_role_counts_for_the_app_that_is_open(app: App) -> None:
    """Who is taken off the list while a page stands open does nothing more with it."""
    author = app.acting_as(person(Role.AUTHOR))
    app.people.remove(person(Role.AUTHOR).email, actor="server")
    with pytest.raises(DatabaseFault, match="not on the list"):
        author.batches.pause(any_job(app), actor=person(Role.AUTHOR).email)


def test_the_last_admin_stays(app: App) -> None:
    """Nobody locks everybody out: another admin comes first."""
    with pytest.raises(NotAllowed, match="last admin"):
        app.people.remove(person(Role.ADMIN).email, actor="server")
    with pytest.raises(NotAllowed, match="last admin"):
        app.people.set_role(person(Role.ADMIN).email, Role.AUTHOR, actor="server")
    app.people.set_role(person(Role.AUTHOR).email, Role.ADMIN, actor="server")
    app.people.remove(person(Role.ADMIN).email, actor="server")
    assert [found.email for found in app.people.all() if found.role is Role.ADMIN] == [
        person(Role.AUTHOR).email
    ]


@pytest.mark.parametrize(
    "given", ["", "ana", "ana@", "@example.org", "a b@example.org", "a@b@c", "<x@example.org>"]
)
def test_what_is_no_address_is_not_taken(app: App, given: str) -> None:
    """A slip of the hand is told before it stands in the list."""
    with pytest.raises(InvalidInput, match="no e-mail address"):
        app.people.add(given, Role.VIEWER, actor="server")


def test_nothing_of_one_person_is_left_on_the_connection_of_the_next(app: App, dsn: str) -> None:
    """The connections are shared: after a person's statement, fault or not, the next is the server's own."""
    viewer = app.acting_as(person(Role.VIEWER))
    for _ in range(20):
        with pytest.raises(DatabaseFault):
            app.acting_as(replace(person(Role.VIEWER), role=Role.ADMIN)).people.all()
        assert viewer.reviews.count(ConversationFilter()) == 3
        assert app.people.all()
