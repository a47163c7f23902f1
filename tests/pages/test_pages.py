"""Each page without a browser: what it says when empty, when something is wrong, and when it is used."""

from __future__ import annotations

import gc
import json
import time
from pathlib import Path
from urllib.parse import parse_qsl

import psycopg
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from brightrun.bootstrap import App
from brightrun.domain.batch import ItemStatus, Job, JobOptions, JobStatus, StepOutcome, WriterName
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.dataset import DatasetOptions, Split
from brightrun.domain.formats import Format
from brightrun.domain.part import Delivery
from brightrun.domain.person import Role
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.domain.scaffolding import Kind, key_of
from brightrun.services.drafts import own_variables
from tests.fakes import scenarios
from tests.pages.conftest import OpenPage


def said(page: AppTest) -> str:
    """Everything a page shows as text."""
    kinds = ("title", "subheader", "markdown", "caption", "text", "error", "warning", "info", "success")
    return "\n".join(str(element.value) for kind in kinds for element in page.get(kind))


def create(app: App, number: int = 3) -> Job:
    options = JobOptions(WriterName.DEMO, "demo", 8000)
    return app.batches.create(app.planner.plan(scenarios(number), options), name="Pages", actor="ana")


def write(app: App, number: int = 3) -> Job:
    job = create(app, number)
    while app.batches.process_next(job.id).job.is_open:
        time.sleep(0)
    return app.batches.get(job.id)


def approve(page: AppTest) -> Button:
    """The button that approves; its key names the rows it was drawn for."""
    return next(button for button in page.button if (button.key or "").startswith("decide-approved"))


def test_home_says_what_to_do_first(open_page: OpenPage) -> None:
    """An empty installation leads to the first batch and says that the demo writer is in use."""
    page = open_page()
    assert "No batch yet. The demo writer is free." in said(page)
    assert "Demo writer" in said(page)
    assert page.button(key="go-write").value is False


def test_a_collection_after_each_draw_passes_over_what_modules_are_made_of(open_page: OpenPage) -> None:
    """A draw does not end with a look at every object of the server: what stays until its end is set aside."""
    open_page()
    assert gc.get_freeze_count() > len(gc.get_objects())


def test_home_points_at_what_waits(open_page: OpenPage, app: App) -> None:
    """With conversations unread, home says how many and makes reviewing the next step."""
    write(app, 3)
    assert "3 conversations to read." in said(open_page())


def test_a_batch_runs_to_its_end_while_its_page_is_open(open_page: OpenPage, app: App) -> None:
    """Opening a queued batch starts it; each look advances it by at most one item, until nothing is left."""
    job = create(app, 3)
    page = open_page("batch", job=job.id)
    done = app.batches.get(job.id).counts.completed
    assert 1 <= done <= 2, "opening the page makes a step, and no more than one a run"
    for _ in range(12):
        if not app.batches.get(job.id).is_open:
            break
        before = app.batches.get(job.id).counts.completed
        page.run()
        assert app.batches.get(job.id).counts.completed - before <= 2
    page.run()
    assert app.batches.get(job.id).status is JobStatus.COMPLETED
    assert {m.label: m.value for m in page.metric}["Completed"] == "3"
    assert page.button(key="batch-pause").disabled


def test_an_unknown_batch_is_named_and_leads_back(open_page: OpenPage) -> None:
    """A cut-off address says so and offers the list; nothing breaks."""
    page = open_page("batch", job="00000000-0000-4000-8000-00000000dead")
    assert "This batch is not here" in said(page)


def test_cancelling_from_the_page_keeps_what_was_written(open_page: OpenPage, app: App) -> None:
    """Cancel asks first, then ends the batch at once; finished items stay."""
    job = create(app, 5)
    page = open_page("batch", job=job.id)
    page.button(key="batch-cancel").click().run()
    page.button(key="batch-cancel-confirmed").click().run()
    now = app.batches.get(job.id)
    assert now.status is JobStatus.CANCELLED
    assert now.counts.completed >= 1
    assert now.counts.completed + now.counts.cancelled == 5


