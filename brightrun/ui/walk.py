"""From one conversation to the next: filter and place are kept, and the next one is there before it is asked for."""

from __future__ import annotations

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError
from brightrun.domain.ids import ConversationId
from brightrun.ui.filters import AT
from brightrun.ui.opened import Opened
from brightrun.ui.reviews import PAGE, Queue
from brightrun.ui.session import begin, desk, page_at

FRESH_SECONDS = 60.0
"""What was read ahead is used for so long, and only while its row is as it was."""


def open_conversation(app: App, queue: Queue) -> Opened:
    """Return the conversation being read: as it was read ahead where that still holds; raises NotFound."""
    ahead = desk().ahead
    wanted = queue.reading.id
    if (
        ahead is not None
        and ahead.conversation.id == wanted
        and time.monotonic() - ahead.at < FRESH_SECONDS
        and ahead.conversation.row_version
        in {row["row_version"] for row in queue.rows if row["id"] == wanted}
    ):
        return ahead
    return _load(app, wanted)


def look_ahead(app: App, queue: Queue) -> None:
    """Read the next conversation while this one is looked at."""
    ids = _ids(queue)
    here = _here(queue)
    following = ids[here + 1] if here is not None and here + 1 < len(ids) else None
    known = desk().ahead
    if following is None or (known is not None and known.conversation.id == following):
        return
    try:
        desk().ahead = _load(app, following)
    except BrightRunError:
        desk().ahead = None  # it is read, and its fault told, when it is its turn


def draw_walk(app: App, queue: Queue, sort: str) -> DeltaGenerator:
    """Draw where in the list this is, and the ways to the one before and the next; returns their row."""
    here, at = _here(queue), page_at(AT, queue.pages)
    first = here == 0 and at == 1
    last = not queue.rows or (here == len(queue.rows) - 1 and at == queue.pages)
    row = st.container(horizontal=True, vertical_alignment="center", key="walk")
    with row:
        st.button(
            "Previous",
            key="walk-previous",
            type="tertiary",
            disabled=here is None or first,
            on_click=_step,
            args=(app, queue, sort, -1),
        )
        st.button(
            "Next",
            key="walk-next",
            type="tertiary",
            disabled=last,
            on_click=_step,
            args=(app, queue, sort, 1),
        )
        place = (
            ("Not on this page of the list" if queue.pages > 1 else "Not in this list any more")
            if here is None
            else f"{(at - 1) * PAGE + here + 1:,} of {queue.total:,}"
        )
        st.caption(place, width="content")
    return row


def _step(app: App, queue: Queue, sort: str, way: int) -> None:
    own = begin()
    ids, here, at = _ids(queue), _here(queue), page_at(AT, queue.pages)
    goal = 0 if here is None else here + way
    if 0 <= goal < len(ids):
        own.moves["id"] = ids[goal]
        return
    if not 1 <= at + way <= queue.pages:
        return
    offset = at * PAGE if way > 0 else (at - 1) * PAGE - 1
    try:
        rows = app.reviews.page(queue.chosen, sort=sort, limit=1, offset=offset, total=queue.total)
    except BrightRunError as fault:
        own.complain(fault)
        return
    st.session_state[AT] = at + way
    own.moves["id"] = str(rows[0]["id"]) if rows else None


def _ids(queue: Queue) -> list[ConversationId]:
    return [ConversationId(row["id"]) for row in queue.rows]


def _here(queue: Queue) -> int | None:
    """Return the place of what is being read among the rows; None where it has left them."""
    ids = _ids(queue)
    return ids.index(queue.reading.id) if queue.reading.id in ids else None


def _load(app: App, conversation_id: ConversationId) -> Opened:
    conversation = app.reviews.read(conversation_id)
    return Opened(
        conversation,
        app.corrections.of(conversation.id) if conversation.version > 1 else [],
        app.reviews.history(conversation.id),
        app.revisions.of(conversation.id),
        app.judging.of(conversation.id),
        time.monotonic(),
    )
