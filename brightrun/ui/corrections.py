"""Correcting in the reader: a turn edited where it stands, kept out of training, and what was changed in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.conversation import Conversation, Role, Turn
from brightrun.domain.correction import Corrected, Correction
from brightrun.domain.errors import BrightRunError, Conflict
from brightrun.domain.ids import ConversationId
from brightrun.domain.person import Action
from brightrun.ui.desk import Editing
from brightrun.ui.difference import draw_difference
from brightrun.ui.session import begin, desk, person
from brightrun.ui.text import label_safe

TALL, LOW = 420, 110


def editing(conversation: Conversation, number: int) -> bool:
    """Whether this turn is being edited in this tab."""
    own = desk().editing
    return own is not None and (own.conversation, own.turn) == (conversation.id, number)


def editing_field() -> str | None:
    """Return where the turn that is being edited is typed, as a selector of the page."""
    own = desk().editing
    return f".st-key-{_keys(own)[0]} textarea" if own else None


def draw_tools(app: App, conversation: Conversation, number: int, turn: Turn) -> None:
    """Draw what can be done with one turn."""
    if not app.may(Action.CORRECT):
        return
    with st.container(horizontal=True, width="content", vertical_alignment="center"):
        _draw_buttons(app, conversation, number, turn)


def draw_editor(app: App, conversation: Conversation, number: int) -> None:
    """Draw one turn as a text to be changed; a draft outlives a look at other conversations."""
    own = desk().editing
    assert own
    turn = conversation.turns[number - 1]
    text_key, note_key = _keys(own)
    st.session_state.setdefault(text_key, turn.content)
    st.text_area(
        f"Turn {number}",
        key=text_key,
        height=min(TALL, max(LOW, 24 * (2 + len(turn.content) // 60))),
        persist_state="session",
    )
    st.text_input("Why", key=note_key, placeholder="Kept with the correction", persist_state="session")
    # No form: what is typed in one reaches nobody before it is sent, and a look elsewhere would lose it.
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Save",
            key=f"edit-save-{number}",
            type="primary",
            shortcut="Ctrl+Enter",
            on_click=_save,
            args=(app, own),
        )
        st.button("Cancel", key=f"edit-cancel-{number}", shortcut="Escape", on_click=_close)
    if own.is_late:
        st.caption("As it stands now:")
        st.text(turn.content)


def draw_correction(corrections: Sequence[Correction], number: int, turn: Turn) -> None:
    """Draw who changed a turn and, on demand, what the writer wrote against what stands there now."""
    last, original = corrections[-1], corrections[0].before
    worded = [c for c in corrections if c.before.content != c.after.content]
    if not worded:
        return
    when = f"{last.created_at.astimezone():%d %b, %H:%M}"
    with st.expander(f"Corrected by {label_safe(worded[-1].corrector)}, {when}", key=f"corrected-{number}"):
        draw_difference(original.content, turn.content)
        for correction in worded:
            if correction.note:
                st.text(correction.note)


def _draw_buttons(app: App, conversation: Conversation, number: int, turn: Turn) -> None:
    if turn.role is Role.ASSISTANT:
        st.button(
            "Skip" if turn.train else "Skipped: train again",
            key=f"skip-{number}",
            type="tertiary",
            on_click=_mark,
            args=(app, conversation, number, not turn.train),
            help="Keep the turn, but teach no model to say it." if turn.train else None,
        )
    st.button(
        "Edit",
        key=f"edit-{number}",
        type="tertiary",
        on_click=_open,
        args=(conversation, number),
    )


def _keys(own: Editing) -> tuple[str, str]:
    """Return the keys of draft and note: a turn has one draft, however its conversation goes on."""
    return f"edit-text-{own.conversation}-{own.turn}", f"edit-note-{own.conversation}-{own.turn}"


def _open(conversation: Conversation, number: int) -> None:
    begin().editing = Editing(conversation.id, number, conversation.row_version)


def _close() -> None:
    own = begin()
    editing_now, own.editing = own.editing, None
    _forget(editing_now)


def _forget(own: Editing | None) -> None:
    if own:
        for key in _keys(own):
            st.session_state.pop(key, None)


def _save(app: App, open_turn: Editing) -> None:
    text_key, note_key = _keys(open_turn)
    text, note = st.session_state[text_key], st.session_state.get(note_key)
    who = person()
    done = _do(
        app,
        open_turn,
        lambda: app.corrections.correct(
            ConversationId(open_turn.conversation),
            open_turn.turn,
            text,
            corrector=who,
            row_version=open_turn.row_version,
            note=note,
        ),
    )
    if done:
        _forget(open_turn)


def _mark(app: App, conversation: Conversation, number: int, train: bool) -> None:
    who = person()
    seen = Editing(conversation.id, number, conversation.row_version)
    _do(
        app,
        seen,
        lambda: app.corrections.mark(
            conversation.id, number, train=train, corrector=who, row_version=conversation.row_version
        ),
    )


def _do(app: App, seen: Editing, deed: Callable[[], Corrected]) -> bool:
    """Do it and tell; where somebody was faster, the draft stays and the next save is on what stands now."""
    own = begin()
    own.reading = None  # what follows decides on what stands then
    try:
        done = deed()
    except Conflict as fault:
        own.complain(fault)
        if own.editing:
            now = app.reviews.read(ConversationId(seen.conversation))
            own.editing = replace(seen, row_version=now.row_version, is_late=True)
        return False
    except BrightRunError as fault:
        own.complain(fault)
        return False
    own.editing = None
    own.own_deeds.clear()
    fell = " The decision before fell away; it waits for one again." if done.was_decided else ""
    own.notify(
        f"Saved as version {done.version}. Score {done.score:.1f}, it was {done.score_before:.1f}.{fell}"
        + (f" {label_safe(done.warning)}" if done.warning else "")
    )
    return True
