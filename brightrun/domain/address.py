"""Which addresses a key may be sent to, checked before anything is sent."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from brightrun.domain.errors import SetupFault


def checked_server(address: str, setting: str, *, secret: str, allow_private: bool = False) -> str:
    """Return a server's address without blanks and a slash at its end: https, or http on this machine.

    Raises SetupFault naming the `setting`, never the address: it may hold a password, which belongs into `secret`.
    """
    address = address.strip()
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as exc:
        raise _refused(setting, "is not an address") from exc
    if re.search(r"[\s\x00-\x1f\x7f\\]", address) or not parts.hostname or port == 0:
        raise _refused(setting, "is not an address")
    if parts.username is not None or parts.password is not None:
        raise _refused(setting, "holds a user name or a password", f"Put the key into {secret} instead.")
    if parts.query or parts.fragment:
        raise _refused(setting, "has a query or a fragment")
    _check_host(parts, setting, allow_private)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def is_this_machine(address: str) -> bool:
    """Say whether an address leads to this very machine."""
    host = urlsplit(address).hostname or ""
    if host == "localhost":
        return True
    number = _number(host)
    return number is not None and number.is_loopback


def is_encrypted(address: str) -> bool:
    """Say whether a server proves who it is: over plain http none does, and to read whom to trust takes 40 ms."""
    return urlsplit(address).scheme == "https"


def shown(address: str) -> str:
    """Return an address as anybody may see it: without a user name, a password or a query."""
    try:
        parts = urlsplit(address.strip())
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "not an address"
    if not parts.hostname:
        return "not an address"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _check_host(parts: SplitResult, setting: str, allow_private: bool) -> None:
    host, local = parts.hostname or "", is_this_machine(parts.geturl())
    if parts.scheme not in {"http", "https"} or (parts.scheme == "http" and not local):
        raise _refused(
            setting,
            "is neither https nor on this machine",
            "Use https://…; plain http is accepted for localhost only, because the key travels with it.",
        )
    number = _number(host)
    if number is None and re.fullmatch(r"(?:.*\.)?(?:0x[0-9a-f]*|\d+)\.?", host, re.IGNORECASE):
        raise _refused(
            setting, "is a number written in a disguised way", "Write the address in the usual way."
        )
    if number is None or local:
        return
    if number.is_link_local or number.is_multicast or number.is_unspecified or number.is_reserved:
        raise _refused(setting, "is an address that no such server has")
    if number.is_private and not allow_private:
        raise _refused(
            setting, "is the bare number of a private network", "Give the server a name and use that."
        )


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(number, "ipv4_mapped", None) or number


def _refused(
    setting: str, why: str, remedy: str = "Use the form https://host or http://localhost:port."
) -> SetupFault:
    return SetupFault(f"{setting} {why}.", remedy=remedy)