def test_a_decision_applies_to_the_conversation_being_read(open_page: OpenPage, app: App) -> None:
    """With nothing selected, approve decides on the conversation beside the grid and moves on to the next."""
    write(app, 3)
    first, second, _ = app.reviews.page(ConversationFilter())
    page = open_page("review", id=first["id"])
    approve(page).click().run()
    assert app.reviews.read(first["id"]).status is ConversationStatus.APPROVED
    assert page.query_params["id"] in (second["id"], [second["id"]])
    page.button(key="undo").click().run()
    assert app.reviews.read(first["id"]).status is ConversationStatus.PENDING_REVIEW


def test_undoing_by_key_never_goes_back_past_a_correction(open_page: OpenPage, app: App) -> None:
    """Who presses U to take a correction back does not take back the decision before it, on something else."""
    write(app, 2)
    first, second = app.reviews.page(ConversationFilter())
    page = open_page("review", id=first["id"])
    approve(page).click().run()
    assert page.button(key="undo").label == "Undo “Approved: 1 conversation”"
    page.button(key="edit-1").click().run()
    page.text_area(key=f"edit-text-{second['id']}-1").set_value("Another beginning.")
    page.button(key="edit-save-1").click().run()
    assert app.reviews.read(second["id"]).turns[0].content == "Another beginning."
    assert not [button for button in page.button if button.key == "undo"]
    assert page.button(key="undo-earlier").label == "Undo “Approved: 1 conversation”", "a click still does"


def test_what_was_decided_is_taken_back_after_a_reload_too(open_page: OpenPage, app: App) -> None:
    """Whoever rejected the wrong ones and loaded the page again undoes that, and then what was decided before it."""
    write(app, 4)
    first, *rest = app.reviews.page(ConversationFilter())
    app.reviews.decide([Seen(first["id"], first["row_version"])], Decision.APPROVED, reviewer="ana")
    seen = [Seen(row["id"], row["row_version"]) for row in rest[:2]]
    app.reviews.decide(seen, Decision.REJECTED, reviewer="ana")
    app.reviews.decide([Seen(rest[2]["id"], rest[2]["row_version"])], Decision.REJECTED, reviewer="ben")
    page = open_page("review")
    assert not [button for button in page.button if button.key == "undo"], "the key U finds no other visit's"
    assert page.button(key="undo-earlier").label == "Undo “Rejected: 2 conversations”"
    page.button(key="undo-earlier").click().run()
    assert page.button(key="undo-earlier").label == "Undo “Approved: 1 conversation”"
    page.button(key="undo-earlier").click().run()
    assert not [button for button in page.button if (button.key or "").startswith("undo")]
    found = {row["id"]: row["status"] for row in app.reviews.page(ConversationFilter())}
    assert [found[row["id"]] for row in (first, *rest)] == ["pending_review"] * 3 + ["rejected"]


def test_an_address_is_read_as_the_shell_writes_it_or_told(open_page: OpenPage, app: App) -> None:
    """A link written by hand opens the list it names, and what it asks for in vain is said beside another list."""
    write(app, 3)
    row = app.reviews.page(ConversationFilter())[0]
    app.reviews.decide([Seen(row["id"], row["row_version"])], Decision.REJECTED, reviewer="ben")
    page = open_page("review", status="rejected", tier="scenario", approvable="yes")
    assert "1 conversation matches" in said(page)
    assert not page.warning
    page = open_page("review", status="foo")
    assert "asks for status “foo”, which is not there" in said(page)
    page.text_input(key="q").set_value("the").run()
    assert not page.warning, "it is told once"
    page = open_page("review", status="Any", score="7.5", turns_from="2", since="2020-01-31")
    assert not page.warning
    assert (page.slider(key="score").value, page.number_input(key="turns_from").value) == (7.5, 2)
    page = open_page("review", status="Any", most="99", turns_to="abc", until="2026-13-45")
    told = [warning.value for warning in page.warning]
    assert [each.split("“")[1].split("”")[0].replace("\\", "") for each in told] == [
        "99",
        "abc",
        "2026-13-45",
    ]


