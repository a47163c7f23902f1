"""`brightrun insight` as a person and a program use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shell import Shell

SHEET = "scenario,mood\n" + "".join(f"Ask the library to renew {n + 1} books.,in a hurry\n" for n in range(4))


@pytest.fixture
def shell(tmp_path: Path, dsn: str) -> Shell:
    return Shell(tmp_path / "home", DATABASE_URL=dsn)


def test_the_shell_has_the_figures_of_the_page(shell: Shell, tmp_path: Path) -> None:
    """Words for people, one JSON object for programs; a job, days or a writer narrow both; mistakes are named."""
    sheet = tmp_path / "scenarios.csv"
    sheet.write_text(SHEET)
    job = str(shell.json("generate", "--scenarios", str(sheet), "--turns", "4")["id"])
    shell.run("process", job)
    shell.run("review", job, "--reject", "--reason", "Repetitive")
    told = shell.run("insight", "--job", job[:8])
    assert "4 of 4 conversations have been decided on" in told
    assert "“Repetitive” is the most frequent reason: 4 of 4 rejections." in told
    figures = shell.json("insight", "--job", job)
    approval = figures["approval"]
    assert isinstance(approval, dict)
    assert approval["rate"]["hits"] == 0
    assert approval["rate"]["total"] == 4
    assert approval["reasons"] == {"Repetitive": 4}
    assert approval["rate"]["high"] == pytest.approx(0.4899, abs=1e-3)
    assert shell.json("insight", "--writer", "claude")["approval"]["written"] == 0  # type: ignore[index]
    assert shell.json("insight", "--writer", "import")["approval"]["written"] == 0  # type: ignore[index]
    assert "no writer 'nobody'" in shell.run("insight", "--writer", "nobody", code=1)
    assert "is no day" in shell.run("insight", "--since", "yesterday", code=1)
    assert "after the last" in shell.run("insight", "--since", "2026-02-02", "--until", "2026-02-01", code=1)
