"""Who the server runs as: PostgreSQL refuses root, so root lends it an ordinary account."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brightrun.domain.errors import SetupFault

NAME = "brightrun"
SHARED = Path("/var/lib/brightrun")
"""Root's place that the account can reach, for clusters whose own data folder it cannot."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account to run programs as; None is whoever we are."""

    uid: int | None = None
    gid: int | None = None

    def options(self) -> dict[str, Any]:
        """Return the arguments for subprocess that make a program run as this account."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """Give the account a file or folder of ours."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, path: Path) -> bool:
        """Whether the account may pass through every folder above a path; nothing is changed to find out."""
        if self.uid is None:
            return True
        return all(self._may_pass(folder) for folder in (path, *path.parents) if folder.is_dir())

    def _may_pass(self, folder: Path) -> bool:
        status = folder.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def server_account() -> Account:
    """Return whom to run the server as; raises SetupFault when root has no ordinary account to lend."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return Account()
    import pwd  # not on Windows, where there is no root either

    for name in (NAME, "postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            if name == NAME and _made():
                entry = pwd.getpwnam(NAME)
            else:
                continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise SetupFault(
        "PostgreSQL does not run as root, and there is no ordinary account for it.",
        remedy=f"Create one (useradd --system {NAME}), or start Bright Run as an ordinary user.",
    )


def cluster_folder(home: Path, account: Account) -> Path:
    """Return where the server's files go: in the data folder, or beside others where it cannot be reached."""
    if account.can_reach(home):
        return home / "postgres"
    return SHARED / "clusters" / hashlib.sha256(str(home).encode()).hexdigest()[:16]


def record_home(home: Path, cluster: Path) -> None:
    """Write down whose a cluster outside its data folder is."""
    if cluster.parent == SHARED / "clusters":
        (clients_folder(cluster) / "home").write_text(str(home), encoding="utf-8")


def clients_folder(cluster: Path) -> Path:
    """Return where a cluster's clients put their locks and its secret lies."""
    return cluster.parent / f"{cluster.name}-clients"


def abandoned() -> dict[Path, Path]:
    """Return the clusters whose data folder is gone, with that folder; whether to remove them is for people to say."""
    found = {}
    for record in (SHARED / "clusters").glob("*-clients/home"):
        home = Path(record.read_text(encoding="utf-8"))
        try:
            is_gone = not home.exists()
        except PermissionError:
            continue  # another user's: nothing says that it is gone
        if is_gone:
            found[record.parent.with_name(record.parent.name.removesuffix("-clients"))] = home
    return found


def _made() -> bool:
    """Make the account as a system package would: no password, no shell, no home."""
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return False
    done = subprocess.run(
        [program, "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME],
        capture_output=True,
        check=False,
    )
    return done.returncode in (0, 9)  # 9: somebody else made it meanwhile
