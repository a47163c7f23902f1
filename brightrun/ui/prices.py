"""The price table as a person sees and edits it: what is in force, what was, and who changed it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError
from brightrun.domain.person import Action
from brightrun.domain.price import Price, PriceChange
from brightrun.ui.frame import show_error
from brightrun.ui.session import begin, person
from brightrun.ui.text import label_safe, plain

MONEY = st.column_config.NumberColumn(format="$%.3f")


def draw_prices(app: App) -> None:
    """Draw the prices in force, and let one be added, corrected, or looked back on."""
    known = app.prices.all()
    st.dataframe(
        _frame(app.prices.in_force()),
        hide_index=True,
        height="content",
        column_config=dict.fromkeys(("Input", "Output", "Cache read", "Cache write", "1 h write"), MONEY),
        key="prices-in-force",
    )
    st.caption(
        "Dollars per million tokens, as of today. A snapshot (`…-20260101`) and `…-latest` are priced as their "
        "model, unless they have a price of their own. A model that is not here is refused, never taken for free. "
        "Message Batches cost the share under Batch."
    )
    with st.expander("Add or correct a price"):
        _draw_form(app, known)
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
            "Source": [plain(p.source) for p in prices],
        }
    )


def _draw_form(app: App, known: Sequence[Price]) -> None:
    """Start from a price that is there, so that correcting one is changing one figure."""
    titles = {"": "Nothing: a new model"} | {_title(p): _title(p) for p in reversed(known)}
    chosen = st.selectbox(
        "Start from", list(titles), format_func=lambda key: plain(titles.get(key, key)), key="price-from"
    )
    base = next((p for p in known if _title(p) == chosen), Price("", app.prices.today(), 0.0, 0.0, 0.0))
    price = _draw_fields(app, base, f"price-{chosen}")
    if price is None:
        return
    own = begin()
    try:
        app.prices.save(price, actor=person())
    except BrightRunError as fault:
        show_error(fault)
        return
    own.notify(f"The price of {label_safe(price.model)} is saved.")
    st.rerun()


def _draw_fields(app: App, base: Price, key: str) -> Price | None:
    with st.form(key, border=False, clear_on_submit=False, enter_to_submit=False):
        model_at, day_at, above_at = st.columns([3, 2, 2])
        model = model_at.text_input("Model id", value=base.model, key=f"{key}-model")
        day = day_at.date_input("In force from", value=base.effective_from, key=f"{key}-day")
        above = above_at.number_input(
            "For prompts above (tokens)",
            0,
            10_000_000,
            value=base.above_input_tokens,
            key=f"{key}-above",
            help="0 for a model that costs the same whatever the prompt's length.",
        )
        input_usd, output_usd, read_usd = _draw_amounts(base, key)
        factors = st.columns(4)
        write = factors[0].number_input(
            "5 min write, × input",
            1.0,
            10.0,
            value=base.cache_write_factor,
            step=0.05,
            key=f"{key}-write",
        )
        hour = factors[1].number_input(
            "1 h write, × input",
            1.0,
            10.0,
            value=base.cache_write_hour_factor,
            step=0.05,
            key=f"{key}-hour",
        )
        batch = factors[2].number_input(
            "Batch, × all", 0.01, 1.0, value=base.batch_factor, step=0.05, key=f"{key}-batch"
        )
        shortest = factors[3].number_input(
            "Cached from (tokens)",
            1,
            1_000_000,
            value=base.cache_min_tokens,
            key=f"{key}-shortest",
            help="The shortest beginning of a prompt that the model caches.",
        )
        source = st.text_input(
            "Where it stands",
            value=base.source,
            key=f"{key}-source",
            placeholder="A page and its date",
        )
        st.caption("The same model, day and prompt size corrects what is there; another day is a new price.")
        if not st.form_submit_button("Save price", type="primary", disabled=not app.may(Action.SET_PRICE)):
            return None
    return Price(
        model=model.strip(),
        effective_from=day,
        input_usd=input_usd,
        output_usd=output_usd,
        cache_read_usd=read_usd,
        above_input_tokens=int(above),
        cache_write_factor=write,
        cache_write_hour_factor=hour,
        batch_factor=batch,
        cache_min_tokens=int(shortest),
        source=source,
    )


def _draw_amounts(base: Price, key: str) -> tuple[float, float, float]:
    given = (base.input_usd, base.output_usd, base.cache_read_usd)
    labels = ("Input, $", "Output, $", "Cache read, $")
    first, second, third = (
        column.number_input(label, 0.0, value=usd, step=0.1, format="%.4f", key=f"{key}-{label[:5]}")
        for column, label, usd in zip(st.columns(3), labels, given, strict=True)
    )
    return float(first), float(second), float(third)


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
