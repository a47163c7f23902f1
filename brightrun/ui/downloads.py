"""Downloads that are made when they are asked for and still lie there when the browser comes for them."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Literal

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

KEPT = 4
"""How many of the last files asked for stay in memory: a browser fetches its file within moments."""

_places = itertools.cycle(range(KEPT))


def draw_download(
    label: str,
    make: Callable[[], str | bytes],
    *,
    file_name: str,
    mime: str,
    key: str,
    type: Literal["primary", "secondary"] = "secondary",
) -> None:
    """Draw a button whose file is made by the click, without drawing the page again."""
    st.download_button(
        label,
        data=_kept(make, file_name, mime),
        file_name=file_name,
        mime=mime,
        on_click="ignore",
        key=key,
        type=type,
    )


def _kept(make: Callable[[], str | bytes], file_name: str, mime: str) -> Callable[[], bytes]:
    """Return the same maker, whose last few files are held.

    Streamlit counts a file made by a click as nobody's and throws it away when the next script run ends, in
    whichever tab: a live page elsewhere would take it from under the browser. The same bytes under the same
    name are one file to it, so a reference of our own, in the name of no tab, keeps them.
    """
    context = copy.copy(get_script_run_ctx())

    def make_and_keep() -> bytes:
        made = make()
        data = made.encode("utf-8") if isinstance(made, str) else made
        if context is not None and runtime.exists():
            context.session_id = "downloads"
            add = partial(runtime.get_instance().media_file_mgr.add, is_for_static_download=True)
            keep = Thread(target=add, args=(data, mime, f"download-{next(_places)}", file_name))
            add_script_run_ctx(keep, context).start()
            keep.join()
        return data

    return make_and_keep
