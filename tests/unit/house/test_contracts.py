"""The house's walls hold: each contract of the layers breaks when somebody goes through it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

PLANTED = {
    "Rooms know only the rooms below them": ("domain/ids.py", "import brightrun.services.batches"),
    "Only ui knows the browser": ("services/batches.py", "import streamlit"),
    "Only writers.claude knows anthropic": ("services/batches.py", "import anthropic"),
    "Only saol's transports, its server and buckets.supabase know the database vendors": (
        "stores/batches.py",
        "import psycopg",
    ),
    "The domain does no input or output": ("domain/text.py", "import pathlib"),
    "Siblings never import in a circle": ("domain/ids.py", "import brightrun.domain.batch"),
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as run; run()",
            "--no-cache",
        ],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("name", [contract["name"] for contract in CONTRACTS])
def test_a_planted_violation_breaks_its_contract(name: str, tmp_path: Path) -> None:
    """Whoever imports across a wall hears it from `make check`, by the name of the wall."""
    shutil.copytree(ROOT / "brightrun", tmp_path / "brightrun", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    file, line = PLANTED[name]
    planted = tmp_path / "brightrun" / file
    planted.write_text(f"{planted.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    result = lint(tmp_path)
    assert result.returncode != 0, result.stdout
    said = " ".join(result.stdout.split())
    assert f"{name} BROKEN" in said, result.stdout


def test_the_house_as_it_stands_keeps_every_contract() -> None:
    """Nothing in the house imports across a wall."""
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
