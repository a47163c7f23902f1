"""Imports: existing conversations into the same review."""

from __future__ import annotations

from brightrun.ui.frame import open_page, page_head, told
from brightrun.ui.imports import draw_imports, draw_intake

app = open_page()

page_head(
    "Import",
    "Bring conversations you have into the review. Every line is imported, or refused with a reason.",
)
with told():
    draw_intake(app)
    draw_imports(app)
