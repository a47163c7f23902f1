"""Router and frame of the web app, and its server; `streamlit run Home.py` starts it.

Streamlit reads this file twice: as a module once, for the server, and as a script for each run of a page.
"""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from brightrun.bootstrap import App
from brightrun.ui.frame import Place, draw_closed, draw_frame, follow_goal, may_open
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
        if may_open(app, page.url_path):
            page.run()
        else:
            draw_closed(app, page.title, page.url_path)


def pages(app: App | None) -> dict[str, list[StreamlitPage]]:
    """Return all pages as the sidebar groups them; it names those that are of use to who looks."""

    def at(place: Place, title: str) -> StreamlitPage:
        is_named = place is not Place.BATCH and (app is None or may_open(app, place.address))
        return st.Page(
            place.value,
            title=title,
            url_path=place.address,
            visibility="visible" if is_named else "hidden",
        )

    return {
        "": [st.Page(home, title="Home", default=True)],
        "Write": [at(Place.GENERATE, "New batch"), at(Place.BATCHES, "Batches"), at(Place.BATCH, "Batch")],
        "Review": [
            at(Place.REVIEW, "Review"),
            at(Place.IMPORTS, "Import"),
            at(Place.INSIGHT, "Insight"),
            at(Place.DATASETS, "Datasets"),
        ],
        "Set up": [
            at(Place.TEMPLATES, "Templates"),
            at(Place.SCAFFOLDING, "Scaffolding"),
            at(Place.PEOPLE, "People"),
            at(Place.SYSTEM, "System"),
        ],
    }


if __name__ == "__main__":
    run()
else:
    app = st.App(__file__, middleware=front_door(), lifespan=lifespan)
