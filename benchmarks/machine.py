"""What a page of figures says of the machine they were measured on."""

from __future__ import annotations

import os
import platform


def described() -> str:
    """Return cores, system and Python."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
