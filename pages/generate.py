"""A new batch: what to write about, how, and what it costs, before anything starts."""

from __future__ import annotations

import streamlit as st

from brightrun.ui.frame import open_page, page_head, told
from brightrun.ui.intake import draw_intake
from brightrun.ui.order import draw_options, draw_plan

app = open_page()

page_head("New batch", "One conversation is written for each scenario. Nothing starts before you say so.")
form, summary = st.columns([8, 5], gap="large")
intake = order = None
with form:
    st.subheader("1 · What to write about", anchor=False)
    with told():
        intake = draw_intake(app)
    st.subheader("2 · How to write it", anchor=False)
    with told():
        order = draw_options(app)
with summary, st.container(border=True, key="plan"):
    st.subheader("3 · Before it starts", anchor=False)
    if intake is None or order is None:
        st.caption("The number of conversations and their cost appear here once there is something to write.")
    else:
        with told():
            draw_plan(app, intake, order)
