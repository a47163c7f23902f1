"""Commands for the price table: look, add, correct, look back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from brightrun.cli.console import Json, emit, err, hand_on, opened, out, print_table, reported
from brightrun.domain.errors import InvalidInput
from brightrun.domain.price import Price

app = typer.Typer(help="Show what each model costs; add, correct and look back.", no_args_is_help=False)


@app.callback(invoke_without_command=True)
def prices(context: typer.Context, as_json: Json = False) -> None:
    """Show what each model costs; add, correct and look back."""
    if not hand_on(context, as_json=as_json):
        show(as_json=as_json)


@app.command("list")
def show(
    model: Annotated[str | None, typer.Option(help="Only this model, with every price it ever had.")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="What was added and corrected, by whom.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the prices in force, a model's prices of all days, or the history of the table."""
    with reported(as_json=as_json), opened() as brightrun:
        if history:
            changes = brightrun.prices.history(model=model)
            rows = [
                {"at": c.at.isoformat(), "by": c.by, "what": c.story(), **_named(c.after or c.before)}
                for c in changes
            ]
            if as_json:
                emit({"changes": rows})
            else:
                print_table(_table(("when", "who", "model", "from", "what"), [_line(row) for row in rows]))
            return
        found = (
            [p for p in brightrun.prices.all() if p.model == model] if model else brightrun.prices.in_force()
        )
        if model and not found:
            raise InvalidInput(
                f"There is no price for the model {model!r}.", remedy="Add it with brightrun prices set."
            )
        if as_json:
            emit({"prices": [_json(price) for price in found]})
        else:
            _show(found)


@app.command("set")
def set_price(
    model: Annotated[str, typer.Argument(help="The model as the API names it.")],
    input_usd: Annotated[float | None, typer.Option("--input", help="Dollars per million tokens in.")] = None,
    output_usd: Annotated[
        float | None, typer.Option("--output", help="Dollars per million tokens out.")
    ] = None,
    cache_read: Annotated[
        float | None, typer.Option(help="Dollars per million tokens read from the cache.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The day it begins; today.")
    ] = None,
    above: Annotated[int, typer.Option(min=0, help="Only for prompts above so many tokens.")] = 0,
    cache_write: Annotated[
        float | None, typer.Option(help="5 minutes in the cache, as a multiple of the input price.")
    ] = None,
    cache_write_hour: Annotated[float | None, typer.Option(help="An hour in the cache, likewise.")] = None,
    batch: Annotated[float | None, typer.Option(help="Message Batches, as a share of every price.")] = None,
    cached_from: Annotated[
        int | None, typer.Option(help="The shortest beginning of a prompt it caches, in tokens.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the price stands.")] = None,
    as_json: Json = False,
) -> None:
    """Add a price, or correct that of the same model, day and prompt size: what is left out stays as it was."""
    given = {
        "input_usd": input_usd,
        "output_usd": output_usd,
        "cache_read_usd": cache_read,
        "cache_write_factor": cache_write,
        "cache_write_hour_factor": cache_write_hour,
        "batch_factor": batch,
        "cache_min_tokens": cached_from,
        "source": source,
    }
    with reported(as_json=as_json), opened() as brightrun:
        day = since.date() if since else brightrun.prices.today()
        base = next(
            (
                p
                for p in reversed(brightrun.prices.all())
                if (p.model, p.above_input_tokens) == (model, above) and p.effective_from <= day
            ),
            None,
        )
        said = {name: value for name, value in given.items() if value is not None}
        if base is not None and not said and base.effective_from == day:
            raise InvalidInput(
                "Nothing was said to change.", remedy="Give --input, --output or what else is new."
            )
        price = replace(_price(base, model, above, said, day), effective_from=day)
        brightrun.prices.save(price, actor=brightrun.settings.person)
        if as_json:
            emit(_json(price))
        else:
            err.print("Saved:")
            _show([price])


@app.command("remove")
def remove_price(
    model: Annotated[str, typer.Argument(help="The model as the table names it.")],
    since: Annotated[
        datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="The day it begins.")
    ] = None,
    above: Annotated[int, typer.Option(min=0, help="That for prompts above so many tokens.")] = 0,
    as_json: Json = False,
) -> None:
    """Remove a price that was never so: a slip in a name or a day. What calls have cost stays as it was counted."""
    with reported(as_json=as_json), opened() as brightrun:
        known = [p for p in brightrun.prices.all() if (p.model, p.above_input_tokens) == (model, above)]
        found = [p for p in known if since is None or p.effective_from == since.date()]
        if not found:
            days = ", ".join(p.effective_from.isoformat() for p in known)
            raise InvalidInput(
                f"There is no such price of {model!r}.",
                remedy=f"Its days are {days}." if days else "See brightrun prices list.",
            )
        if len(found) > 1:
            days = ", ".join(p.effective_from.isoformat() for p in found)
            raise InvalidInput(f"{model!r} has prices from {days}.", remedy="Name the day with --from.")
        brightrun.prices.remove(found[0], actor=brightrun.settings.person)
        if as_json:
            emit({"removed": _json(found[0])})
        else:
            err.print(f"Removed: {model} from {found[0].effective_from}.", markup=False)


def _price(base: Price | None, model: str, above: int, said: Mapping[str, object], day: date) -> Price:
    """Return a price from what was said and, where it is there already, from what it was before."""
    if base is not None:
        return replace(base, **said)  # type: ignore[arg-type]
    missing = [
        option
        for option, name in (
            ("--input", "input_usd"),
            ("--output", "output_usd"),
            ("--cache-read", "cache_read_usd"),
        )
        if name not in said
    ]
    if missing:
        raise InvalidInput(
            f"A new price needs {', '.join(missing)}.",
            remedy="Give dollars per million tokens; nothing is taken for free.",
        )
    return Price(model=model, effective_from=day, above_input_tokens=above, **said)  # type: ignore[arg-type]


def _json(price: Price) -> dict[str, object]:
    return asdict(price) | {
        "effective_from": price.effective_from.isoformat(),
        "cache_write_usd": price.input_usd * price.cache_write_factor,
        "cache_write_hour_usd": price.input_usd * price.cache_write_hour_factor,
    }


def _named(price: Price | None) -> dict[str, object]:
    if price is None:
        return {}
    return {
        "model": price.model,
        "from": price.effective_from.isoformat(),
        "above": price.above_input_tokens,
        "source": price.source,
    }


def _line(row: dict[str, object]) -> list[str]:
    return [str(row["at"])[:16], str(row["by"]), str(row["model"]), str(row["from"]), str(row["what"])]


def _show(found: list[Price]) -> None:
    columns = (
        "model",
        "from",
        "above",
        "in",
        "out",
        "cache read",
        "cache write",
        "1 h write",
        "batch",
        "cached from",
    )
    rows = [
        [
            price.model,
            price.effective_from.isoformat(),
            f"{price.above_input_tokens:,}" if price.above_input_tokens else "",
            *(
                f"${usd:g}"
                for usd in (
                    price.input_usd,
                    price.output_usd,
                    price.cache_read_usd,
                    round(price.input_usd * price.cache_write_factor, 6),
                    round(price.input_usd * price.cache_write_hour_factor, 6),
                )
            ),
            f"{price.batch_factor:.0%}",
            f"{price.cache_min_tokens:,}",
        ]
        for price in found
    ]
    print_table(_table(columns, rows))
    out.print("Dollars per million tokens.")


def _table(columns: tuple[str, ...], rows: list[list[str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(
            column, justify="left" if column in ("model", "from", "when", "who", "what") else "right"
        )
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table