def test_what_is_not_offered_any_more_is_still_looked_for(open_page: OpenPage, app: App) -> None:
    """A view and an address list the few conversations of a persona that left the offer, and not all there are."""
    persona, other = app.scenarios.axes().personas[:2]
    arc = next(a.arc_key for a in app.scenarios.axes().arcs if a.category == "core")
    topics = [t.topic_key for t in app.scenarios.axes().topics[:2]]
    drawn = app.scenarios.product([persona.persona_key], [arc], topics)
    options = JobOptions(WriterName.DEMO, "demo", 8000)
    job = app.batches.create(app.planner.plan(drawn, options), name="Two", actor="ana")
    while app.batches.process_next(job.id).job.is_open:
        time.sleep(0)
    write(app, 3)
    app.scaffolding.offer(Kind.PERSONA, persona.persona_key, active=False)
    assert "2 conversations match" in said(open_page("review", persona=persona.persona_key))
    app.views.save("Hers", {"persona": persona.persona_key}, person="ana")
    app.views.save("Gone", {"persona": "nobody", "topic": topics[0]}, person="ana")
    page = open_page("review")
    assert "5 conversations match" in said(page)
    page.button(key="view-Hers").click().run()
    assert "2 conversations match" in said(page)
    assert not page.error
    page.button(key="view-Gone").click().run()
    assert "asks for persona 'nobody', which is not there any more" in said(page).replace("\\", "")
    assert "1 conversation matches" in said(page), "what is still there of the view counts"
    page = open_page("generate", persona=persona.persona_key, topic="nothing")
    told = said(page).replace("\\", "")
    assert f"The persona {persona.name} is not offered any more, and not chosen." in told
    assert "There is no topic nothing in the scaffolding." in told
    assert other.persona_key not in told


def test_a_second_reviewer_is_told_and_overwrites_nothing(open_page: OpenPage, app: App) -> None:
    """Who decides on a row that changed meanwhile hears who was first; the first decision stands."""
    write(app, 1)
    row = app.reviews.page(ConversationFilter())[0]
    page = open_page("review")
    app.reviews.decide_matching(ConversationFilter(), Decision.REJECTED, reviewer="ben")
    approve(page).click().run()
    assert app.reviews.read(row["id"]).status is ConversationStatus.REJECTED
    assert "ben" in said(page)


def test_a_cut_off_batch_in_the_address_never_means_all_batches(open_page: OpenPage, app: App) -> None:
    """Review of a batch that is not there offers nothing to decide on, and the way back to all."""
    write(app, 2)
    page = open_page("review", job="zzz")
    assert "is not a job id" in said(page)
    assert not [button for button in page.button if (button.key or "").startswith(("decide", "bulk"))]
    page.button(key="job-any").click().run()
    assert page.button(key="bulk").label == "Decide on all 2…"


def test_an_address_with_no_conversation_id_says_so(open_page: OpenPage, app: App) -> None:
    """A mangled address of a conversation is named in plain words; the list stands."""
    write(app, 1)
    assert "is not a conversation id" in said(open_page("review", id="nonsense"))


def test_nothing_approved_means_no_dataset(open_page: OpenPage, app: App) -> None:
    """Before anything is approved the page says why there is nothing to freeze, and where to go."""
    write(app, 1)
    assert "Nothing is approved yet" in said(open_page("datasets"))


def test_freezing_lists_the_dataset_with_its_demo_mark(open_page: OpenPage, app: App) -> None:
    """A frozen dataset appears with its version, its size and how much of it the demo writer made."""
    write(app, 2)
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    page = open_page("datasets")
    page.button(key="dataset-freeze").click().run()
    assert "approved v1" in said(page)
    assert app.datasets.all()[0].demo_count == 2


def test_two_datasets_that_say_the_same_are_called_so(open_page: OpenPage, app: App) -> None:
    """Whoever compares two equal datasets reads that they are, and how many conversations they share."""
    write(app, 2)
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    page = open_page("datasets")
    page.button(key="dataset-freeze").click().run()
    page = open_page("datasets")
    page.button(key="dataset-freeze").click().run()
    newest = app.datasets.all()[0]
    assert app.datasets.repeated(newest) is not None
    assert "both hold the same 2 conversations" in said(open_page("datasets", dataset=newest.id))


