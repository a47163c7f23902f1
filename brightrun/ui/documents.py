"""The documents of a conversation: the answer as it came, what was made of it, and how they look."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.conversation import Conversation
from brightrun.domain.errors import BrightRunError
from brightrun.domain.ids import ConversationId
from brightrun.domain.person import Action
from brightrun.ui.downloads import draw_download
from brightrun.ui.frame import told
from brightrun.ui.session import begin
from brightrun.ui.text import counted, words

MOST_SHOWN = 400_000
"""Bytes of a document that a page still shows without stumbling; a larger one is taken away and looked at."""


def draw_files(app: App, conversation: Conversation) -> None:
    """Draw each stored document: to be taken away, or to be looked at here."""
    st.caption("What is stored: the answer as it came, the conversation made of it, and with all its fields.")
    paths = {
        "Raw answer": conversation.raw_path,
        "Final JSON": conversation.final_path,
        "Enriched JSON": conversation.enriched_path,
    }
    with st.container(horizontal=True):
        for label, path in paths.items():
            if path is not None:
                draw_download(
                    label,
                    partial(app.enrichment.document, path),
                    file_name=path.replace("/", "-"),
                    mime="application/json",
                    key=f"file-{path}",
                )
    missing = [label for label, path in paths.items() if path is None]
    if missing:
        st.caption(f"Not stored: {', '.join(missing)}.")
    _draw_shown(app, paths)
    st.caption(f"Enrichment: {words(conversation.enrichment_status.value).lower()}.")
    if conversation.item_id or conversation.import_id:
        st.button(
            "Enrich again",
            key="enrich-again",
            on_click=_enrich,
            args=(app, conversation.id),
            help="Makes both documents again from what is stored; costs nothing.",
            disabled=not app.may(Action.ENRICH),
        )


def _enrich(app: App, conversation_id: ConversationId) -> None:
    own = begin()
    try:
        app.enrichment.enrich(conversation_id)
    except BrightRunError as fault:
        own.complain(fault)
    else:
        own.notify("Both documents were made again.")


def _draw_shown(app: App, paths: Mapping[str, str | None]) -> None:
    """Show one document as it is stored, where somebody wants to see it."""
    chosen = st.segmented_control(
        "Show", [name for name, path in paths.items() if path], key="document-shown"
    )
    path = paths.get(str(chosen))
    if not path:
        return
    with told():
        data = app.enrichment.document(path)
        if len(data) > MOST_SHOWN:
            st.caption(f"It has {counted(len(data), 'byte')}: download it to look at it.")
            return
        try:
            st.json(json.loads(data), expanded=2)
        except ValueError:
            st.code(data.decode("utf-8", "replace"), language=None)
