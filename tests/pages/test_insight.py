"""The insight page without a browser: what it says when empty, in use, narrowed, and of hostile names."""

from __future__ import annotations

import re
from datetime import date

import psycopg

from brightrun.bootstrap import App
from brightrun.domain.insight import Scope
from brightrun.domain.review import ConversationFilter, Decision, Seen
from tests.pages.conftest import OpenPage
from tests.pages.test_pages import said, write
from tests.planting import plant
from tests.seed import Seed, seed_conversations

UNESCAPED = re.compile(r"(?<!\\)(!\[|<script|\$x|:material)")
HOSTILE = "![x](http://evil.example/a.png) <script>alert(1)</script> $x^2$ :material/bolt:"


def test_an_empty_installation_is_told_what_to_do(open_page: OpenPage) -> None:
    """With nothing written, the page leads to the first batch."""
    assert "Nothing has been written yet" in said(open_page("insight"))


def test_written_but_undecided_leads_to_the_review(open_page: OpenPage, app: App) -> None:
    """Conversations nobody has decided on are counted, and no rate is made up for them."""
    write(app, 3)
    page = open_page("insight")
    assert "Nothing has been decided on" in said(page)
    figures = {metric.label: metric.value for metric in page.metric}
    assert (figures["Written"], figures["Decided"], figures["Approved of decided"]) == ("3", "0", "–")


def test_every_part_opens_by_its_address(open_page: OpenPage, app: App) -> None:
    """Each part of the page has an address of its own, and says its figure in a sentence."""
    job = write(app, 4)
    rows = app.reviews.page(ConversationFilter(job_id=job.id))
    app.reviews.decide_matching(
        ConversationFilter(job_id=job.id), Decision.REJECTED, reviewer="bo", reason="Repetitive"
    )
    assert len(rows) == 4
    for view, sentence in {
        "Approval": "4 of 4 conversations have been decided on",
        "Rejections": "is the most frequent reason",
        "Score": "nothing can be said about the score",
        "Cost": "No call of a paid writer is on record",
        "Reviewers": "1 person made 4 decisions that were not undone",
        "Coverage": "combinations of persona, arc and topic",
        "Variety": "Figures beside their limits",
    }.items():
        text = said(open_page("insight", show=view)).replace("\\", "")
        assert sentence in text, view


def test_variety_is_measured_of_what_the_address_names(open_page: OpenPage, app: App, dsn: str) -> None:
    """Whoever narrows the page to a batch, a writer or days gets the variety of these conversations alone."""
    seed_conversations(dsn, [Seed(number=n) for n in range(25)])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update public.conversations set created_at = '2026-03-02T23:59:00Z'")
    job = write(app, 21)
    app.reviews.decide_matching(ConversationFilter(job_id=job.id), Decision.APPROVED, reviewer="bo")

    def measured(**query: str) -> str:
        page = open_page("insight", show="Variety", **query)
        page.button(key="diversity-measure").click().run()
        return re.findall(r"of ([\d,]+) conversations", said(page))[-1]

    assert measured() == "46"
    assert measured(job=job.id) == "21"
    day = date(2026, 3, 2)
    for scope in (Scope(writer="claude"), Scope(since=day, until=day), Scope(until=day)):
        assert app.diversity.of_approved(scope).total == 25
    assert app.diversity.of_approved(Scope(since=date(2026, 3, 3))).total == 21


def test_an_address_narrows_the_figures(open_page: OpenPage, app: App, dsn: str) -> None:
    """Writer, days and batch in the address are what the figures are about; a wrong batch never means all."""
    plant(dsn, [{"writer": "claude", "at": "2026-03-02T10:00:00Z"}, {"at": "2026-03-03T10:00:00Z"}])
    job = write(app, 2)

    def written(**query: str) -> str:
        page = open_page("insight", **query)
        return next(metric.value for metric in page.metric if metric.label == "Written")

    assert written() == "4"
    assert written(writer="Claude") == "1"
    assert written(since="2026-03-03", until="2026-03-03") == "1"
    assert written(job=job.id) == "2"
    lost = open_page("insight", job="0000")
    assert lost.warning
    assert not lost.metric


def test_a_first_day_after_the_last_is_told_apart_from_nothing(open_page: OpenPage) -> None:
    """Days in the wrong order are named as such."""
    page = open_page("insight", since="2026-03-03", until="2026-03-02")
    assert "after the last" in page.error[0].value


def test_names_and_reasons_are_never_markup(open_page: OpenPage, app: App, dsn: str) -> None:
    """A reason or persona that looks like an image, a script or a formula is shown letter for letter."""
    plant(dsn, [{"persona": HOSTILE, "topic": HOSTILE} for _ in range(20)])
    plant(dsn, [{"persona": "calm", "topic": "calm"} for _ in range(60)])
    app.reviews.decide_matching(ConversationFilter(persona_key=HOSTILE), Decision.REJECTED, reviewer=HOSTILE)
    rest = ConversationFilter(persona_key="calm", max_score=10)
    app.reviews.decide_matching(rest, Decision.APPROVED, reviewer="ana")
    first = app.reviews.page(rest)[0]
    seen = Seen(first["id"], first["row_version"])
    app.reviews.decide([seen], Decision.APPROVED, reviewer="ana")
    app.reviews.decide([Seen(seen.id, seen.row_version + 1)], Decision.REJECTED, reviewer=HOSTILE)
    # A reason as an earlier list of them may have left it.
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update conversations set review_reason = %s where status = 'rejected'", (HOSTILE,)
        )
    for view in ("Approval", "Rejections", "Reviewers"):
        for by in ("Persona", "Topic"):
            text = said(open_page("insight", show=view, by=by))
            assert "evil" in text
            assert not UNESCAPED.search(text)


def test_where_nothing_is_judged_the_way_to_a_judge_is_named(open_page: OpenPage, app: App) -> None:
    """Whoever opens the judge's part first is led to a batch, where its price is shown."""
    write(app, 2)
    page = open_page("insight", show="Judge")
    assert "Nothing has been judged yet" in said(page)
    assert "Choose a batch" in [link.proto.label for link in page.get("page_link")]


def test_a_link_to_a_new_batch_chooses_its_combination(open_page: OpenPage, app: App) -> None:
    """The way from an empty cell to a new batch arrives with persona and arc chosen; a name nobody knows is told."""
    axes = app.scenarios.axes()
    persona, arc = axes.personas[0].persona_key, axes.arcs[0].arc_key
    page = open_page("generate", persona=persona, arc=arc)
    assert page.multiselect(key="axis-personas").value == [persona]
    assert page.multiselect(key="axis-arcs").value == [arc]
    assert "**1 combination**" in said(page)
    unknown = open_page("generate", topic="nobody")
    assert "nobody" in unknown.warning[0].value
