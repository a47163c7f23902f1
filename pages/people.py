"""Who may come in by the login, and what they may do."""

from __future__ import annotations

from brightrun.ui.frame import open_page, page_head, told
from brightrun.ui.people import draw_history, draw_list, draw_newcomer

app = open_page()

page_head(
    "People", "Who may come in by the login, and what they may do. A role counts from the next click on."
)
with told():
    draw_list(app)
    draw_newcomer(app)
    draw_history(app)
