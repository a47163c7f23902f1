"""Is everything a batch needs there, what is set, and what it costs."""

from __future__ import annotations

import streamlit as st

from brightrun.domain.person import Action
from brightrun.ui.checks import draw_checks, draw_commands, draw_settings
from brightrun.ui.fleet import draw_workers
from brightrun.ui.frame import open_page, page_head, tell_role, told
from brightrun.ui.prices import draw_prices
from brightrun.ui.quality import draw_standard
from brightrun.ui.reasons import draw_reasons

app = open_page()

page_head("System", "What a batch needs, what is set, and what a model costs.")
tell_role(app, Action.SET_PRICE)
with told():
    draw_checks(app)
st.subheader("Workers", anchor=False)
draw_workers(app)
st.subheader("Prices", anchor=False)
with told():
    draw_prices(app)
st.subheader("Reasons for rejecting", anchor=False)
with told():
    draw_reasons(app)
st.subheader("Quality", anchor=False)
draw_standard(app)
st.subheader("Settings in use", anchor=False)
draw_settings(app)
st.subheader("In a shell", anchor=False)
draw_commands()
