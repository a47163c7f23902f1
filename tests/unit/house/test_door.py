"""No page can forget the door."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("page", sorted((ROOT / "pages").glob("*.py")), ids=lambda page: page.stem)
def test_a_page_asks_who_is_looking_before_it_draws_anything(page: Path) -> None:
    """The first thing a page does is to open through the frame, which ends the run of whoever may not come in."""
    body = ast.parse(page.read_text(encoding="utf-8")).body
    statements = [
        node
        for node in body
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    assert ast.unparse(statements[0]) == "app = open_page()"


def test_only_the_steps_and_the_door_use_the_servers_own_rights() -> None:
    """A page's use cases are those of the person who looks; a step is the server's, whoever asked for it."""
    users = {
        path.stem
        for path in (ROOT / "brightrun" / "ui").glob("*.py")
        if "server_app()" in path.read_text(encoding="utf-8")
    }
    assert users == {"runner", "session"}
