"""Every batch, newest first."""

from __future__ import annotations

import streamlit as st

from brightrun.ui.frame import Place, may_open, open_page, page_head, told
from brightrun.ui.jobs import draw_jobs

app = open_page()

with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
    with st.container(width="content"):
        page_head("Batches", "Open one to watch it, stop it, or read why an item failed.")
    if may_open(app, Place.GENERATE.address) and st.button("New batch", type="primary"):
        st.switch_page(Place.GENERATE.value)
with told():
    draw_jobs(app)
