"""The price table as a person sees and edits it: what is in force, what was, and who changed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.amount import amount_of, count_of
from brightrun.domain.errors import BrightRunError
from brightrun.domain.person import Action
from brightrun.domain.price import Price, PriceChange
from brightrun.ui.frame import show_error
from brightrun.ui.session import begin, close_question, desk, person
from brightrun.ui.text import label_safe, plain

MONEY = st.column_config.NumberColumn(format="$%.3f", width=82)
COLUMNS = {
    "From": st.column_config.TextColumn(width=86),
    **dict.fromkeys(("Input", "Output", "Cache read", "Cache write", "1 h write"), MONEY),
    "Batch": st.column_config.TextColumn(width=58),
    "Cached from": st.column_config.TextColumn(width=100),
}
"""Figures as narrow as they are, so that a narrow page shows more of them."""
AMOUNTS = ("Input, $", "Output, $", "Cache read, $")
FACTORS = ("5 min write, × input", "1 h write, × input", "Batch, × all")
REMOVING = "remove price"
ABOVE = "For prompts above (tokens)"
SHORTEST = "Cached from (tokens)"
HELP = {
    ABOVE: "0 for a model that costs the same whatever the prompt's length.",
    SHORTEST: "The shortest beginning of a prompt that the model caches.",
}


def draw_prices(app: App) -> None:
    """Draw the prices in force, and let one be added, corrected, or looked back on."""
    known = app.prices.all()
    in_force = app.prices.in_force()
    st.dataframe(
        _frame(in_force),
        hide_index=True,
        height="content",
        column_config=COLUMNS,
        key="prices-in-force",
    )
    st.caption(
        "Dollars per million tokens, as of today. A snapshot (`…-20260101`) and `…-latest` are priced as their "
        "model, unless they have a price of their own. A model that is not here is refused, never taken for free. "
        "Message Batches cost the share under Batch."
    )
    if in_force:
        st.caption(_sources(in_force))
    with st.expander("Add, correct or remove a price"):
        _draw_form(app, known)
    for price in known:
        if desk().asked() == (REMOVING, _title(price)):
            _confirm_removal(app, price)
    with st.expander("History"):
        _draw_history(app, known)


def _frame(prices: Sequence[Price]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Model": [_model(p) for p in prices],
            "From": [p.effective_from.isoformat() for p in prices],
            "Input": [p.input_usd for p in prices],
            "Output": [p.output_usd for p in prices],
            "Cache read": [p.cache_read_usd for p in prices],
            "Cache write": [p.input_usd * p.cache_write_factor for p in prices],
            "1 h write": [p.input_usd * p.cache_write_hour_factor for p in prices],
            "Batch": [f"{p.batch_factor:.0%}" for p in prices],
            "Cached from": [f"{p.cache_min_tokens:,} tokens" for p in prices],
        }
    )


def _sources(prices: Sequence[Price]) -> str:
    """Say where prices stand, below their table: beside the figures a source is cut off."""
    named: dict[str, list[str]] = {}
    for price in prices:
        named.setdefault(plain(price.source) or "no source given", []).append(_model(price))
    if len(named) == 1:
        return f"Source: {label_safe(next(iter(named)))}."
    return (
        "Sources: "
        + "; ".join(f"{label_safe(s)} ({label_safe(', '.join(m))})" for s, m in named.items())
        + "."
    )


@st.fragment
def _draw_form(app: App, known: Sequence[Price]) -> None:
    """Start from a price that is there, so that correcting one is changing one figure.

    A fragment, and no form: what was wrong is no longer said once its field is corrected.
    """
    titles = {"": "Nothing: a new model"} | {_title(p): _title(p) for p in reversed(known)}
    chosen = st.selectbox(
        "Start from", list(titles), format_func=lambda key: plain(titles.get(key, key)), key="price-from"
    )
    base = next((p for p in known if _title(p) == chosen), Price("", app.prices.today(), 0.0, 0.0, 0.0))
    typed = _draw_fields(app, base, f"price-{chosen}")
    if typed is None:
        return
    own = begin()
    try:
        price = _read(typed)
        app.prices.save(price, actor=person())
    except BrightRunError as fault:
        show_error(fault)
        return
    own.notify(f"The price of {label_safe(price.model)} is saved.")
    st.rerun()


@dataclass(frozen=True)
class _Typed:
    """The fields as they were sent: figures by their labels, not read yet."""

    model: str
    day: date
    figures: Mapping[str, str]
    source: str


def _draw_fields(app: App, base: Price, key: str) -> _Typed | None:
    """Draw the fields; figures are text, since a field for numbers keeps what it does not take to itself."""
    may = app.may(Action.SET_PRICE)
    model_at, day_at, above_at = st.columns([3, 2, 2])
    model = model_at.text_input("Model id", value=base.model, key=f"{key}-model", disabled=not may)
    day = day_at.date_input("In force from", value=base.effective_from, key=f"{key}-day", disabled=not may)
    places = {ABOVE: above_at}
    for labels in (AMOUNTS, (*FACTORS, SHORTEST)):
        places |= dict(zip(labels, st.columns(len(labels)), strict=True))
    shown = _figures(base)
    figures = {
        label: place.text_input(
            label, value=shown[label], key=f"{key}-{label}", help=HELP.get(label), disabled=not may
        )
        for label, place in places.items()
    }
    source = st.text_input(
        "Where it stands",
        value=base.source,
        key=f"{key}-source",
        placeholder="A page and its date",
        disabled=not may,
    )
    st.caption("The same model, day and prompt size corrects what is there; another day is a new price.")
    with st.container(horizontal=True):
        sent = st.button("Save price", type="primary", key=f"{key}-save", disabled=not may)
        if base.model and st.button("Remove it…", key=f"{key}-remove", type="tertiary", disabled=not may):
            desk().ask((REMOVING, _title(base)))
            st.rerun()
    return _Typed(model, day, figures, source) if sent else None


def _figures(price: Price) -> dict[str, str]:
    """Return what each field holds at first; prices of a model that has none yet are left to be typed."""
    amounts = (price.input_usd, price.output_usd, price.cache_read_usd)
    factors = (price.cache_write_factor, price.cache_write_hour_factor, price.batch_factor)
    return {
        ABOVE: str(price.above_input_tokens),
        SHORTEST: str(price.cache_min_tokens),
        **{label: f"{usd:.10g}" if price.model else "" for label, usd in zip(AMOUNTS, amounts, strict=True)},
        **{label: f"{factor:.10g}" for label, factor in zip(FACTORS, factors, strict=True)},
    }


def _read(typed: _Typed) -> Price:
    """Return the price that was typed; raises InvalidInput that names the field."""
    given = typed.figures
    given_usd, said_usd, read_usd = (amount_of(given[label], name=label, is_fine=True) for label in AMOUNTS)
    write, hour, batch = (amount_of(given[label], name=label, is_fine=True) for label in FACTORS)
    return Price(
        model=typed.model.strip(),
        effective_from=typed.day,
        input_usd=given_usd,
        output_usd=said_usd,
        cache_read_usd=read_usd,
        above_input_tokens=count_of(given[ABOVE], name=ABOVE),
        cache_write_factor=write,
        cache_write_hour_factor=hour,
        batch_factor=batch,
        cache_min_tokens=count_of(given[SHORTEST], name=SHORTEST),
        source=typed.source,
    )


@st.dialog("Remove this price?", on_dismiss=close_question)
def _confirm_removal(app: App, price: Price) -> None:
    st.markdown(
        f"**{label_safe(_title(price))}** goes, which is meant for prices that were never so. The history keeps it."
    )
    st.caption(
        "What calls have cost stays as it was counted. From now on an older price of the model counts again; without "
        "one the model is refused. A price that was so once stays: give the new one another day instead."
    )
    with st.container(horizontal=True, horizontal_alignment="right"):
        keep = st.button("Keep it", key="price-remove-keep")
        go = st.button("Remove it", key="price-remove-sure", type="primary")
    if go:
        own = begin()
        try:
            app.prices.remove(price, actor=person())
        except BrightRunError as fault:
            own.complain(fault)
        else:
            own.notify(f"The price {label_safe(_title(price))} is removed.")
    if keep or go:
        close_question()
        st.rerun()


def _draw_history(app: App, known: Sequence[Price]) -> None:
    models = sorted({p.model for p in known})
    chosen = st.selectbox(
        "Model", ["", *models], format_func=lambda m: plain(m) or "All models", key="price-history-model"
    )
    changes = app.prices.history(model=chosen or None)
    st.dataframe(_history_frame(changes), hide_index=True, height="content", key="price-history")


def _history_frame(changes: Sequence[PriceChange]) -> pd.DataFrame:
    named = [(change.after or change.before, change) for change in changes]
    return pd.DataFrame(
        {
            "When": [f"{change.at.astimezone():%Y-%m-%d %H:%M}" for change in changes],
            "Who": [plain(change.by) for change in changes],
            "Price": [_title(price) if price else "" for price, _ in named],
            "What": [plain(change.story()) for change in changes],
            "Source": [plain(price.source) if price else "" for price, _ in named],
        }
    )


def _title(price: Price) -> str:
    above = f", above {price.above_input_tokens:,}" if price.above_input_tokens else ""
    return f"{price.model} from {price.effective_from}{above}"


def _model(price: Price) -> str:
    return plain(price.model) + (f", above {price.above_input_tokens:,}" if price.above_input_tokens else "")
