"""Preflight: a sample as the model will see it, and each trainer's verdict."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.chat import TEMPLATES, ChatTemplate
from brightrun.domain.dataset import Dataset
from brightrun.domain.errors import BrightRunError, TemplateFault
from brightrun.services.preflight import Preflight, built_in, preflight
from brightrun.ui.frame import show_error
from brightrun.ui.text import label_safe

OWN = "own"
NAMES = {
    "chatml": "ChatML",
    "llama": "Llama",
    "gemma": "Gemma-like",
    "mistral": "Mistral-like",
    OWN: "Uploaded",
}
LENGTHS = (1024, 2048, 4096, 8192)


def draw_preflight(app: App, dataset: Dataset) -> None:
    """Let a person pick a chat template and a length, and show what becomes of the rows."""
    name_at, length_at, merge_at = st.columns([4, 2, 3], vertical_alignment="bottom")
    name = name_at.segmented_control(
        "Chat template", list(NAMES), default="chatml", format_func=NAMES.__getitem__, key="template"
    )
    length = length_at.selectbox("Maximum length", LENGTHS, index=1, format_func="{:,} tokens".format)
    merge = merge_at.checkbox("Merge system into first user turn", key="try-merge")
    try:
        template = _template(name or "chatml")
        if template is None:
            st.caption("Upload a `chat_template.jinja`, as it stands beside a model's tokenizer.")
            return
        found = preflight(app.datasets, dataset, template, max_length=length, merge_system=merge)
    except BrightRunError as fault:
        show_error(fault)
        return
    _draw_verdicts(found)
    _draw_lengths(app, dataset)
    _draw_sample(found)


def _template(name: str) -> ChatTemplate | None:
    if name in TEMPLATES:
        return built_in(name)
    given = st.file_uploader("Chat template", type=["jinja", "jinja2", "txt"], key="template-file")
    if given is None:
        return None
    try:
        return ChatTemplate(given.getvalue().decode("utf-8"))
    except UnicodeDecodeError as fault:
        raise TemplateFault("The file is not UTF-8 text.", remedy="Save it as UTF-8.") from fault


def _draw_verdicts(found: Preflight) -> None:
    if found.rows < found.total:
        st.caption(f"The first {found.rows:,} of {found.total:,} rows were rendered.")
    for refusal in found.refusals:
        st.error(label_safe(refusal, limit=400))
    table = [
        {
            "Trainer": verdict.trainer.value,
            "Accepted": verdict.accepted,
            "Refused": verdict.refused,
            "Too long": verdict.shortened,
            "Trains nothing": verdict.untrained,
        }
        for verdict in found.verdicts
    ]
    narrow = st.column_config.NumberColumn(width=90)
    st.dataframe(
        pd.DataFrame(table),
        hide_index=True,
        column_config={name: narrow for name in table[0] if name != "Trainer"} if table else {},
    )
    with st.expander("Advice by trainer"):
        for verdict in found.verdicts:
            st.markdown(f"**{verdict.trainer.value}**")
            for line in verdict.advice or ("Nothing to mind.",):
                st.text(line)


def _draw_lengths(app: App, dataset: Dataset) -> None:
    report = app.datasets.report(dataset)
    over, rows = report["tokens"]["over"], max(report["rows"], 1)
    columns = st.columns(len(over))
    for column, (length, count) in zip(columns, over.items(), strict=True):
        column.metric(f"Over {int(length):,} tokens", f"{100 * count / rows:.1f} %")


def _draw_sample(found: Preflight) -> None:
    st.markdown("**One row as the model sees it**")
    if not found.sample:
        st.caption("The template refuses this row.")
        return
    st.caption(
        f"About {found.tokens:,} tokens, {found.trained_tokens:,} of them trained. An estimate of four bytes a token: "
        "no tokenizer comes with Bright Run. Trained text is marked."
    )
    with st.container(border=True, height=420, key="rendered"):
        for number, piece in enumerate(found.sample):
            with st.container(key=f"{'trained' if piece.is_trained else 'context'}-{number}"):
                if piece.is_trained:
                    st.badge("trained", color="green")
                st.text(piece.text)
