"""Preview in the shell: the first items, a look, an adjustment, the rest."""

from __future__ import annotations

from pathlib import Path

from tests.shell import Shell


def test_the_shell_previews_adjusts_and_goes_on(tmp_path: Path, dsn: str) -> None:
    """`generate --preview` and `process` stop after the preview, `preview` shows it, `start` lets the rest be written."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    sheet = Path(__file__).parents[3] / "examples" / "scenarios.csv"
    made = shell.json("generate", "--scenarios", str(sheet), "--limit", "5", "--preview", "2")
    job = str(made["id"])
    first = shell.json("process", job)
    assert (first["status"], first["counts"]["completed"]) == ("paused", 2)  # type: ignore[index]
    told = shell.run("preview", job)
    assert "assistant:" in told
    price = shell.json("start", job, "--set", "mood=tense", "--dry-run")
    assert price["items"] == 3
    started = shell.json("start", job, "--set", "mood=tense")
    assert (started["adjusted"], started["preview"]) == (3, None)
    done = shell.json("process", job)
    assert (done["status"], done["counts"]["completed"]) == ("completed", 5)  # type: ignore[index]
