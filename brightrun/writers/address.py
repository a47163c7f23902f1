"""Which key and which address may be used, checked before anything is sent."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

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
    address = (base_url or "").strip() or CLAUDE_ADDRESS
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as exc:
        raise _refused("is not an address") from exc
    if re.search(r"[\s\x00-\x1f\x7f\\]", address) or not parts.hostname or port == 0:
        raise _refused("is not an address")
    if parts.username is not None or parts.password is not None:
        raise _refused("holds a user name or a password", "Put the key into ANTHROPIC_API_KEY instead.")
    if parts.query or parts.fragment:
        raise _refused("has a query or a fragment")
    _check_host(parts, allow_private)
    path = parts.path.rstrip("/").removesuffix("/v1")  # the client adds /v1 itself
    return f"{parts.scheme}://{parts.netloc}{path}"


def is_this_machine(address: str) -> bool:
    """Say whether an address leads to this very machine."""
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    number = _number(host)
    return number is not None and number.is_loopback


def _check_host(parts: SplitResult, allow_private: bool) -> None:
    host, local = parts.hostname or "", is_this_machine(parts.geturl())
    if parts.scheme not in {"http", "https"} or (parts.scheme == "http" and not local):
        raise _refused(
            "is neither https nor on this machine",
            "Use https://…; plain http is accepted for localhost only, because the key travels with it.",
        )
    number = _number(host)
    if number is None and re.fullmatch(r"(?:.*\.)?(?:0x[0-9a-f]*|\d+)\.?", host, re.IGNORECASE):
        raise _refused("is a number written in a disguised way", "Write the address in the usual way.")
    if number is None or local:
        return
    if number.is_link_local or number.is_multicast or number.is_unspecified or number.is_reserved:
        raise _refused("is an address that no such server has")
    if number.is_private and not allow_private:
        raise _refused("is the bare number of a private network", "Give the server a name and use that.")


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(number, "ipv4_mapped", None) or number


def _refused(why: str, remedy: str = "Use the form https://host or http://localhost:port.") -> SetupFault:
    """The address itself is not repeated: it may hold a password."""
    return SetupFault(f"ANTHROPIC_BASE_URL {why}.", remedy=remedy)
