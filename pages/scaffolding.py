"""Scaffolding: who asks, how the feeling moves, what it is about."""

from __future__ import annotations

from brightrun.ui.frame import open_page, page_head, told
from brightrun.ui.scaffolding import draw_scaffolding

app = open_page()

page_head("Scaffolding", "Personas, emotional arcs and topics: what scenarios are made of.")
with told():
    draw_scaffolding(app)
