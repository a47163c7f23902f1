"""Pages stay layout, files stay small, and a core without a browser stays one."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE_LINES = 70
FILE_LINES = 500
FUNCTION_LINES = 80
SOURCES = sorted([*ROOT.glob("brightrun/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "Home.py"])


def test_a_page_only_lays_out() -> None:
    """A page fits on a screen; what it decides stands in a service and what it draws in ui."""
    long = {p.name: n for p in ROOT.glob("pages/*.py") if (n := len(p.read_text().splitlines())) > PAGE_LINES}
    assert not long


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    """No file holds two nouns and no function needs scrolling."""
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES, node.name


def test_the_shell_does_not_load_the_browser() -> None:
    """A command in a shell does not wait for Streamlit or pandas to be imported."""
    code = "import brightrun.cli, brightrun.bootstrap, sys; print([m for m in ('streamlit', 'pandas') if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.strip() == "[]"
