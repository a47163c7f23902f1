"""Router and frame of the web app, and its server; `streamlit run Home.py` starts it.

Streamlit reads this file twice: as a module once, for the server, and as a script for each run of a page.
"""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from brightrun.bootstrap import App
from brightrun.domain.person import Action
from brightrun.ui.frame import Place, draw_frame, follow_goal
from brightrun.ui.home import draw_home
from brightrun.ui.serving import front_door, lifespan
from brightrun.ui.session import current_app, framed, is_admitted
from brightrun.ui.theme import MARK, draw_identity


def home() -> None:
    """Say what is waiting and what to do next."""
    draw_home(current_app())


def run() -> None:
    """Draw the frame, and in it the page that was asked for; who may not come in sees the door alone."""
    st.set_page_config(page_title="Bright Run", page_icon=str(MARK), layout="wide")
    is_in = is_admitted()
    app = current_app() if is_in else None
    page = st.navigation(pages(app), position="sidebar" if is_in else "hidden")
    draw_identity()
    if app is None:
        current_app()  # draws the door and ends the run
        return
    follow_goal(page.url_path)
    draw_frame(app)
    with framed():
        page.run()


def pages(app: App | None) -> dict[str, list[StreamlitPage]]:
    """Return the pages somebody may open, as the sidebar groups them."""
    found = {
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
            st.Page(Place.PEOPLE.value, title="People", url_path="people"),
            st.Page(Place.SYSTEM.value, title="System", url_path="system"),
        ],
    }
    kept = {"generate": Action.RUN_BATCH, "imports": Action.IMPORT, "people": Action.MANAGE_PEOPLE}
    return {
        group: [page for page in each if app is None or may_open(app, kept.get(page.url_path))]
        for group, each in found.items()
    }


def may_open(app: App, action: Action | None) -> bool:
    """Whether a page is of use to who is looking; without an action it is there to be read."""
    return action is None or app.may(action)


if __name__ == "__main__":
    run()
else:
    app = st.App(__file__, middleware=front_door(), lifespan=lifespan)
