"""One batch: how far it is, what can be done with it, and every item with its reason."""

from __future__ import annotations

import streamlit as st

from brightrun.domain.errors import BrightRunError
from brightrun.ui.actions import draw_actions
from brightrun.ui.budget import budget_outlook, draw_budget
from brightrun.ui.costs import draw_costs
from brightrun.ui.diversity import draw_diversity
from brightrun.ui.enrichment import draw_enrichment
from brightrun.ui.frame import Place, empty_state, open_page, show_error
from brightrun.ui.items import draw_items
from brightrun.ui.jobs import draw_job_head
from brightrun.ui.judging import draw_judging
from brightrun.ui.parts import draw_parts
from brightrun.ui.previews import draw_preview
from brightrun.ui.progress import draw_progress
from brightrun.ui.session import place

app = open_page()
wanted = place("job")

st.page_link(Place.BATCHES.value, label="← All batches")
if wanted is None:
    empty_state(
        "No batch is chosen",
        "Every batch has its own address. Choose one from the list.",
        link=Place.BATCHES,
        label="See all batches",
    )
    st.stop()
try:
    job = app.batches.get(app.batches.find(wanted))
except BrightRunError as fault:
    show_error(fault)
    empty_state(
        "This batch is not here",
        "The address may be cut off, or belong to another database.",
        link=Place.BATCHES,
        label="See all batches",
    )
    st.stop()

draw_job_head(job)
outlook = budget_outlook(app, job)
first = st.container()  # there in every run, so that nothing below it changes its place
draw_actions(app, job, outlook)
draw_preview(app, job)
draw_progress(app, job)
draw_parts(app, job)
if outlook:  # where nothing else helps, it comes first
    with first if outlook.is_stuck else st.container():
        draw_budget(app, job, outlook)
draw_costs(app, job)
draw_diversity(app, job)
draw_judging(app, job)
draw_enrichment(app, job)
draw_items(app, job)
