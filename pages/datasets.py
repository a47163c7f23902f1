"""Datasets: what was approved, frozen and ready to train on."""

from __future__ import annotations

import streamlit as st

from brightrun.ui.datasets import draw_datasets, draw_maker
from brightrun.ui.frame import open_page, page_head, told

app = open_page()

page_head("Datasets", "Freeze what is approved, then download it for a trainer or a spreadsheet.")
with told():
    draw_maker(app)
    draw_datasets(app)
with st.expander("What the files hold"):
    st.markdown(
        "- **JSONL for training**: one conversation a line with `messages`; TRL, Axolotl and LLaMA-Factory "
        "load it. Training columns only.\n"
        "- **Sidecar**: one line for each training row, joined by `id`: decision, reviewer, score, scaffolding.\n"
        "- **CSV**: one turn a row for people; no cell can run as a formula.\n"
        "- **JSON**: everything in one document."
    )