def test_a_file_is_offered_with_its_own_number_of_rows(open_page: OpenPage, app: App) -> None:
    """Whoever takes answers by the turn is told how many there are, not how many conversations."""
    write(app, 2)
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    options = DatasetOptions(validation=0)
    dataset = app.datasets.freeze(ConversationFilter(), name="rows", actor="ana", options=options)
    page = open_page("datasets", dataset=dataset.id)
    page.selectbox(key="format").set_value(Format.PROMPT_COMPLETION).run()
    turns = app.datasets.report(app.datasets.get(dataset.id))["assistant_turns"]
    assert f"One file holds {turns} rows, made of 2 train conversations." in said(page)
    page.selectbox(key="format").set_value(Format.MESSAGES).run()
    assert "One file holds 2 train rows." in said(page)


def test_one_side_of_a_split_is_a_file_of_its_own(open_page: OpenPage, app: App) -> None:
    """Whoever holds rows out takes those to train on and those to test with as files that do not mix them."""
    write(app, 8)
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    options = DatasetOptions(validation=0.5)
    dataset = app.datasets.freeze(ConversationFilter(), name="sides", actor="ana", options=options)
    page = open_page("datasets", dataset=dataset.id)
    assert "side" not in [box.key for box in page.selectbox]  # everything tells them apart already
    page.selectbox(key="format").set_value(Format.MESSAGES).run()
    assert "take one side at a time" in said(page)
    page.selectbox(key="side").set_value(Split.TRAIN).run()
    count = app.datasets.report(app.datasets.get(dataset.id))["splits"]["train"]
    assert f"One file holds {count} train row" in said(page)
    page.button(key="prepare").click().run()
    assert app.exports.ready(dataset, Format.MESSAGES, Split.TRAIN) is not None
    assert app.exports.ready(dataset, Format.MESSAGES) is None


def test_other_shares_than_before_are_said_to_move_what_was_trained_on(open_page: OpenPage, app: App) -> None:
    """Whoever freezes the next version with another split is told what that does to a model of the one before."""
    write(app, 2)
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    app.datasets.freeze(ConversationFilter(), name="approved", actor="ana")
    page = open_page("datasets")
    assert "had other shares" not in said(page)
    page.slider(key="dataset-test").set_value(20).run()
    assert "Version 1 had other shares (validation 10%, test 0%)" in said(page)
    page.text_input(key="dataset-name").set_value("another").run()
    assert "had other shares" not in said(page)


def test_labels_without_contrast_are_said_to_teach_nothing(open_page: OpenPage, app: App) -> None:
    """Whoever takes good answers alone for KTO is told before the download that rejected ones belong to it."""
    write(app, 3)
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    alone = app.datasets.freeze(ConversationFilter(), name="alone", actor="ana")
    worst = app.reviews.page(ConversationFilter())[0]
    app.reviews.decide([Seen(worst["id"], worst["row_version"])], Decision.REJECTED, reviewer="ana")
    both = app.datasets.freeze(ConversationFilter(), name="both", actor="ana", purpose=Format.KTO)
    for dataset, is_told in ((alone, True), (both, False)):
        page = open_page("datasets", dataset=dataset.id)
        page.selectbox(key="format").set_value(Format.KTO).run()
        assert ("Every row is labelled good" in said(page)) is is_told


def test_every_side_of_a_split_is_shown_beside_what_was_asked(open_page: OpenPage, app: App) -> None:
    """Whoever asked for a test side sees how many rows it got, and each side's share beside the one asked for."""
    write(app, 10)
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    asked = DatasetOptions(validation=0.2, test=0.3)
    dataset = app.datasets.freeze(ConversationFilter(), name="sides", actor="ana", options=asked)
    page = open_page("datasets", dataset=dataset.id)
    splits = app.datasets.report(app.datasets.get(dataset.id))["splits"]
    shown = {m.label: (m.value, m.delta) for m in page.metric}
    for side, share in (("train", 50), ("validation", 20), ("test", 30)):
        assert shown[side.capitalize()] == (str(splits[side]), f"{splits[side] / 10:.0%}, asked {share}%")
    whole = DatasetOptions(validation=0)
    undivided = app.datasets.freeze(ConversationFilter(), name="whole", actor="ana", options=whole)
    assert "Test" not in {m.label for m in open_page("datasets", dataset=undivided.id).metric}


