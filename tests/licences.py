"""From what pip-licenses and pip-audit say of an environment to docs/licences.md (`make licences`)."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

COPYLEFT = re.compile(r"\b[AL]?GPL|General Public|MPL|Mozilla|EPL|EUPL", re.IGNORECASE)
OWN = {"brightrun", "pip", "setuptools", "wheel"}

HEAD = """# Dependencies and their licences

Made by `make licences` on {day} from a fresh environment with Python {python} on Linux: everything that `pip install .` brings, {number}
packages. Bright Run's own dependencies and the reason for each bound stand in `pyproject.toml`; what only tests and tools need is
not among them.

{counted}

Those that ask something of whoever changes or passes on their own code (none of them reaches further than its own files or
library, which are used here as they come):

{copyleft}

## Audit

{audit}

## All of them

| package | version | licence | address |
|---|---|---|---|
{rows}
"""


def page(packages: list[dict[str, Any]], audit: dict[str, Any] | None, python: str) -> str:
    """Return the page; `audit` is pip-audit's answer, None where it gave none."""
    found = sorted((p for p in packages if p["Name"].lower() not in OWN), key=lambda p: p["Name"].lower())
    licences = Counter(_short(package["License"]) for package in found)
    held = [f"- {p['Name']}: {_short(p['License'])}" for p in found if COPYLEFT.search(p["License"])]
    return HEAD.format(
        day=datetime.now(UTC).date(),
        python=python,
        number=len(found),
        counted=", ".join(f"{name} ({number})" for name, number in licences.most_common()) + ".",
        copyleft="\n".join(held) or "- none",
        audit=_audit(audit),
        rows="\n".join(
            f"| {p['Name']} | {p['Version']} | {_short(p['License'])} | {_address(p['URL'])} |" for p in found
        ),
    )


def _audit(answer: dict[str, Any] | None) -> str:
    """Say plainly what was looked up and what was not: a package that was skipped is no package without faults."""
    if answer is None:
        return "**Not audited**: pip-audit got no answer from a database of vulnerabilities. Run it where there is one."
    looked_up = [d for d in answer["dependencies"] if "skip_reason" not in d and d["name"].lower() not in OWN]
    skipped = len([d for d in answer["dependencies"] if "skip_reason" in d])
    if not looked_up:
        return (
            f"**Not audited**: pip-audit could look up none of the {skipped} packages: the registry it was made with"
            " holds no database of vulnerabilities. Run `make licences` where PyPI or OSV answers."
        )
    faults = [
        f"- {d['name']} {d['version']}: {', '.join(v['id'] for v in d['vulns'])}"
        for d in looked_up
        if d["vulns"]
    ]
    said = f"pip-audit looked {len(looked_up)} packages up; {skipped} could not be looked up."
    return f"{said} Known vulnerabilities:\n\n" + "\n".join(faults or ["- none"])


def _short(licence: str) -> str:
    """Return a licence on one line; some packages give the whole text, of which the BSD's needs no title."""
    if "Redistribution and use in source and binary forms" in licence:
        return "BSD-3-Clause" if "endorse or promote" in licence else "BSD-2-Clause"
    line = licence.strip().splitlines()[0] if licence.strip() else "UNKNOWN"
    return (line if len(line) <= 60 else f"{line[:59]}…").replace("|", "/")


def _address(url: str) -> str:
    return url if url.startswith("http") else "-"


def _main(licences: Path, audit: Path, python: str, target: Path) -> None:
    text = audit.read_text(encoding="utf-8").strip() if audit.exists() else ""
    answer = json.loads(text) if text.startswith("{") else None
    target.write_text(
        page(json.loads(licences.read_text(encoding="utf-8")), answer, python), encoding="utf-8"
    )


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
