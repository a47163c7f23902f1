"""Preview in the shell: the first items, a look, an adjustment, the rest."""

from __future__ import annotations

from pathlib import Path

from tests.shell import Shell

SHEET = Path(__file__).parents[3] / "examples" / "scenarios.csv"


def test_the_shell_previews_adjusts_and_goes_on(tmp_path: Path, dsn: str) -> None:
    """`generate --preview` and `process` stop after the preview, `preview` shows it, `start` lets the rest be written."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    made = shell.json("generate", "--scenarios", str(SHEET), "--limit", "5", "--preview", "2")
    job = str(made["id"])
    first = shell.json("process", job)
    assert (first["status"], first["counts"]["completed"]) == ("paused", 2)  # type: ignore[index]
    whole = shell.json("generate", "--scenarios", str(SHEET), "--limit", "2", "--preview", "2")
    assert "The preview is the whole batch" in str(whole["notes"])
    told = shell.run("preview", job)
    assert "assistant:" in told
    price = shell.json("start", job, "--set", "mood=tense", "--dry-run")
    assert price["items"] == 3
    started = shell.json("start", job, "--set", "mood=tense")
    assert (started["adjusted"], started["preview"]) == (3, None)
    done = shell.json("process", job)
    assert (done["status"], done["counts"]["completed"]) == ("completed", 5)  # type: ignore[index]


def test_a_variable_that_is_set_twice_or_without_its_name_is_refused(tmp_path: Path, dsn: str) -> None:
    """Of two values for one variable neither is taken silently, nor one for no variable; nothing is adjusted or created."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    order = ("generate", "--scenarios", str(SHEET), "--limit", "3")
    mapped = shell.run(*order, "--map", "mood=a", "--map", " mood=b", code=1)
    assert "--map names 'mood' twice" in mapped
    job = str(shell.json(*order, "--preview", "1")["id"])
    for more in ((), ("--dry-run",)):
        said = shell.run("start", job, "--set", "mood=tense", "--set", " mood =calm", *more, code=1)
        assert "--set names 'mood' twice" in said
        assert "once; nothing was done" in said
        assert "'=tense' is not NAME=VALUE" in shell.run("start", job, "--set", "=tense", *more, code=1)
    (only,) = shell.json("status")["jobs"]  # type: ignore[misc]
    assert only["preview"] == 1, "it waits as before"
