"""Where a conversation comes from and what came of it: template, model, calls, cost, parent and successors."""

from __future__ import annotations

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import WriterName
from brightrun.domain.conversation import Conversation
from brightrun.domain.revision import Again
from brightrun.ui.costs import draw_calls
from brightrun.ui.filters import ANY
from brightrun.ui.frame import Place, told
from brightrun.ui.opened import Opened
from brightrun.ui.text import ago, dollars, label_safe, words


def draw_origin(app: App, opened: Opened) -> None:
    """Draw who wrote it with what and for how much, and the ways to its parent and its successors."""
    _draw_parent(opened.conversation)
    for one in opened.again:
        _draw_successor(one)
    with told():
        _draw_writing(app, opened.conversation)


def _draw_parent(conversation: Conversation) -> None:
    revision = conversation.scenario.revision
    if revision is None:
        return
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**Written again**", width="content")
            _draw_link(revision.parent_id, f"From version {revision.version} of this conversation")
        st.caption("because of this feedback:")
        st.text(revision.note)


def _draw_successor(one: Again) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            if one.conversation_id:
                score = f" · {one.quality_score:.1f} of 10" if one.quality_score is not None else ""
                _draw_link(one.conversation_id, f"Written again · {words(one.status or '')}{score}")
            else:
                st.page_link(
                    Place.BATCH.value,
                    label=f"To be written again · {words(one.item_status).lower()}",
                    query_params={"job": one.job_id},
                )
            st.caption(ago(one.created_at), width="content")
        st.text(one.note)


def _draw_link(conversation_id: str, label: str) -> None:
    """Draw a way to another conversation, whichever filter it would fall under."""
    st.page_link(Place.REVIEW.value, label=label, query_params={"status": words(ANY), "id": conversation_id})


def _draw_writing(app: App, conversation: Conversation) -> None:
    st.caption("Written with")
    st.text(conversation.template_name or "no template of ours")
    st.text(f"{conversation.writer} · {conversation.model} · {dollars(conversation.cost)}")
    if conversation.item_id and conversation.writer != WriterName.DEMO:
        draw_calls(app, conversation.item_id)
    if conversation.job_id:
        st.page_link(
            Place.BATCH.value, label="The batch it is from", query_params={"job": conversation.job_id}
        )
    st.caption(f"Version {conversation.version}. For commands and other programs, it is known as:")
    ids = {
        "This conversation": conversation.id,
        "In files and exports": conversation.key,
        "Its item of the batch": conversation.item_id,
        "Its batch": conversation.job_id,
    }
    st.code(
        "\n".join(f"{name}: {known}" for name, known in ids.items() if known), language=None, wrap_lines=True
    )
    st.caption(label_safe(f"Stored {conversation.created_at.astimezone():%d %b %Y, %H:%M}"))
