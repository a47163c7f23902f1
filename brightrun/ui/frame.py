"""What every page shares: its head, the banner, empty places, and errors told with their remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

import streamlit as st
from pydantic import ValidationError

from brightrun.bootstrap import App
from brightrun.config import Database
from brightrun.domain.batch import WriterName
from brightrun.domain.errors import BrightRunError
from brightrun.domain.person import LOWEST, Action, require
from brightrun.domain.scaffolding import faults_of
from brightrun.ui.login import draw_person
from brightrun.ui.session import current_app, desk, is_admitted, is_framed, place, set_place
from brightrun.ui.text import label_safe, words


class Place(StrEnum):
    """The pages by file, as links and switches name them."""

    GENERATE = "pages/generate.py"
    BATCHES = "pages/batches.py"
    BATCH = "pages/batch.py"
    REVIEW = "pages/review.py"
    IMPORTS = "pages/imports.py"
    INSIGHT = "pages/insight.py"
    DATASETS = "pages/datasets.py"
    TEMPLATES = "pages/templates.py"
    SCAFFOLDING = "pages/scaffolding.py"
    PEOPLE = "pages/people.py"
    SYSTEM = "pages/system.py"

    @property
    def address(self) -> str:
        """Its path in the browser."""
        return Path(self.value).stem


USED_FOR: Final[Mapping[str, Action]] = {
    Place.GENERATE.address: Action.RUN_BATCH,
    Place.IMPORTS.address: Action.IMPORT,
    Place.PEOPLE.address: Action.MANAGE_PEOPLE,
}
"""What the pages are for that are of no use without it, by address; all others are there to be read."""


def draw_frame(app: App) -> None:
    """Draw what stands on every page: which mode this is, and what earlier runs left to be told."""
    own = desk()
    while own.moves:
        name = next(iter(own.moves))
        set_place(name, own.moves[name])
        del own.moves[name]
    draw_person(own)
    draw_banner(app)
    while own.notices:
        st.toast(own.notices[0].text, icon=own.notices[0].icon)
        del own.notices[0]
    for fault in own.complaints():
        show_error(fault)


def follow_goal(page: str) -> None:
    """Go where the last deed leads, even where the run that did it was cut off; `page` is where we are."""
    own = desk()
    if own.goal is None:
        return
    if Place(own.goal.page).address != page:
        st.switch_page(own.goal.page, query_params=dict(own.goal.query))
    for name, value in own.goal.query.items():  # another batch on the page that shows one
        if place(name) != value:
            set_place(name, value)
    own.goal = None


def may_open(app: App, address: str) -> bool:
    """Whether the page at an address is of use to who is looking."""
    action = USED_FOR.get(address)
    return action is None or app.may(action)


def open_page() -> App:
    """Return the App for a page that Home.py has framed.

    A server whose first visitor comes by a deep link runs the file of pages/ alone, until the router has
    been declared once; then this declares it and starts the run again. The first page declared answers for
    the bare address, so Home has to stand first here too, or the page asked for is not found.
    """
    if not is_framed():
        home = st.Page(st.rerun, title="Home", default=True)
        st.navigation([home, *(st.Page(one.value) for one in Place)], position="hidden")
        st.rerun()
    return current_app()


def draw_banner(app: App) -> None:
    """Say calmly when the demo writer or the embedded database is in use."""
    parts = mode_lines(app)
    if parts:
        with st.container(key="mode-banner"):
            st.caption(" · ".join(parts))


def mode_lines(app: App) -> list[str]:
    """Return the sentences of the banner, safe for a label."""
    lines = []
    if app.settings.default_writer is WriterName.DEMO:
        lines.append("**Demo writer**: new batches are made up by rule, not by Claude")
    if app.settings.database is Database.EMBEDDED:
        lines.append(f"**Embedded database** in {label_safe(app.settings.home)}")
    return lines


def page_head(title: str, caption: str = "") -> None:
    """Draw a page's title and one sentence on what it is for; both are our own words."""
    st.title(title, anchor=False)
    if caption:
        st.caption(caption)


def tell_role(app: App, action: Action) -> None:
    """Say it where who looks may read a page and not use it; what is tried all the same is refused with its reason."""
    if not app.may(action):
        st.caption(f"You read here as {app.role}; to {action.value} takes the role {LOWEST[action]}.")


def draw_closed(app: App, title: str, address: str) -> None:
    """Draw, in place of a page that is of no use to who looks, what it takes; a link or a bookmark led here."""
    page_head(title)
    with told():
        require(app.role, USED_FOR[address])


def empty_state(
    title: str,
    text: str,
    *,
    link: Place | None = None,
    label: str = "",
    query: Mapping[str, str] | None = None,
) -> None:
    """Say that nothing is here yet, why, and what to do next; the words are our own."""
    with st.container(border=True, horizontal_alignment="center", gap="small"):
        st.space("small")
        st.subheader(title, anchor=False, width="content")
        st.markdown(text, width="content")
        if link is not None:
            st.page_link(link.value, label=label or "Go there", query_params=dict(query or {}))
        st.space("small")


@contextmanager
def told() -> Iterator[None]:
    """Show an error of ours where it happened, with its remedy, and go on with the rest of the page.

    What renews itself is drawn for nobody who may not come in any more: the whole page then shows the door.
    """
    try:
        if not is_admitted():
            st.rerun(scope="app")
        yield
    except BrightRunError as fault:
        show_error(fault)


def show_error(fault: BrightRunError) -> None:
    """Show what went wrong and what to do; the text may quote a file or a model."""
    message = "  \n".join(label_safe(line, limit=600) for line in fault.message.splitlines() if line.strip())
    remedy = f"  \n{label_safe(fault.remedy, limit=600)}" if fault.remedy else ""
    st.error(f"**{message}**{remedy}" if "\n" not in message else message + remedy)


def show_faults(title: str, fault: ValidationError) -> None:
    """Show what is wrong with a form, one line a field, by what the fields are called there; the title is our own."""
    st.error(f"**{title}**")
    wrong = [
        found.placed(words(found.field)) if found.field else words(found.said) for found in faults_of(fault)
    ]
    st.text("\n".join(f"• {line}." for line in wrong))
