"""The home page's body: what is waiting, and what to do next."""

from __future__ import annotations

import streamlit as st

from brightrun.bootstrap import App
from brightrun.ui.frame import Place


def draw_home(app: App) -> None:
    """Draw what waits for a person and the way from parameters to a dataset."""
    st.title("Bright Run", anchor=False)
    st.page_link(Place.GENERATE.value, label="Start a batch")
