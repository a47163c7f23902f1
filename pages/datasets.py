"""Datasets: what was approved, frozen and ready to train on."""

from __future__ import annotations

import streamlit as st

from brightrun.domain.person import Action
from brightrun.ui.datasets import (
    draw_comparison,
    draw_datasets,
    draw_files,
    draw_head,
    draw_report,
    opened_dataset,
)
from brightrun.ui.frame import open_page, page_head, tell_role, told
from brightrun.ui.freezing import draw_maker
from brightrun.ui.preflight import draw_preflight

app = open_page()

with told():
    dataset = opened_dataset(app)
    if dataset is None:
        page_head("Datasets", "Freeze what is approved, then download it for a trainer or a spreadsheet.")
        tell_role(app, Action.FREEZE_DATASET)
        draw_maker(app)
        draw_datasets(app)
    else:
        draw_head(dataset)
        draw_report(app, dataset)
        files, preflight, comparison = st.tabs(["Files", "Preflight", "Compare"])
        with files, told():
            draw_files(app, dataset)
        with preflight, told():
            draw_preflight(app, app.datasets.get(dataset.id))
        with comparison, told():
            draw_comparison(app, dataset)
