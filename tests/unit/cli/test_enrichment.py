"""Making the documents of a job again from the shell."""

from __future__ import annotations

from pathlib import Path

from tests.shell import Shell


def test_lost_documents_are_made_again_from_the_shell(tmp_path: Path, dsn: str) -> None:
    """What is derived can be lost: one command brings every document of a job back, and counts what fails."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("scenario\nA reader asks about a fine.\nA reader renews a book.\n")
    job = shell.json("generate", "--scenarios", str(sheet), "--writer", "demo")["id"]
    shell.json("process", job)
    files = tmp_path / "home" / "buckets" / "conversation-files"
    documents = sorted([*files.glob("final/*.json"), *files.glob("enriched/*.json")])
    before = [document.read_bytes() for document in documents]
    assert len(documents) == 4
    for document in documents:
        document.unlink()
    assert shell.json("enrich", job) == {"id": job, "made": 2, "failed": {}}
    assert len(before) == len([document for document in documents if document.is_file()])