def test_a_bulk_decision_is_narrowed_from_both_ends(open_page: OpenPage, app: App, dsn: str) -> None:
    """The bad ones can be rejected in one go, where before only the good ones could be picked out."""
    write(app, 4)
    poor = app.reviews.page(ConversationFilter())[2]["id"]
    with psycopg.connect(dsn) as connection:
        connection.execute("update conversations set quality_score = 4.2 where id = %s", (poor,))
    page = open_page("review")
    page.session_state["bulk-decision"] = Decision.REJECTED
    page.session_state["bulk-score"] = (0.0, 6.0)
    page.button(key="bulk").click().run()
    assert page.button(key="bulk-confirmed").label == "Reject: 1"
    assert "blocking finding" not in said(page)
    page.button(key="bulk").click()
    page.button(key="bulk-confirmed").click().run()
    assert app.reviews.read(poor).status is ConversationStatus.REJECTED
    assert app.reviews.count(ConversationFilter(status=ConversationStatus.PENDING_REVIEW)) == 3


def test_nothing_is_put_back_that_is_in_the_queue(open_page: OpenPage, app: App) -> None:
    """Where only what waits is listed, no button offers to let it wait; among the decided there is one."""
    write(app, 2)
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")

    def offers(page: AppTest) -> bool:
        return any((button.key or "").startswith("decide-pending_review") for button in page.button)

    assert offers(open_page("review", status="Approved"))
    write(app, 1)
    assert not offers(open_page("review"))


def test_every_dataset_can_be_reached_however_many_there_are(open_page: OpenPage, app: App) -> None:
    """The list goes on behind its first page, whose number stands in the address."""
    write(app, 1)
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    for number in range(21):
        app.datasets.freeze(ConversationFilter(), name=f"set {number}", actor="ana")
    first = said(open_page("datasets"))
    assert "21 datasets in all" in first
    assert "**set 20 v1**" in first
    assert "**set 0 v1**" not in first
    later = said(open_page("datasets", **{"datasets-page": "2"}))
    assert "**set 0 v1**" in later
    assert "**set 1 v1**" not in later


def test_a_later_page_of_batches_opens_by_its_address(open_page: OpenPage, app: App) -> None:
    """Whoever loads the second page again, or was sent its address, sees the second page and not the first."""
    oldest, *others = [create(app, 1) for _ in range(13)]
    later, first = (
        {dict(parse_qsl(link.proto.query_string)).get("job") for link in page.get("page_link")}
        for page in (open_page("batches", **{"batches-page": "2"}), open_page("batches"))
    )
    assert oldest.id in later
    assert not later & {job.id for job in others}
    assert oldest.id not in first


def test_nothing_is_frozen_beside_a_cut_that_cannot_be(open_page: OpenPage, app: App) -> None:
    """A dataset is for ever, so it is not frozen without the cut that stands in the field."""
    write(app, 1)
    app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    page = open_page("datasets")
    page.number_input(key="dataset-cut").set_value(50).run()
    assert "64 to 1,000,000 tokens" in said(page).replace("\\", "")
    assert page.button(key="dataset-freeze").disabled


def test_a_part_that_claude_never_had_is_not_shown_as_collected(open_page: OpenPage, app: App) -> None:
    """Without a key nothing is handed over: the page says so, with the reason, and names no day of collecting."""
    options = JobOptions(WriterName.CLAUDE, app.settings.model, 8000, delivery=Delivery.OVERNIGHT)
    job = app.batches.create(app.planner.plan(scenarios(2), options), name="Night", actor="ana")
    app.batches.process_next(job.id)
    page = open_page("batch", job=job.id)
    [table] = [each.value for each in page.dataframe if "Part" in each.value]
    assert list(table["State"]) == ["Not handed over"]
    assert list(table["Handed over"]) == [""]
    assert "Collected" not in table
    assert "Part 1: " in said(page)
    assert "ANTHROPIC\\_API\\_KEY" in said(page)


