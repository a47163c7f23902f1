"""Which key and which address may be used, checked before anything is sent."""

from __future__ import annotations

import re

from brightrun.domain.address import checked_server
from brightrun.domain.errors import SetupFault

CLAUDE_ADDRESS = "https://api.anthropic.com"


def checked_key(key: str) -> str:
    """Return the key without the blanks around it; an unusable one would look like a broken network."""
    key = key.strip()
    if not key:
        raise SetupFault("There is no key for Claude.", remedy="Set ANTHROPIC_API_KEY.")
    if not re.fullmatch(r"[!-~]+", key):
        raise SetupFault(
            "The key for Claude has a blank, a line break or another character that no key has.",
            remedy="Copy ANTHROPIC_API_KEY again, in one line.",
        )
    return key


def checked_address(base_url: str | None, *, allow_private: bool = False) -> str:
    """Return the server's address: https, or http on this machine; never a metadata service."""
    address = checked_server(
        (base_url or "").strip() or CLAUDE_ADDRESS,
        "ANTHROPIC_BASE_URL",
        secret="ANTHROPIC_API_KEY",
        allow_private=allow_private,
    )
    return address.removesuffix("/v1")  # the client adds /v1 itself
