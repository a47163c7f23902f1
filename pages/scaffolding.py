"""Scaffolding: who asks, how the feeling moves, what it is about."""

from __future__ import annotations

from brightrun.domain.person import Action
from brightrun.ui.frame import open_page, page_head, tell_role, told
from brightrun.ui.scaffolding import draw_scaffolding

app = open_page()

page_head("Scaffolding", "Personas, emotional arcs and topics: what scenarios are made of.")
tell_role(app, Action.EDIT_SCAFFOLDING)
with told():
    draw_scaffolding(app)
