"""Which keys and addresses are let through before anything is sent."""

from __future__ import annotations

import pytest

from brightrun.domain.address import checked_server, is_this_machine, shown
from brightrun.domain.errors import SetupFault
from brightrun.writers.address import checked_address, checked_key


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (None, "https://api.anthropic.com"),
        ("", "https://api.anthropic.com"),
        (" https://api.anthropic.com/\n", "https://api.anthropic.com"),
        ("https://gateway.example.com/anthropic/", "https://gateway.example.com/anthropic"),
        ("https://gateway.example.com/v1", "https://gateway.example.com"),
        ("https://gateway.example.com:8443", "https://gateway.example.com:8443"),
        ("http://localhost:8089", "http://localhost:8089"),
        ("http://127.0.0.1:8089", "http://127.0.0.1:8089"),
        ("http://[::1]:8089", "http://[::1]:8089"),
        ("https://8.8.8.8", "https://8.8.8.8"),
    ],
)
def test_usable_addresses(given: str | None, used: str) -> None:
    """Anthropic itself, a gateway with a name, and this machine may be used, however they are typed."""
    assert checked_address(given) == used


@pytest.mark.parametrize(
    "address",
    [
        "http://api.anthropic.com",
        "http://example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "example.com",
        "https://",
        "https:///path",
        "not an address",
        "https://user:secret@example.com",
        "https://secret@example.com",
        "https://example.com?x=1",
        "https://example.com#x",
        "https://example.com:99999",
        "https://example.com:0",
        "https://exa mple.com",
        "https://example.com\\@evil.example",
        "https://169.254.169.254/latest/meta-data",
        "https://[fe80::1]",
        "https://[::ffff:169.254.169.254]",
        "https://0.0.0.0",
        "https://224.0.0.1",
        "https://10.0.0.5",
        "https://192.168.1.10",
        "https://172.16.0.1",
        "https://[fd00::1]",
        "https://2852039166",
        "https://0xA9FEA9FE",
        "https://169.254.43518",
        "http://2130706433",
        "http://127.1",
        "http://localhost.evil.example",
        "http://[::1",
    ],
)
def test_refused_addresses(address: str) -> None:
    """A key is never sent in the clear, to a metadata service, or to a disguised or private number."""
    with pytest.raises(SetupFault, match="ANTHROPIC_BASE_URL") as caught:
        checked_address(address)
    assert caught.value.remedy
    assert "secret" not in str(caught.value)


def test_a_private_number_can_be_opted_in() -> None:
    """Whoever runs a server in their own network may say so; a metadata service stays refused."""
    assert checked_address("https://10.0.0.5:8443", allow_private=True) == "https://10.0.0.5:8443"
    with pytest.raises(SetupFault):
        checked_address("https://169.254.169.254", allow_private=True)


def test_this_machine_is_recognized() -> None:
    """Only this machine is reached without a proxy."""
    assert is_this_machine("http://localhost:1")
    assert is_this_machine("http://127.8.8.8")
    assert not is_this_machine("https://localhost.example.com")


def test_a_key_with_a_newline_is_mended() -> None:
    """A key pasted with a line break at its end works; the SDK would report a broken connection."""
    assert checked_key(" sk-ant-abc\n") == "sk-ant-abc"


@pytest.mark.parametrize("key", ["", "  \n", "sk-ant\nabc", "sk ant", "sk-ant-é", "sk\0ant"])
def test_an_unusable_key_is_said_and_not_shown(key: str) -> None:
    """An empty or broken key is named as such, without repeating it."""
    with pytest.raises(SetupFault, match="ANTHROPIC_API_KEY") as caught:
        checked_key(key)
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("https://ana:secret-word@example.com:8443/x/?key=secret-word", "https://example.com:8443/x"),
        ("https://example.supabase.co", "https://example.supabase.co"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("nothing", "not an address"),
        ("https://[", "not an address"),
        ("https://example.com:99999", "not an address"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(given: str, seen: str) -> None:
    """Pages and messages name the server, never who signs in there."""
    assert shown(given) == seen


def test_another_server_is_held_to_the_same_rules() -> None:
    """The message names the setting that has to be mended."""
    with pytest.raises(SetupFault, match="SUPABASE_URL is neither https"):
        checked_server("http://example.com", "SUPABASE_URL", secret="SUPABASE_SECRET_KEY")