def test_a_preview_counts_what_is_written_now(open_page: OpenPage, app: App) -> None:
    """The page and the list of a batch in preview tell how far the whole is, and how many wait to be started."""
    options = JobOptions(WriterName.DEMO, "demo", 8000)
    plan = app.planner.plan(scenarios(7), options)
    job = app.batches.create(plan, name="First", actor="ana", preview=2)
    page = open_page("batch", job=job.id)
    [bar] = page.get("progress")
    assert "0 of 7 ended · 0% · 5 wait to be started" in bar.proto.text
    assert {m.label: m.value for m in page.metric}["Still to do"] == "2"
    [bar] = open_page("batches").get("progress")
    assert "of 7 written · 5 wait to be started" in bar.proto.text


def test_a_preview_that_is_written_asks_to_be_read(open_page: OpenPage, app: App) -> None:
    """A batch whose preview is written says so on its page, in the list and at home, and is called neither paused
    nor done."""
    job = previewed(app)
    page = open_page("batch", job=job.id)
    [bar] = page.get("progress")
    assert bar.proto.text == "**Preview to read** · 1 of 4 ended · 25% · 3 wait to be started"
    assert bar.proto.value == 25
    figures = {m.label: m.value for m in page.metric}
    assert figures["Wait to be started"] == "3"
    assert "Still to do" not in figures
    assert "Paused" not in said(page)
    assert not [button for button in page.button if button.key == "batch-resume"]
    page = open_page("batches")
    assert "Read its preview, then start the rest" in said(page)
    page = open_page()
    assert "1 preview to read." in said(page)
    assert {m.label: m.value for m in page.metric}["Unfinished batches"] == "1"
    [bar] = page.get("progress")
    assert "1 of 4 written · 3 wait to be started" in bar.proto.text


def previewed(app: App) -> Job:
    """Return a job of four whose preview of one is written."""
    plan = app.planner.plan(scenarios(4), JobOptions(WriterName.DEMO, "demo", 8000))
    job = app.batches.create(plan, name="First", actor="ana", preview=1)
    while app.batches.process_next(job.id).outcome is not StepOutcome.PAUSED:
        time.sleep(0)
    return job


def test_the_rest_is_not_adjusted_by_a_number_that_cannot_be(open_page: OpenPage, app: App) -> None:
    """A length that no conversation can have is named beside its field, an odd one is said to be made even."""
    job = previewed(app)
    page = open_page("batch", job=job.id)
    page.session_state[f"rest-{job.id}"] = True
    page.run()
    for typed in ("5.5", "99999999999999999999", "1"):
        page.text_input(key=f"rest-turns-{job.id}").set_value(typed).run()
        assert "is no whole number from 2 to 200" in said(page)
        assert not [button for button in page.button if button.key == "preview-adjust"]
        assert page.button(key="preview-start").disabled, "what is typed is not passed over"
    page.text_input(key=f"rest-turns-{job.id}").set_value("5").run()
    assert "5 messages become 6" in said(page)
    page.button(key="preview-adjust").click().run()
    assert page.text_input(key=f"rest-turns-{job.id}").value == ""
    waiting = app.batches.items(job.id, status=ItemStatus.QUEUED)
    assert {item.scenario.turns for item in waiting} == {6}


def test_the_slower_of_two_tabs_goes_on_to_the_batch(open_page: OpenPage, app: App) -> None:
    """Whoever starts the rest after somebody else is told who was first, without an error."""
    job = previewed(app)
    page = open_page("batch", job=job.id)
    app.previews.start(job.id, actor="ben")
    page.button(key="preview-start").click().run()
    assert not page.error
    assert any("already started\\, by ben" in toast.value for toast in page.toast)
    assert not [button for button in page.button if button.key == "preview-start"]


