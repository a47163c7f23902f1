"""Review: a list to choose from, one conversation beside it, and a decision written at once."""

from __future__ import annotations

import streamlit as st

from brightrun.ui.corrections import editing_field
from brightrun.ui.decisions import draw_bulk, draw_decisions, draw_undo
from brightrun.ui.filters import draw_filters
from brightrun.ui.frame import open_page, page_head, told
from brightrun.ui.keys import draw_help, draw_keys
from brightrun.ui.reader import draw_reader
from brightrun.ui.reviews import FIRST_SHOWN, HEADINGS, draw_list, draw_nothing, heed_heads, look
from brightrun.ui.revisions import draw_rewriting
from brightrun.ui.runner import current_indexer
from brightrun.ui.views import draw_columns, draw_views
from brightrun.ui.walk import draw_walk, look_ahead

app = open_page()
current_indexer().wake()

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
    with st.container(width="content"):
        page_head("Review", "Only what is approved here reaches a dataset.")
    corner = st.container(width="content", horizontal=True, gap="xsmall")
with told():
    heed_heads()
    rows = st.container(gap="xsmall")
    with rows:
        draw_rewriting(app)
    choices, decisions = rows.container(gap="xsmall"), rows.container(gap="xsmall")
    listed, read = st.columns([11, 9], gap="medium")
    above = listed.container(horizontal=True, vertical_alignment="center", key="above")
    with choices:
        chosen, sort = draw_filters(app, corner, above)
    with corner:
        draw_views(app)
        fields = draw_columns(app, HEADINGS, FIRST_SHOWN)
    queue = look(app, chosen, sort)
    if not queue.rows and not queue.reading.row_version:
        draw_undo(app)
        draw_nothing(app, chosen)
        st.stop()
    with corner:
        draw_bulk(app, chosen, queue.total)
        draw_help()
    with decisions:
        draw_decisions(app, queue)
    with listed:
        if queue.rows:
            draw_list(app, queue, fields, sort, above)
        else:
            draw_nothing(app, chosen)
    with read:
        draw_reader(app, queue, draw_walk(app, queue, sort))
    draw_keys(editing_field())
    look_ahead(app, queue)
