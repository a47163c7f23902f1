"""The page of imports: a file in, and what became of each of its entries."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import BrightRunError
from brightrun.domain.imports import Import, Outcome
from brightrun.domain.person import Action
from brightrun.domain.review import ConversationFilter
from brightrun.services.duplicates import CODE
from brightrun.ui.filters import ANY
from brightrun.ui.frame import Place, empty_state
from brightrun.ui.freezing import with_bar
from brightrun.ui.session import begin, close_question, desk, person, place, set_place
from brightrun.ui.text import counted, label_safe, plain, words

KINDS = ["jsonl", "ndjson", "json", "csv", "gz"]
MAX_MEGABYTES = 200
SHOWN_IMPORTS = 50
SHOWN_LINES = 500


def draw_intake(app: App) -> None:
    """Draw the way in: a file, a name, one button."""
    number = desk().taken
    with st.form("import", border=True):
        file = st.file_uploader(
            "File",
            type=KINDS,
            key=f"import-file-{number}",
            max_upload_size=MAX_MEGABYTES,
            help="JSONL, a JSON list or CSV, also as .gz: `messages`, ShareGPT `conversations`, or Alpaca.",
        )
        name = st.text_input(
            "Name", key=f"import-name-{number}", placeholder="The file's name", max_chars=255
        )
        if st.form_submit_button("Import", type="primary"):
            if file is None:
                st.warning("Choose a file first.")
            else:
                _take(app, file.name, file.getbuffer(), name)


def draw_imports(app: App) -> None:
    """Draw what was imported, newest first, and one of them line by line."""
    found = app.imports.page(limit=SHOWN_IMPORTS)
    if not found:
        empty_state(
            "Nothing has been imported yet", "What is imported waits for review like what was written."
        )
        return
    wanted = place("import")
    chosen = next((one for one in found if one.id == wanted), found[0])
    picked = st.selectbox(
        "Import",
        [one.id for one in found],
        index=[one.id for one in found].index(chosen.id),
        format_func={one.id: _title(one) for one in found}.__getitem__,
        key=f"import-shown-{wanted}",
    )
    if picked != chosen.id:
        set_place("import", picked)
        chosen = next(one for one in found if one.id == picked)
    _draw_import(app, chosen)


def _draw_import(app: App, found: Import) -> None:
    columns = st.columns(5)
    figures = {
        "Entries": found.entries,
        "Imported": found.imported,
        "Refused": found.refused,
        "Here already": found.duplicates,
        "Blank lines": found.blank,
    }
    for column, (label, value) in zip(columns, figures.items(), strict=True):
        column.metric(label, f"{value:,}")
    if found.status == "processing":
        st.warning("It was broken off. Import the same file under the same name, and it goes on.")
    if found.imported:
        _draw_way(app, found)
        _draw_near(app, found)
    if found.status == "completed" and app.may(Action.IMPORT):
        st.button(
            "Withdraw…",
            key="import-withdraw",
            type="tertiary",
            icon=":material/delete:",
            on_click=desk().ask,
            args=(("withdraw", found.id),),
        )
        if desk().asked() == ("withdraw", found.id):
            _confirm_withdrawal(app, found)
    titles = {
        Outcome.REFUSED: "Refused",
        Outcome.DUPLICATE: "Here already",
        Outcome.IMPORTED: "Taken with changes",
    }
    for outcome, title in titles.items():
        noted = outcome is Outcome.IMPORTED
        lines = app.imports.lines(found.id, outcome, limit=SHOWN_LINES, noted=noted)
        if lines:
            st.subheader(title)
            st.dataframe(
                pd.DataFrame(
                    [{words(found.unit): line.line, "Reason": plain(found.told(line))} for line in lines]
                ),
                hide_index=True,
                width="stretch",
            )
            if len(lines) == SHOWN_LINES:
                st.caption(f"The first {SHOWN_LINES} are shown; `brightrun import --json` lists all.")


def _draw_way(app: App, found: Import) -> None:
    """Draw the way to what waits of an import; where all of it is decided, to the whole."""
    waiting = app.reviews.count(
        ConversationFilter(import_id=found.id, status=ConversationStatus.PENDING_REVIEW)
    )
    wait = counted(waiting, "conversation that waits", "conversations that wait")
    label, status = f"Review the {wait}", words(ConversationStatus.PENDING_REVIEW.value)
    if not waiting:
        label, status = (
            f"Read the {counted(found.imported, 'conversation')}: none waits for review",
            words(ANY),
        )
    st.page_link(Place.REVIEW.value, label=label, query_params={"import": found.id, "status": status})


def _draw_near(app: App, found: Import) -> None:
    """Draw the way to what is nearly the same as something else, and to have it looked for once more."""
    near = app.reviews.count(ConversationFilter(import_id=found.id, flag=CODE))
    with st.container(horizontal=True, vertical_alignment="center"):
        if near:
            st.page_link(
                Place.REVIEW.value,
                label=f"{near:,} of them nearly the same as another",
                query_params={"import": found.id, "status": "any", "flag": CODE},
            )
        st.button(
            "Flag near-duplicates",
            key="import-duplicates",
            on_click=_mark,
            args=(app, found),
            disabled=not app.may(Action.REVIEW),
            help="Within this import and against everything approved; a small import is looked through by itself.",
        )


@st.dialog("Withdraw this import?", on_dismiss=close_question)
def _confirm_withdrawal(app: App, found: Import) -> None:
    """Say what goes and what would keep it, and do it while the dialog shows how far it is."""
    st.markdown(
        f"**{label_safe(found.name, limit=80)}** goes, and what it brought with it for everybody: "
        f"{counted(found.imported, 'conversation')} with their files. The same file can be imported again afterwards."
    )
    st.caption(
        "Once one of them was decided on, corrected, judged, written again or frozen, it can no longer be withdrawn."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        keep = st.button("Keep it", key="import-withdraw-keep")
        go = st.button("Withdraw it", key="import-withdraw-sure", type="primary")
    if go:
        _withdraw(app, found)
    if keep or go:
        close_question()
        st.rerun()


def _withdraw(app: App, found: Import) -> None:
    own, actor = begin(), person()
    try:
        gone = with_bar(
            "Deleting files", lambda told: app.imports.withdraw(found.id, actor=actor, progress=told)
        )
    except BrightRunError as fault:
        own.complain(fault)
        return
    own.moves["import"] = None
    own.notify(label_safe(f"{found.name} is withdrawn: {counted(gone, 'conversation')} removed."))


def _mark(app: App, found: Import) -> None:
    own = begin()
    try:
        own.notify(app.duplicates.mark_import(found.id).story())
    except BrightRunError as fault:
        own.complain(fault)


def _title(found: Import) -> str:
    file = "" if found.name == found.file_name else f" ({plain(found.file_name)})"
    return f"{plain(found.name)}{file} · {found.created_at.astimezone():%d %b %Y, %H:%M}"


def _take(app: App, file_name: str, data: memoryview, name: str) -> None:
    """Take the file in; what it led to is told by the next run, whatever the browser does meanwhile."""
    own, actor = begin(), person()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload{''.join(Path(file_name).suffixes[-2:]).lower()}"
        path.write_bytes(data)
        try:
            found = app.imports.take(path, actor=actor, name=name or None, file_name=file_name)
        except BrightRunError as fault:
            own.complain(fault)
        else:
            own.taken += 1
            own.moves["import"] = found.id
            own.notify(label_safe(f"{counted(found.imported, 'conversation')} imported from {found.name}"))
    st.rerun()
