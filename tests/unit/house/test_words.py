"""What the documents say is there: links, commands, tests and settings they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from brightrun.cli.main import COMMANDS, GROUPS, shell
from brightrun.config import Settings
from brightrun.ui.checks import COMMANDS as LISTED

ROOT = Path(__file__).parents[3]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
COMMAND = re.compile(r"^\s*(?:\$ )?brightrun ([a-z]+)", re.MULTILINE)
TARGET = re.compile(r"(?:`|^ {4})make ([a-z0-9-]+)", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_commands_and_tests_named_in_a_page_exist(page: Path) -> None:
    """A reader who follows a link, types a command or looks for a test finds it."""
    text = page.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not missing, f"links to nowhere: {missing}"
    known = COMMANDS.keys() | GROUPS.keys()
    assert set(COMMAND.findall(text)) <= known
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(TARGET.findall(text)) <= targets
    for path, name in TEST.findall(text):
        source = ROOT / path
        assert source.is_file(), path
        assert not name or f"def {name}(" in source.read_text(encoding="utf-8"), f"{path}::{name}"


def test_every_setting_is_documented() -> None:
    """Each setting a person can change stands in the reference."""
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        names = {f"BRIGHTRUN_{name.upper()}"}
        alias = field.validation_alias
        if isinstance(alias, str):
            names = {alias}
        elif alias is not None:
            names = {str(choice) for choice in getattr(alias, "choices", [])}
        assert any(f"`{n}`" in text for n in names), f"{name}: none of {sorted(names)} is documented"


def test_commands_that_the_system_page_lists_exist() -> None:
    """Whoever types what the page lists finds it, those who run workers, people and templates among them."""
    listed = re.findall(r"^ +brightrun ([a-z|]+)", LISTED, re.MULTILINE)
    named = {name for names in listed for name in names.split("|")}
    assert named <= COMMANDS.keys() | GROUPS.keys()
    assert named >= {"work", "worker", "people", "templates", "preview", "start", "judge"}
    assert "brightrun --help" in LISTED


def test_every_command_says_what_it_does() -> None:
    """`brightrun --help` lists each command with one sentence."""
    result = CliRunner().invoke(shell(), ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS.values():
        assert (command.__doc__ or "").strip()


def test_a_command_that_is_asked_for_is_the_only_one_built() -> None:
    """A command answers as it does beside all others, and a word that is none is told what there is."""
    for name in COMMANDS | GROUPS:
        assert CliRunner().invoke(shell(name), [name, "--help"]).output == (
            CliRunner().invoke(shell(), [name, "--help"]).output
        )
    assert [command.name for command in shell("status").registered_commands] == ["status"]
    assert "Did you mean 'status'" in CliRunner().invoke(shell("statu"), ["statu"]).output
