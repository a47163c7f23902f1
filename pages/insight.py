"""Insight: what decisions say about the writing, the score, the money, the reviewers and the gaps."""

from __future__ import annotations

import streamlit as st

from brightrun.ui.diversity import draw_variety
from brightrun.ui.frame import open_page, page_head, told
from brightrun.ui.insight import View, draw_head, draw_nothing, draw_scope, draw_view_choice
from brightrun.ui.insight_coverage import draw_coverage
from brightrun.ui.insight_decisions import draw_approval, draw_rejections, draw_score
from brightrun.ui.insight_work import draw_costs, draw_reviewers
from brightrun.ui.judging import draw_judged

app = open_page()

page_head("Insight", "What your decisions say. Every figure comes with the number it was counted from.")
with told():
    scope = draw_scope(app)
    decisions = app.insight.decisions(scope)
    draw_head(decisions)
    view = draw_view_choice()
    if not decisions.total.written and view not in (View.COVERAGE, View.COST, View.VARIETY):
        draw_nothing(app, scope)
        st.stop()
    match view:
        case View.APPROVAL:
            draw_approval(decisions)
        case View.REJECTIONS:
            draw_rejections(decisions)
        case View.SCORE:
            draw_score(app.insight.scores(scope))
        case View.COST:
            draw_costs(app.insight.costs(scope))
        case View.REVIEWERS:
            draw_reviewers(app.insight.reviewers(scope))
        case View.COVERAGE:
            draw_coverage(app, app.insight.coverage(scope), scope)
        case View.VARIETY:
            draw_variety(app, scope)
        case View.JUDGE:
            draw_judged(app, scope)
