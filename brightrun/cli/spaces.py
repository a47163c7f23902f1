"""The command that plans scenarios from the scaffolding."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from brightrun.bootstrap import App
from brightrun.cli.console import (
    Json,
    OutOption,
    emit,
    err,
    opened,
    reported,
    write_out,
)
from brightrun.domain.errors import InvalidInput
from brightrun.domain.scenario import Scenario, Tier
from brightrun.domain.space import SCAFFOLDING, Method, Space, grouped, own_axes, parse_rule
from brightrun.domain.text import for_example
from brightrun.services.plans import MAX_ITEMS
from brightrun.services.spaces import Chosen

ALL = "all"
VALUES = "Keys separated by commas, or `all`."


def plan(
    persona: Annotated[str, typer.Option(help=VALUES)] = "",
    arc: Annotated[str, typer.Option(help=VALUES)] = "",
    topic: Annotated[str, typer.Option(help=VALUES)] = "",
    tier: Annotated[str, typer.Option(help=f"{VALUES} Without it each arc's own.")] = "",
    vary: Annotated[
        list[str] | None, typer.Option(metavar="NAME=A,B", help="An own variable and its values.")
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            help="`never persona=a topic=b` · `only tier=edge_case arc=c` · `at most 5 persona` · "
            "`weight 3 persona=a`."
        ),
    ] = None,
    fitting: Annotated[bool, typer.Option("--fitting", help="Only parts made for each other.")] = False,
    method: Annotated[Method, typer.Option(help="Everything, a sample, or few that cover.")] = Method.EVERY,
    number: Annotated[int | None, typer.Option(min=1, max=MAX_ITEMS, help="At most so many.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Draws another sample or cover.")] = 0,
    strength: Annotated[int, typer.Option(min=2, max=4, help="How many axes a cover takes together.")] = 2,
    new: Annotated[bool, typer.Option("--new", help="Leave out what is written or on its way.")] = False,
    top_up: Annotated[
        bool, typer.Option("--top-up", help="Plan what rejection emptied, instead of axes.")
    ] = False,
    job: Annotated[str | None, typer.Option(help="Top up one job.")] = None,
    out: OutOption = None,
    as_json: Json = False,
) -> None:
    """Plan scenarios and write them as a CSV that `brightrun generate --scenarios` takes."""
    with reported(as_json=as_json), opened() as app:
        if top_up:
            emptied = app.spaces.emptied(app.batches.find(job) if job else None)
            _deliver(emptied, out, {"scenarios": len(emptied)}, _story_of_top_up(emptied), as_json=as_json)
            return
        axes = _axes(app, {"persona": persona, "arc": arc, "topic": topic, "tier": tier}, vary or [])
        space = app.spaces.space(axes, [parse_rule(text) for text in rule or []], only_fitting=fitting)
        chosen = app.spaces.choose(
            space, method, number=number, seed=seed, strength=strength, leave_out_known=new
        )
        _require(chosen, out)
        _deliver(chosen.scenarios, out, _figures(space, chosen), _story(chosen), as_json=as_json)


def _require(chosen: Chosen, path: Path | None) -> None:
    """Raise InvalidInput where rules leave nothing; that all is written already is an end and no fault."""
    if chosen.scenarios or chosen.known:
        return
    untouched = f"; {path} is untouched" if path else ""
    raise InvalidInput(
        f"Nothing can be planned: the rules leave none of {chosen.total:,} combinations.",
        remedy=f"Loosen a rule, or choose more values{untouched}.",
    )


def _axes(app: App, given: Mapping[str, str], vary: Sequence[str]) -> dict[str, Sequence[str]]:
    known = app.scenarios.axes(active_only=False)
    offered = {
        "persona": {p.persona_key: p.is_active for p in known.personas},
        "arc": {a.arc_key: a.is_active for a in known.arcs},
        "topic": {t.topic_key: t.is_active for t in known.topics},
        "tier": {tier.value: True for tier in Tier},
    }
    axes: dict[str, Sequence[str]] = {
        axis: _all(offered[axis]) if text.strip() == ALL else _listed(axis, text, offered[axis])
        for axis, text in given.items()
    }
    axes |= own_axes("--vary", vary, {axis: f"Write --{axis} with its keys instead." for axis in SCAFFOLDING})
    if not any(axes.values()):
        raise InvalidInput("Nothing varies.", remedy="Give --persona, --arc, --topic or --vary, or --top-up.")
    return axes


def _all(offered: Mapping[str, bool]) -> list[str]:
    return [key for key, is_offered in offered.items() if is_offered]


def _listed(axis: str, text: str, offered: Mapping[str, bool]) -> list[str]:
    """Return the keys of a text; raises InvalidInput for one that is unknown or retired, with those that may be meant."""
    values = _words(text)
    for value in values:
        if value not in offered:
            raise InvalidInput(
                f"There is no {axis} {value!r}.", remedy=for_example(value, offered, _all(offered))
            )
        if not offered[value]:
            raise InvalidInput(
                f"The {axis} {value!r} is not offered any more.",
                remedy=f"Offer it again: brightrun scaffolding on {axis} {value}",
            )
    return values


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _figures(space: Space, chosen: Chosen) -> dict[str, object]:
    return {
        "scenarios": len(chosen.scenarios),
        "combinations": chosen.total,
        "allowed": chosen.allowed,
        "left_out_as_known": chosen.known,
        "strength": chosen.strength,
        "groups": chosen.groups,
        "groups_covered": chosen.covered,
        "shut_out": chosen.shut_out,
        "axes": {axis: len(values) for axis, values in space.axes.items()},
    }


def _story(chosen: Chosen) -> str:
    """Say how a choice lies in its space, or that all of it is written."""
    if not chosen.scenarios:
        return f"Nothing is left to plan: {chosen.known:,} scenarios are written or on their way."
    told = f"{len(chosen.scenarios):,} scenarios of {chosen.allowed:,} allowed combinations"
    if chosen.groups:
        told += f", holding {chosen.covered:,} of {chosen.groups:,} allowed {grouped(chosen.strength)}"
    return "\n".join([f"{told}.", *chosen.cautions()])


def _story_of_top_up(scenarios: Sequence[Scenario]) -> str:
    if scenarios:
        return f"{len(scenarios):,} scenarios whose every conversation was rejected."
    return "Nothing is missing: no scenario is left whose every conversation was rejected."


def _deliver(
    scenarios: Sequence[Scenario],
    path: Path | None,
    figures: Mapping[str, object],
    story: str,
    *,
    as_json: bool,
) -> None:
    if scenarios and not (as_json and path is None):  # where there is one output, it is for one of them
        write_out(path, _sheet(scenarios).encode())
    if as_json:
        listed = {} if path else {"list": [scenario.to_json() for scenario in scenarios]}
        emit({**figures, **listed})
        return
    err.print(story)
    if path is not None and scenarios:
        err.print(f"Next: [bold]brightrun generate --scenarios {escape(str(path))}[/bold]")
    elif path is not None:
        err.print(f"{escape(str(path))} is untouched.")


def _sheet(scenarios: Sequence[Scenario]) -> str:
    own = _names(scenario.variables for scenario in scenarios)
    held = io.StringIO(newline="")
    writer = csv.writer(held)
    writer.writerow([*SCAFFOLDING, *own])
    for scenario in scenarios:
        keys = (scenario.persona_key, scenario.arc_key, scenario.topic_key, scenario.tier.value)
        writer.writerow([*(key or "" for key in keys), *(scenario.variables.get(name, "") for name in own)])
    return held.getvalue()


def _names(variables: Iterable[Mapping[str, str]]) -> list[str]:
    return list(dict.fromkeys(name for held in variables for name in held))
