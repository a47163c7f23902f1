"""One conversation, whole: its turns as plain text, its score with reasons, its past, its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from brightrun.bootstrap import App
from brightrun.domain.batch import WriterName
from brightrun.domain.conversation import Conversation, Turn
from brightrun.domain.errors import BrightRunError
from brightrun.domain.review import Review
from brightrun.domain.text import shortened
from brightrun.ui.corrections import draw_correction, draw_editor, draw_tools, editing
from brightrun.ui.documents import draw_files
from brightrun.ui.frame import Place, show_error
from brightrun.ui.judging import draw_verdicts
from brightrun.ui.opened import Opened
from brightrun.ui.origin import draw_origin
from brightrun.ui.reviews import Queue
from brightrun.ui.revisions import draw_again
from brightrun.ui.text import label_safe, words
from brightrun.ui.theme import REVIEW_COLOURS
from brightrun.ui.walk import open_conversation

HEIGHT = 690
SHOWN_TEXT = 20_000


def draw_reader(app: App, queue: Queue, above: DeltaGenerator) -> None:
    """Draw the conversation being read, and what can be asked of it in the row above.

    Everything a model or a person wrote stands as plain text.
    """
    try:
        opened = open_conversation(app, queue)
    except BrightRunError as fault:
        show_error(fault)
        return
    conversation = opened.conversation
    with above:
        st.space("stretch")
        draw_again(app, conversation)
    with st.container(height=HEIGHT, key="reader"):
        _draw_head(conversation)
        talk, why, scenario, origin, past, files = st.tabs(
            ["Conversation", "Score", "Scenario", "Origin", "History", "Files"]
        )
        with talk:
            _draw_turns(app, opened)
        with why:
            _draw_score(conversation)
            draw_verdicts(opened.verdicts, conversation.version)
        with scenario:
            _draw_scenario(app, conversation)
        with origin:
            draw_origin(app, opened)
        with past:
            _draw_history(opened.history)
        with files:
            draw_files(app, conversation)


def _draw_head(conversation: Conversation) -> None:
    st.markdown(f"**{label_safe(shortened(conversation.name, 80))}**")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(f"{conversation.quality_score:.1f} of 10", color="gray")
        st.badge(words(conversation.status.value), color=REVIEW_COLOURS[conversation.status])
        if conversation.writer == WriterName.DEMO:
            st.badge("Demo writer: made up by rule", color="orange")
        elif conversation.import_id:
            st.badge(f"Imported, line {conversation.import_line}", color="blue")
        else:
            st.badge(label_safe(conversation.model), color="violet")
    for finding in _findings(conversation):
        if finding["turn"] is None:
            _draw_finding(finding)


def _draw_turns(app: App, opened: Opened) -> None:
    conversation, corrected = opened.conversation, opened.corrections
    if conversation.system:
        with st.expander("System message of the training row"):
            _draw_text(conversation.system, f"whole-{conversation.id}-system")
    findings = [f for f in _findings(conversation) if f["turn"] is not None]
    for number, turn in enumerate(conversation.turns, 1):
        with st.chat_message(turn.role.value):
            own = [correction for correction in corrected if correction.turn == number]
            if editing(conversation, number):
                draw_editor(app, conversation, number)
            else:
                _draw_turn(app, conversation, number, turn)
            for finding in findings:
                if finding["turn"] == number:
                    _draw_finding(finding)
            if own:
                draw_correction(own, number, turn)


def _draw_turn(app: App, conversation: Conversation, number: int, turn: Turn) -> None:
    _draw_text(turn.content, f"whole-{conversation.id}-{number}")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.caption(_beneath(number, turn), width="content")
        draw_tools(app, conversation, number, turn)


def _draw_text(text: str, key: str) -> None:
    """Draw a text as it is; of an endless one the beginning, until somebody asks: layout takes a browser seconds."""
    if len(text) > SHOWN_TEXT and not st.toggle(f"All {len(text):,} characters", key=key):
        text = f"{text[:SHOWN_TEXT]}…"
    st.text(text)


def _beneath(number: int, turn: Turn) -> str:
    emotion = turn.emotion
    if not emotion:
        return str(number)
    second = f", {emotion.secondary}" if emotion.secondary else ""
    level = f" · {emotion.intensity:.1f}" if emotion.intensity is not None else ""
    return f"{number} · {label_safe(emotion.primary + second, limit=80)}{level}"


def _draw_finding(finding: Mapping[str, Any]) -> None:
    text = label_safe(f"{finding['message']} {finding.get('suggestion') or ''}", limit=400)
    if finding["severity"] == "blocker":
        st.error(f"**Cannot be approved.** {text}")
    elif finding["severity"] == "warning":
        st.warning(text)
    else:
        st.caption(text)
    if finding.get("other"):
        st.page_link(Place.REVIEW.value, label="Read the other", query_params={"id": str(finding["other"])})


def _draw_score(conversation: Conversation) -> None:
    breakdown: Mapping[str, Mapping[str, Any]] = conversation.quality.get("breakdown") or {}  # type: ignore[assignment]
    for name, part in breakdown.items():
        weight = f"{float(part['weight']):.0%} of the score"
        st.progress(float(part["score"]) / 10, text=f"**{words(name)} {part['score']:.1f}** · {weight}")
        st.caption(label_safe(part["reason"]))
    if not _findings(conversation):
        st.caption("No rule found anything to look at.")


def _draw_scenario(app: App, conversation: Conversation) -> None:
    scenario = conversation.scenario
    for name, part in {"Tier": words(scenario.tier.value), **app.scenarios.parts(scenario)}.items():
        st.markdown(f"**{name}** {label_safe(part)}")
    for variable, value in scenario.variables.items():
        st.caption(label_safe(variable))
        st.text(value)


def _draw_history(history: Sequence[Review]) -> None:
    if not history:
        st.caption("Nobody has decided on it yet.")
    for review in history:
        change = f"{words(review.previous_status.value)} → {words(review.decision.value)}"
        undone = " (an undo)" if review.undoes else ""
        when = f"{review.created_at.astimezone():%d %b %Y, %H:%M}"
        st.markdown(f"**{change}**{undone} · {label_safe(review.reviewer)} · {when}")
        for text in (review.reason, review.note):
            if text:
                st.text(text)


def _findings(conversation: Conversation) -> list[Mapping[str, Any]]:
    return [*conversation.marks, *conversation.findings]
