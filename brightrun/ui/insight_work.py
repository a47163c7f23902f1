"""Money and people: what an approved conversation costs, who decides how fast, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from brightrun.domain.insight import CostLine, Costs
from brightrun.domain.reviewer import Agreement, Desks, Reviewer
from brightrun.ui.frame import Place, empty_state
from brightrun.ui.insight import draw_sentence, draw_table, draw_undecided
from brightrun.ui.insight_charts import CHARTED, Amount, Decided, amounts, people
from brightrun.ui.text import counted, distinct, dollars, plain


def draw_costs(costs: Costs) -> None:
    """Draw the price of an approved conversation by template version and model; the demo stands apart."""
    if not costs.lines:
        empty_state(
            "No call is on record",
            "Each call of a batch is kept with what it cost; write a batch first.",
            link=Place.GENERATE,
            label="Make a batch",
        )
        return
    draw_sentence(costs.sentence())
    if costs.paid:
        _draw_paid(costs.paid)
    if costs.demo:
        items = sum(line.items for line in costs.demo)
        st.subheader("Demo writer", anchor=False)
        st.caption(f"{counted(items, 'item')} written for nothing; none of this is in the figures above.")
        draw_table([_cost_cells(line) for line in costs.demo])


def draw_reviewers(desks: Desks) -> None:
    """Draw how much and how fast people decide, and how far they agree."""
    if not desks.people:
        draw_undecided()
        return
    draw_sentence(desks.sentence())
    shown = desks.people[:CHARTED]
    names = distinct([(person.name, None) for person in shown])
    st.altair_chart(
        people([
            Decided(name, word, number)
            for name, p in zip(names, shown, strict=True)
            for word, number in (("approved", p.approved), ("rejected", p.rejected), ("needs_revision", p.revision))
        ]),
        key="insight-people",
        alt="How many decisions each person made that were not undone, by what was decided.",
    )  # fmt: skip
    st.caption(
        "Decisions that were undone do not count; those on what was sent back to the queue or decided on again later do. "
        "Pace is the middle of the times between a decision on one conversation "
        "and the decision before it, with pauses of more than five minutes left out; decisions in bulk have no pace."
    )
    draw_table([_person_cells(person) for person in desks.people])
    st.subheader("Agreement", anchor=False)
    draw_sentence(desks.agreement_sentence())
    if desks.agreements:
        for pair in desks.agreements[:8]:
            draw_sentence(f"– {pair.sentence()}")
        st.caption(
            "Kappa (J. Cohen, 1960) is the agreement beyond what two people who decide at random, each in "
            "their own proportions, would reach: 0 is chance, 1 is perfect. The words are those of Landis and "
            "Koch (1977)."
        )
        draw_table([_pair_cells(pair) for pair in desks.agreements])


def _draw_paid(lines: Sequence[CostLine]) -> None:
    shown = sorted(lines, key=lambda line: -(line.per_approved or 0))[:CHARTED]
    names = distinct([(f"{line.label} · {line.model}", line.writer) for line in shown])
    rows = [
        Amount(
            name,
            line.per_approved or 0.0,
            f"{dollars(line.per_approved)} × {line.approved:,}"
            if line.per_approved is not None
            else f"{dollars(line.spent)} spent, none approved yet",
        )
        for name, line in zip(names, shown, strict=True)
    ]
    st.altair_chart(
        amounts(rows, "Dollars for each approved conversation"),
        key="insight-cost",
        alt="Dollars spent for each approved conversation, by template version and model.",
    )
    st.caption(
        "Everything paid is in it: failed items, rejected and waiting conversations too. Beside each bar: "
        "dollars each × how many are approved."
    )
    draw_table([_cost_cells(line) for line in lines])


def _cost_cells(line: CostLine) -> dict[str, object]:
    return {
        "Template": plain(line.label),
        "Model": plain(line.model),
        "Items with a call": line.items,
        "Written": line.written,
        "Decided": line.decided,
        "Approved": line.approved,
        "Spent": dollars(line.spent),
        "Possibly spent": dollars(line.possible),
        "Each approved": dollars(line.per_approved) if line.per_approved is not None else "–",
    }


def _person_cells(person: Reviewer) -> dict[str, object]:
    return {
        "Person": plain(person.name),
        "Decisions": person.decisions,
        "Approved": person.approved,
        "Rejected": person.rejected,
        "Needs revision": person.revision,
        "In bulk": person.in_bulk,
        "Days": person.days,
        "Seconds each": round(person.median_seconds, 1) if person.median_seconds is not None else None,
        "An hour": round(person.per_hour) if person.per_hour is not None else None,
        "Timed": person.timed,
    }


def _pair_cells(pair: Agreement) -> dict[str, object]:
    return {
        "First": plain(pair.first),
        "Second": plain(pair.second),
        "Both decided": pair.rows,
        "Alike": pair.alike,
        "Kappa": round(pair.kappa, 2) if pair.kappa is not None else None,
    }