def test_one_more_asked_for_in_two_tabs_is_one(open_page: OpenPage, app: App) -> None:
    """Whoever asks for one more of a preview that was extended meanwhile buys no second, and is told without an error."""
    job = previewed(app)
    page = open_page("batch", job=job.id)
    app.previews.extend(job.id, seen=1, more=1, actor="ben")
    page.button(key="preview-more").click().run()
    assert not page.error
    assert any("already extended" in toast.value for toast in page.toast)
    assert app.batches.get(job.id).preview == 2


def viewed(app: object, job: object) -> None:
    """Draw the buttons of a preview alone; it is run as a script of its own, which knows nothing of this file."""
    from brightrun.ui.previews import _draw_start

    _draw_start(app, job, 3)  # type: ignore[arg-type]


def test_who_may_not_run_a_batch_cannot_press_its_preview_on(environment: None, app: App) -> None:
    """A viewer reads a preview and finds its buttons closed, rather than pressing them and being refused."""
    job = previewed(app)
    viewer = app.people.add("vera@example.org", Role.VIEWER, actor="setup")
    for acting, is_closed in ((app, False), (app.acting_as(viewer), True)):
        page = AppTest.from_function(viewed, kwargs={"app": acting, "job": app.batches.get(job.id)}).run()
        assert not page.exception
        assert [page.button(key=key).disabled for key in ("preview-start", "preview-more")] == [is_closed] * 2


def edited(app: object, template: object) -> None:
    """Draw every editor but the one of people; it is run as a script of its own, which knows nothing of this file."""
    from brightrun.ui.drafts import draw_editor
    from brightrun.ui.prices import draw_prices
    from brightrun.ui.reasons import draw_reasons
    from brightrun.ui.scaffolding import draw_scaffolding
    from brightrun.ui.variables import draw_variables

    draw_editor(app, template)  # type: ignore[arg-type]
    draw_variables(app, template)  # type: ignore[arg-type]
    draw_scaffolding(app)  # type: ignore[arg-type]
    draw_prices(app)  # type: ignore[arg-type]
    draw_reasons(app)  # type: ignore[arg-type]


def test_who_may_not_edit_types_nothing_that_could_not_be_saved(environment: None, app: App) -> None:
    """A viewer reads every editor and can write in none, rather than being refused after the work is done."""
    template = next(t for t in app.templates.all() if own_variables(t.version))
    viewer = app.people.add("vera@example.org", Role.VIEWER, actor="setup")
    for acting, is_closed in ((app, False), (app.acting_as(viewer), True)):
        page = AppTest.from_function(edited, kwargs={"app": acting, "template": template}).run()
        assert not page.exception
        fields = [*page.text_input, *page.text_area, *page.number_input, *page.date_input, *page.multiselect]
        locked = {"Key: small letters, digits, _", "Persona key"}  # what is there keeps its key
        open_to_all = [field.label for field in fields if field.disabled is not is_closed]
        assert set(open_to_all) <= (set() if is_closed else locked), open_to_all
        assert len(fields) > 20


def test_a_form_says_in_plain_words_what_cannot_be_saved(open_page: OpenPage, app: App) -> None:
    """Whoever edits a persona or an arc is told as in a table: the field, which of its list, and what is wrong."""
    page = open_page("scaffolding")
    page.selectbox(key="scaffolding-persona").set_value("new").run()
    page.text_input(key="scaffolding-persona-new-persona_key").set_value("The Boss")
    page.text_area(key="scaffolding-persona-new-common_concerns").set_value("Time\n" + "x" * 2001)
    page.button(key="scaffolding-persona-new-save").click().run()
    assert "• Persona key: 'The Boss' is no key; a key has only small letters a to z, digits and _." in said(
        page
    )
    assert "• Name: it is empty." in said(page)
    assert "• Common concerns, number 2 of its list: it has 2,001 characters; 2,000 are allowed." in said(
        page
    )
    page.segmented_control(key="scaffolding-kind").set_value("arc").run()
    key = app.scenarios.axes(active_only=False).arcs[0].arc_key
    page.selectbox(key="scaffolding-arc").set_value(key).run()
    page.number_input(key=f"scaffolding-arc-{key}-typical_turn_count_min").set_value(200)
    page.button(key=f"scaffolding-arc-{key}-save").click().run()
    assert "• Typical turn count min is more than typical turn count max." in said(page)


