"""What Claude makes of conversations: ordering verdicts with their price, reading them, and whether to believe them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobKind, JobOptions, WriterName
from brightrun.domain.calibration import Agreement, Calibration
from brightrun.domain.errors import BrightRunError, InvalidInput
from brightrun.domain.insight import Scope
from brightrun.domain.judging import HIGHEST, Verdict
from brightrun.domain.person import Action
from brightrun.domain.review import ConversationFilter
from brightrun.services.judging import JudgePlan
from brightrun.ui.budget import ask_budget
from brightrun.ui.costs import draw_estimate
from brightrun.ui.desk import Goal
from brightrun.ui.frame import Place, empty_state, show_error
from brightrun.ui.insight_charts import Chart, Count, matrix
from brightrun.ui.session import begin, desk, person
from brightrun.ui.text import ago, counted, label_safe, words

ASKED = "judging-asked"
SAID = ("approved", "rejected")


def draw_judging(app: App, job: Job) -> None:
    """Offer verdicts on what a batch wrote, with their price before anything is bought."""
    if job.kind is JobKind.JUDGE or not job.counts.completed:
        return
    with st.expander("What does Claude make of it?"):
        draw_calibration(app.judging.calibration(Scope(job.id)))
        if app.settings.anthropic_api_key is None:
            st.caption("A judge needs a key: set `ANTHROPIC_API_KEY` and start Bright Run again.")
            return
        own = desk()
        if st.button(
            "See what judging costs",
            key="judging-price",
            help="Claude scores each conversation by a written rubric and quotes what decided it. Nothing is bought yet.",
            disabled=not app.may(Action.RUN_BATCH),
        ):
            own.heard[ASKED] = job.id
        if own.heard.get(ASKED) == job.id:
            _draw_order(app, job)


def draw_verdicts(verdicts: Sequence[Verdict], version: int) -> None:
    """Draw what judges said of one conversation, newest first, each score with its evidence."""
    for verdict in verdicts:
        with st.container(border=True):
            old = "" if verdict.version == version else f", of version {verdict.version}"
            st.markdown(f"**Judged by {label_safe(verdict.model)}** · {ago(verdict.created_at)}{old}")
            for score in verdict.scores:
                st.progress(score.score / HIGHEST, text=f"**{words(score.dimension.value)} {score.score}**")
                st.caption(label_safe(score.reason, limit=600))
                place = f"Turn {score.turn}" if score.turn else "Nobody says this here"
                st.text(f"{place}: “{score.evidence}”")


def draw_calibration(found: Calibration) -> None:
    """Draw how far judge and reviewers say the same, so that one sees whether to believe the judge."""
    if not found.verdicts:
        st.caption(
            f"{found.sentence()} Reviewers' decisions on the same texts then show whether to believe it."
        )
        return
    st.markdown(found.sentence())
    if found.overall.rows:
        st.altair_chart(
            _matrix(found.overall), key="judging-matrix", alt="What the judge and the reviewers said."
        )
        rows = [
            _cells("Lowest of all", found.overall),
            *(_cells(words(name), agreement) for name, agreement in sorted(found.dimensions.items())),
        ]
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            height="content",
            column_config={"The same": st.column_config.NumberColumn(format="percent")},
        )
    st.caption(
        f"A judge rejects where a dimension has {found.floor} or less of {HIGHEST}. Kappa is the agreement beyond "
        f"chance (J. Cohen, 1960): 0 none, 1 full. {counted(found.doubtful, 'verdict')} quoted what nobody said."
    )


def draw_judged(app: App, scope: Scope) -> None:
    """Draw what the judge said within a scope; where nobody asked it yet, the way to ask."""
    found = app.judging.calibration(scope)
    if found.verdicts:
        draw_calibration(found)
        return
    where = {"job": scope.job_id} if scope.job_id else {}
    empty_state(
        "Nothing has been judged yet",
        "Open a batch and its part “What does Claude make of it?”: the price is shown before anything is bought. "
        "Decisions of reviewers on the same texts then show whether to believe the judge.",
        link=Place.BATCH if where else Place.BATCHES,
        label="Open this batch" if where else "Choose a batch",
        query=where,
    )


def _matrix(overall: Agreement) -> Chart:
    cells = [
        Count(f"Judge: {judged}", f"Reviewer: {decided}", overall.said.get((judged, decided), 0))
        for judged in SAID
        for decided in SAID
    ]
    rows, columns = [f"Judge: {said}" for said in SAID], [f"Reviewer: {said}" for said in SAID]
    return matrix(cells, rows, columns, ("Judge", "Reviewer", "Conversations"))


def _cells(name: str, agreement: Agreement) -> dict[str, object]:
    return {
        "Dimension": name,
        "Both judged": agreement.rows,
        "The same": agreement.share if agreement.rows else None,
        "Kappa": round(agreement.kappa, 2) if agreement.kappa is not None else None,
    }


def _draw_order(app: App, job: Job) -> None:
    model_at, budget_at = st.columns(2)
    models = list(dict.fromkeys([app.settings.model, *(price.model for price in app.prices.in_force())]))
    model = model_at.selectbox("Model", models, key="judging-model")
    faults: list[InvalidInput] = []
    budget = ask_budget(budget_at, "judging-budget", faults)
    again = st.checkbox("Judge again what has a verdict of this model", key="judging-again")
    if faults:  # said beside the field: no price is shown for a limit that is not the one typed
        return
    options = JobOptions(WriterName.CLAUDE, str(model), app.settings.max_tokens, budget=budget)
    try:
        plan = _plan(app, job.id, options, again, job.counts.completed)
        plan.require()
    except BrightRunError as fault:
        show_error(fault)
        return
    draw_estimate(plan.estimate)
    if st.button(
        f"Have {counted(len(plan.subjects), 'conversation')} judged", type="primary", key="judging-start"
    ):
        _start(app, plan, job)


@st.cache_resource(max_entries=2, ttl=60, scope="session", show_spinner="Working out the price…")
def _plan(_app: App, job_id: str, options: JobOptions, again: bool, completed: int) -> JudgePlan:
    chosen = ConversationFilter(job_id=job_id)  # type: ignore[arg-type]
    return _app.judging.plan(chosen, options, again=again)


def _start(app: App, plan: JudgePlan, job: Job) -> None:
    own, actor = begin(), person()
    try:
        app.writer(plan.options.writer)
        started = own.once(
            ("judge", job.id, plan.options, len(plan.subjects)),
            lambda: app.judging.start(plan, name=f"Verdicts on {job.name}"[:255], actor=actor),
        )
    except BrightRunError as fault:
        show_error(fault)
        return
    own.goal = Goal(Place.BATCH.value, {"job": started.id})
    st.rerun()
