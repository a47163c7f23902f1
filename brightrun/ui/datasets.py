"""Datasets: choose, freeze, read what the checks found, and take every file of every version away again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from brightrun.bootstrap import App
from brightrun.domain.canonical import SENTENCES, Rule
from brightrun.domain.dataset import Dataset, Split
from brightrun.domain.formats import UNEVEN, Format
from brightrun.domain.report import lack_of, offers, rows_of
from brightrun.services.exports import WHOLE
from brightrun.services.targets import file_name
from brightrun.ui.downloads import draw_download
from brightrun.ui.freezing import with_bar
from brightrun.ui.session import begin, page_at, place, set_place
from brightrun.ui.text import ago, counted, distinct, dollars, label_safe, plain, words

PAGE = 20
AT = "datasets-page"
BROWSER_BYTES = 300_000_000
"""A browser download is held in memory whole; above this size the shell writes the file."""
AXES = {"persona": "persona", "emotional_arc": "arc", "topic": "topic"}
"""What a kind of group is called among the scenarios."""
DIFFERENCES = {
    "added": "Only in this one.",
    "removed": "Only in the earlier one.",
    "changed": "In both, corrected in between.",
    "moved": "In both, on another side of the split: with other shares whole scenarios change sides.",
}
LABELS = {
    Format.MESSAGES: "Messages (JSONL)",
    Format.PROMPT_COMPLETION: "Prompt and completion",
    Format.SHAREGPT: "ShareGPT",
    Format.ALPACA: "Alpaca with history",
    Format.LLAMAFACTORY: "LLaMA-Factory",
    Format.OPENAI: "OpenAI",
    Format.BEDROCK: "Bedrock (Nova)",
    Format.GEMINI: "Gemini",
    Format.DPO: "Preference pairs (DPO)",
    Format.KTO: "Labels (KTO)",
    Format.PARQUET: "Parquet",
    Format.JSON: "Training JSON",
    Format.CSV: "CSV for people",
    Format.ZIP: "Everything (zip)",
}


def draw_datasets(app: App) -> None:
    """Draw every dataset, newest first, a page at a time."""
    total = app.datasets.count()
    if not total:
        return
    pages = -(-total // PAGE)
    st.subheader("Frozen so far", anchor=False)
    for dataset in app.datasets.all(limit=PAGE, offset=(page_at(AT, pages) - 1) * PAGE):
        _draw_line(dataset)
    if pages > 1:
        st.pagination(pages, key=AT, bind="query-params")
        st.caption(f"{total:,} datasets in all, newest first.")


def opened_dataset(app: App) -> Dataset | None:
    """Return the dataset the address names."""
    wanted = place("dataset")
    return app.datasets.find(wanted) if wanted else None


def draw_head(dataset: Dataset) -> None:
    """Draw what a dataset is, and the way back."""
    st.button(
        "All datasets",
        key="datasets-all",
        icon=":material/arrow_back:",
        type="tertiary",
        on_click=set_place,
        args=("dataset", None),
    )
    st.title(label_safe(f"{dataset.name} v{dataset.version}", limit=80), anchor=False)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{counted(dataset.row_count, 'conversation')} · by {label_safe(dataset.created_by)} "
            f"· {ago(dataset.created_at)}",
            width="content",
        )
        _draw_demo(dataset)


def draw_report(app: App, dataset: Dataset) -> None:
    """Draw what leaves, what was left out and why, and how the splits fell."""
    report = with_bar(
        "Checking every conversation", lambda told: app.datasets.report(dataset, told), dataset.report
    )
    _draw_figures(dataset, report)
    if report.get("skipped_turns"):
        st.caption(
            f"{counted(report['skipped_turns'], 'answer')} kept out of training by reviewers. TRL, Axolotl and OpenAI "
            "get that with the folder; what other formats make of them stands in manifest.json."
        )
    if report["left_out"]:
        st.warning(f"{counted(report['left_out'], 'conversation')} left out by the checks.")
        rules = [
            {"Rule": SENTENCES[Rule(rule)], "Conversations": count}
            for rule, count in report["dropped"].items()
        ]
        st.dataframe(pd.DataFrame(rules), hide_index=True)
        with st.expander("Which ones"):
            st.dataframe(_named(report), hide_index=True)
    elif dataset.duplicate_count:
        st.caption(f"{counted(dataset.duplicate_count, 'exact duplicate')} left out; every other one passed.")
    else:
        st.caption("Every conversation passed the checks; none says the same as another.")
    _draw_near_duplicates(dataset)
    with st.expander("How the splits fell"):
        shown = [name for name, found in report["strata_by_split"].items() if len(found) > 1]
        kind = st.selectbox("By", shown or ["tier"], format_func=lambda n: n.replace("_", " ").capitalize())
        groups = report["strata_by_split"][kind]
        named = distinct([(_stratum(app, kind, key), key) for key in groups])
        table = pd.DataFrame(list(groups.values()), index=pd.Index(named, name=words(kind)))
        st.dataframe(table[[split.value for split in Split]].rename(columns=words))


def draw_files(app: App, dataset: Dataset) -> None:
    """Offer every format: prepared on demand with a progress bar, then downloaded."""
    report = app.datasets.report(dataset)
    offered = [f for f in LABELS if offers(report, f)]
    format_at, side_at = st.columns([3, 2])
    chosen = format_at.selectbox(
        "Format", offered, index=offered.index(Format.ZIP), format_func=LABELS.__getitem__, key="format"
    )
    side = _side(side_at, report, chosen)
    st.caption(f"{_about(chosen)}")
    if chosen is not Format.ZIP:
        is_mixed = side is None and sum(count > 0 for count in report["splits"].values()) > 1
        (st.warning if is_mixed else st.caption)(_holding(report, chosen, side))
    if lack := lack_of(report, chosen):
        st.warning(lack)
    if not report["rows"]:
        st.info("No row passed the checks, so there is nothing to download.")
        return
    path = app.exports.ready(dataset, chosen, side)
    if path is None:
        if st.button("Prepare the file", key="prepare", type="primary"):
            begin()
            with_bar("Writing", lambda told: app.exports.kept(dataset, chosen, told, side))
            st.rerun()
        return
    size = path.stat().st_size
    if size > BROWSER_BYTES:
        st.caption(f"{size / 1e6:,.0f} MB: too large for a browser's memory. It lies ready at")
        st.code(str(path), language=None)
        return
    draw_download(
        f"Download {_size(size)}",
        path.read_bytes,
        file_name=file_name(dataset, chosen, side),
        mime="application/octet-stream",
        key=f"get-{chosen.value}",
        type="primary",
    )


def draw_comparison(app: App, dataset: Dataset) -> None:
    """Show what differs from an earlier dataset."""
    others = app.datasets.before(dataset)
    if not others:
        st.caption("There is no earlier dataset to compare with.")
        return
    older = st.selectbox(
        "Earlier dataset", others, format_func=lambda d: f"{d.name} v{d.version}", key="older"
    )
    found = app.datasets.compare(older, dataset)
    if not found.differs:
        st.info(found.sameness())
        return
    columns = st.columns(4)
    for column, (kind, meaning) in zip(columns, DIFFERENCES.items(), strict=True):
        column.metric(kind.capitalize(), f"{found.counts.get(kind, 0):,}", help=meaning)
    if found.rows:
        rows = [
            {
                "What": words(row.kind),
                "Side": row.place,
                "Begins with": plain(row.name),
                "Id in the files": row.key,
            }
            for row in found.rows
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True)
    st.caption(found.sameness())


def _draw_figures(dataset: Dataset, report: Mapping[str, Any]) -> None:
    """Draw how many rows stand on which side, beside the share that was asked for."""
    rows, splits = report["rows"], report["splits"]
    asked = {Split.VALIDATION: dataset.options.validation, Split.TEST: dataset.options.test}
    asked[Split.TRAIN] = 1 - sum(asked.values())
    with st.container(horizontal=True, gap="medium", key="dataset-figures"):
        st.metric("Rows", f"{rows:,}", width="content")
        for split in Split:
            count = splits[split.value]
            if split is not Split.TRAIN and not asked[split] and not count:
                continue
            st.metric(
                split.value.capitalize(),
                f"{count:,}",
                delta=f"{count / rows:.0%}, asked {asked[split]:.0%}" if rows else None,
                delta_color="off",
                delta_arrow="off",
                width="content",
                help="Whole scenarios change sides, so the share is met as nearly as they allow.",
            )
        st.metric(
            "Tokens, median",
            f"{report['tokens']['median']:,}",
            width="content",
            help="An estimate: four bytes each.",
        )
        st.metric("Cost", dollars(report["cost_usd"]), width="content")


def _side(at: DeltaGenerator, report: Mapping[str, Any], chosen: Format) -> Split | None:
    """Return which side of the split one file is to hold; None where it holds all of them."""
    there = [split for split in Split if report["splits"][split.value]]
    if chosen is Format.ZIP or chosen in WHOLE or len(there) < 2:
        return None
    sides: list[Split | None] = [None, *there]
    return at.selectbox(
        "Rows of", sides, format_func=lambda side: words(side) if side else "All sides", key="side"
    )


def _stratum(app: App, kind: str, key: str) -> str:
    """Return what a group of rows is called."""
    if axis := AXES.get(kind):
        return app.scenarios.called(axis, key)
    return words(key) if kind in ("tier", "writer") else key


def _draw_line(dataset: Dataset) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"dataset-{dataset.id}"):
        st.markdown(f"**{label_safe(dataset.name, limit=60)} v{dataset.version}**", width="content")
        _draw_demo(dataset)
        st.caption(
            f"{counted(dataset.row_count, 'conversation')} · by {label_safe(dataset.created_by)} "
            f"· {ago(dataset.created_at)}"
        )
        # No link: one that leads to the page it stands on leaves the browser's address as it was.
        st.button(
            "Open",
            key=f"dataset-open-{dataset.id}",
            type="tertiary",
            on_click=set_place,
            args=("dataset", dataset.id),
        )


def _draw_demo(dataset: Dataset) -> None:
    if dataset.demo_count:
        st.badge(f"{dataset.demo_count:,} by the demo writer", color="orange")


def _draw_near_duplicates(dataset: Dataset) -> None:
    near = dataset.near_duplicates
    if not near or not near["rows"] + near["left_out"] + near["labels_left_out"]:
        return
    st.caption(f"{counted(near['rows'], 'row')} nearly repeat another one; those stand on one side together.")
    gone = near["left_out"] + near["labels_left_out"]
    if gone:
        st.warning(
            f"{counted(gone, 'conversation')} left out: they nearly repeat conversations of another side of the split, "
            "and would give the one away to the other."
        )
        with st.expander("Which ones nearly repeat which"):
            table = pd.DataFrame(near["named"]).rename(columns={"id": "Left out", "near": "Nearly repeats"})
            st.dataframe(table, hide_index=True)


def _holding(report: Mapping[str, Any], chosen: Format, side: Split | None) -> str:
    """Say what one file holds: its own rows where they are known before it is written, and what they come from."""
    counts = {split.value: report["splits"][split.value] for split in Split if side in (None, split)}
    mixed = [f"{count:,} {split}" for split, count in counts.items() if count]
    apart = "; take one side at a time, or the ZIP, which has a file for each." if len(mixed) > 1 else "."
    if chosen in WHOLE:
        apart = "; each row says which." if len(mixed) > 1 else "."
    if chosen not in (*UNEVEN, *WHOLE):
        return f"One file holds {', '.join(mixed)} {'rows' if sum(counts.values()) != 1 else 'row'}{apart}"
    source = f"{', '.join(mixed)} {'conversations' if sum(counts.values()) != 1 else 'conversation'}"
    if chosen is Format.KTO and report["labels"]["false"]:
        source += (
            f" and {report['labels']['false']:,} rejected" if side is None else " and the rejected ones there"
        )
    rows = rows_of(report, chosen) if chosen in UNEVEN and side is None else None
    holds = f"holds {counted(rows, 'row')}, made of" if rows is not None else "is made of"
    return f"One file {holds} {source}{apart}"


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{max(size / 1e3, 0.1):,.1f} KB"


def _named(report: Any) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"Conversation": row["id"], "Message": breach["message"], "Rule": SENTENCES[Rule(breach["rule"])]}
            for row in report["named"]
            for breach in row["breaches"]
        ]
    )


def _about(chosen: Format) -> str:
    return {
        Format.MESSAGES: "One conversation a line; TRL, Axolotl, LLaMA-Factory and Unsloth load it.",
        Format.PROMPT_COMPLETION: "One assistant turn a line, with everything before it as the prompt.",
        Format.SHAREGPT: "`from` and `value`, for trainers that expect ShareGPT.",
        Format.ALPACA: "The last exchange with the earlier ones as history.",
        Format.LLAMAFACTORY: "ShareGPT with the system text beside; the zip has its `dataset_info.json` too.",
        Format.OPENAI: "OpenAI's chat fine-tuning, with `weight`.",
        Format.BEDROCK: "Bedrock's conversation shape; rows with words that fail a Nova job are left out.",
        Format.GEMINI: "Gemini's supervised tuning, with `contents` and `parts`.",
        Format.DPO: "What a person corrected, over what the writer had written.",
        Format.KTO: "Approved answers labelled true, rejected ones false.",
        Format.PARQUET: "The messages as one column, compressed.",
        Format.JSON: "Training pairs with scaffolding, scores and decisions in one document.",
        Format.CSV: "One turn a row; no cell can run as a formula.",
        Format.ZIP: "Every format by its splits, with card, manifest, sidecar, recipes and chat templates.",
    }[chosen]