def test_the_second_of_two_editors_is_told_and_a_taken_key_is_kept(open_page: OpenPage, app: App) -> None:
    """What another window has saved meanwhile stays, and so does what a new one would have been written over."""
    held = app.scaffolding.all(Kind.PERSONA)[0]
    key = key_of(held)
    field = f"scaffolding-persona-{key}"
    first, second = open_page("scaffolding"), open_page("scaffolding")
    for page in (first, second):
        page.selectbox(key="scaffolding-persona").set_value(key).run()
    first.text_input(key=f"{field}-occupation").set_value("Harbour master")
    first.button(key=f"{field}-save").click().run()
    assert "Somebody has changed" not in said(first)
    assert "Somebody has changed it since you opened it" in said(second.run())
    second.text_input(key=f"{field}-age_range").set_value("99")
    second.button(key=f"{field}-save").click().run()
    assert "Somebody has changed the persona" in said(second)
    now = app.scaffolding.all(Kind.PERSONA)[0].model_dump()
    assert (now["occupation"], now["age_range"]) == ("Harbour master", held.model_dump()["age_range"])
    first.button(key="scaffolding-offer").click().run()
    first.text_input(key=f"{field}-age_range").set_value("42")
    first.button(key=f"{field}-save").click().run()
    now = app.scaffolding.all(Kind.PERSONA)[0].model_dump()
    assert (now["age_range"], now["is_active"]) == ("42", False)
    first.selectbox(key="scaffolding-persona").set_value("new").run()
    first.text_input(key="scaffolding-persona-new-persona_key").set_value(key)
    first.text_input(key="scaffolding-persona-new-name").set_value("Another")
    first.button(key="scaffolding-persona-new-save").click().run()
    assert "already\\; nothing was saved" in said(first)
    assert app.scaffolding.all(Kind.PERSONA)[0].model_dump() == now


def test_the_system_page_names_what_is_missing(
    open_page: OpenPage, home: object, monkeypatch: object
) -> None:
    """Everything a batch needs is listed with its state."""
    page = open_page("system")
    text = said(page)
    for name in ("Database", "Migrations", "Scaffolding", "Writer", "Prices", "Disk space"):
        assert f"**{name}**" in text
    assert "Everything a batch needs is there." in text


def test_the_import_of_a_wrong_file_is_taken_back_on_its_page(
    open_page: OpenPage, app: App, tmp_path: Path
) -> None:
    """Asked once, told what goes: then the list has forgotten it."""
    turns = [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "So."}]
    file = tmp_path / "wrong.jsonl"
    file.write_text(json.dumps({"messages": turns}))
    app.imports.take(file, actor="ana")
    page = open_page("imports")
    page.button(key="import-withdraw").click().run()
    assert "1 conversation with their files" in said(page)
    page.button(key="import-withdraw-sure").click().run()
    assert app.imports.page() == []
    assert "Nothing has been imported yet" in said(page)


def test_an_import_leads_to_what_still_waits_of_it(open_page: OpenPage, app: App, tmp_path: Path) -> None:
    """Nobody is asked to review what is decided: the page says how many wait, and then that none does."""
    turns = [
        {"role": "user", "content": "How do I save?"},
        {"role": "assistant", "content": "A little a month."},
    ]
    file = tmp_path / "two.jsonl"
    others = [
        {"role": "user", "content": "What is a bond?"},
        {"role": "assistant", "content": "A loan you give."},
    ]
    file.write_text("\n".join(json.dumps({"messages": each}) for each in (turns, others)))
    found = app.imports.take(file, actor="ana")
    for wait, label in (
        (2, "Review the 2 conversations that wait"),
        (1, "Review the 1 conversation that waits"),
        (0, "Read the 2 conversations: none waits for review"),
    ):
        links = [link.proto.label for link in open_page("imports").get("page_link")]
        assert label in links, wait
        waiting = ConversationFilter(import_id=found.id, status=ConversationStatus.PENDING_REVIEW)
        for row in app.reviews.page(waiting, limit=1):
            app.reviews.decide([Seen(row["id"], row["row_version"])], Decision.APPROVED, reviewer="ana")
