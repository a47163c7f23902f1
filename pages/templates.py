"""Templates: what the writer is told, and the next version of it."""

from __future__ import annotations

from brightrun.domain.person import Action
from brightrun.ui.drafts import draw_editor, draw_upload
from brightrun.ui.frame import open_page, page_head, tell_role, told
from brightrun.ui.templates import draw_list, draw_template

app = open_page()

page_head(
    "Templates",
    "A template turns a scenario into the order the writer gets. Published versions never change.",
)
tell_role(app, Action.PUBLISH_TEMPLATE)
with told():
    template = draw_list(app)
    if template is None:
        draw_editor(app, None)
    else:
        draw_template(app, template)
    draw_upload(app)
