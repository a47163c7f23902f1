"""Router and frame of the web app; `streamlit run Home.py` starts it."""

from __future__ import annotations

import streamlit as st

from brightrun.ui.frame import Place, draw_frame, follow_goal
from brightrun.ui.home import draw_home
from brightrun.ui.session import current_app, framed
from brightrun.ui.theme import MARK, draw_identity

st.set_page_config(page_title="Bright Run", page_icon=str(MARK), layout="wide")


def home() -> None:
    """Say what is waiting and what to do next."""
    draw_home(current_app())


page = st.navigation(
    {
        "": [st.Page(home, title="Home", default=True)],
        "Write": [
            st.Page(Place.GENERATE.value, title="New batch", url_path="generate"),
            st.Page(Place.BATCHES.value, title="Batches", url_path="batches"),
            st.Page(Place.BATCH.value, title="Batch", url_path="batch", visibility="hidden"),
        ],
        "Review": [
            st.Page(Place.REVIEW.value, title="Review", url_path="review"),
            st.Page(Place.IMPORTS.value, title="Import", url_path="imports"),
            st.Page(Place.INSIGHT.value, title="Insight", url_path="insight"),
            st.Page(Place.DATASETS.value, title="Datasets", url_path="datasets"),
        ],
        "Set up": [
            st.Page(Place.TEMPLATES.value, title="Templates", url_path="templates"),
            st.Page(Place.SCAFFOLDING.value, title="Scaffolding", url_path="scaffolding"),
            st.Page(Place.SYSTEM.value, title="System", url_path="system"),
        ],
    }
)
follow_goal(page.url_path)
draw_identity()
draw_frame(current_app())
with framed():
    page.run()
