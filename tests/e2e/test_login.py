"""The login in a real browser, against a real provider of OpenID Connect on loopback (npm's oidc-provider).

It needs node and npm; without them, or where npm reaches no registry, it is skipped and says so.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, BrowserContext, Page, expect

from brightrun.domain.person import Role
from tests.conftest import fresh_database
from tests.e2e.conftest import SIZE, Site, free_port, serving, settle
from tests.e2e.test_pages import PAGES, fill

PROVIDER = Path(__file__).parent / "oidc" / "provider.mjs"
PACKAGES = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "brightrun-tests" / "oidc"
VERSION = "9.13.3"
SHORT_HOURS = 0.004
COOKIES, CLIENT, KEY = "canary-cookie-secret-that-is-long", "canary-client-secret-41", "sk-ant-canary-7f3a91"
"""Secrets that no page may tell."""


@pytest.fixture(scope="module")
def packages() -> Path:
    """The provider's package, installed once beside the checkout's own things."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("The provider of these tests needs node and npm: apt-get install nodejs npm.")
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with FileLock(PACKAGES / "install.lock"):  # workers of one run begin with this side by side
        if not (PACKAGES / "node_modules" / "oidc-provider").is_dir():
            words = ["npm", "install", "--no-fund", "--no-audit", "--prefix", str(PACKAGES)]
            done = subprocess.run(
                [*words, f"oidc-provider@{VERSION}"], capture_output=True, text=True, timeout=300, check=False
            )
            if done.returncode:
                pytest.skip(f"npm could not install oidc-provider: {done.stderr.strip()[-200:]}")
    return PACKAGES


@dataclass(frozen=True)
class Door:
    """The app with a login, and a short-lived twin on the same data."""

    site: Site
    hasty: Site
    job: str


@pytest.fixture(scope="module")
def door(
    server_dsn: str, base_database: str, tmp_path_factory: pytest.TempPathFactory, packages: Path
) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("login")
    ports = [free_port() for _ in range(3)]
    short = {"BRIGHTRUN_SESSION_HOURS": str(SHORT_HOURS)}
    with (
        fresh_database(server_dsn, base_database) as dsn,
        _provider(ports, packages) as issuer,
        serving(dsn, folder, "ana", _secrets(folder, ports[1], issuer), port=ports[1], is_warm=False) as site,
        serving(
            dsn,
            folder / "hasty",
            "ana",
            _secrets(folder / "hasty", ports[2], issuer) | short,
            port=ports[2],
            is_warm=False,
        ) as hasty,
    ):
        for role in Role:
            site.app.people.add(f"{role}@example.org", role, name=role.title(), actor="setup")
        yield Door(site, hasty, fill(site))


@contextmanager
def _provider(ports: list[int], packages: Path) -> Iterator[str]:
    redirects = [f"http://127.0.0.1:{port}/oauth2callback" for port in ports[1:]]
    process = subprocess.Popen(
        ["node", str(PROVIDER), str(ports[0]), *redirects],
        env={**os.environ, "OIDC_PACKAGES": str(packages), "OIDC_CLIENT_SECRET": CLIENT},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        ends = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", ports[0])) == 0:
                    break
            assert process.poll() is None, "The provider did not start."
            assert time.monotonic() < ends, "The provider does not listen."
            time.sleep(0.1)
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        process.terminate()
        process.wait(20)


def _secrets(folder: Path, port: int, issuer: str) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    secrets = folder / "secrets.toml"
    secrets.write_text(
        "[auth]\n"
        f'redirect_uri = "http://127.0.0.1:{port}/oauth2callback"\n'
        f'cookie_secret = "{COOKIES}"\n'
        'client_id = "bright-run"\n'
        f'client_secret = "{CLIENT}"\n'
        f'server_metadata_url = "{issuer}/.well-known/openid-configuration"\n'
        'client_kwargs = { prompt = "login" }\n'
    )
    return {"STREAMLIT_SECRETS_FILES": str(secrets), "ANTHROPIC_API_KEY": KEY}


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Open an address in a browser that knows nothing yet."""
    contexts: list[BrowserContext] = []

    def open_one(url: str) -> Page:
        contexts.append(browser.new_context(viewport=SIZE))
        page = contexts[-1].new_page()
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()


def log_in(page: Page, email: str) -> None:
    """Go through the provider's own pages as somebody."""
    page.get_by_role("button", name="Log in").click()
    page.locator("input[name=login]").fill(email, timeout=30_000)
    page.locator("input[name=password]").fill("any")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()


def test_nobody_sees_a_page_without_a_session(door: Door, visit: Callable[[str], Page]) -> None:
    """Each page, by its own address, shows the door and nothing of what is behind it."""
    page = visit(door.site.url)
    for path in [*PAGES, "insight", "imports", "people"]:
        address = f"{path}?job={door.job}" if path == "batch" else path
        page.goto(f"{door.site.url}/{address}")
        expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)
        expect(page.get_by_test_id("stSidebarNav")).to_have_count(0)
        text = page.inner_text("body")
        assert "First steps" not in text, f"{path} told something"
        assert "Embedded database" not in text


def test_who_is_on_the_list_comes_in_acts_and_goes(
    door: Door, visit: Callable[[str], Page], shoot: Callable[[Page, str], None]
) -> None:
    """A reviewer logs in, decides under that name, loses the role while the page is open, and logs out."""
    page = visit(f"{door.site.url}/review?sort=score&desc=0")
    expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)
    shoot(page, "login-door")
    log_in(page, "reviewer@example.org")
    expect(page.get_by_text("Reviewer · reviewer")).to_be_visible(timeout=30_000)
    assert page.url.startswith(f"{door.site.url}/review?"), "The login forgot what was asked for"
    navigation = page.get_by_test_id("stSidebarNav")
    expect(navigation.get_by_role("link", name="Review", exact=True)).to_be_visible()
    for hidden in ("New batch", "Import", "People"):
        expect(navigation.get_by_role("link", name=hidden)).to_have_count(0)
    shoot(page, "login-reviewer")
    expect(page.locator(".st-key-reader")).to_be_visible(timeout=30_000)
    settle(page)
    page.get_by_role("button", name="Reject", exact=True).click()
    ends = time.monotonic() + 30
    while "reviewer@example.org" not in (names := [row["reviewer"] for row in _reviews(door)]):
        assert time.monotonic() < ends, names
        page.wait_for_timeout(100)
    settle(page)

    door.site.app.people.set_role("reviewer@example.org", Role.VIEWER, actor="setup")
    page.get_by_role("button", name="Reject", exact=True).click()
    expect(page.get_by_text(re.compile("Viewers? may not")).first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("It takes the role reviewer", exact=False).first).to_be_visible()
    shoot(page, "login-role-changed")
    assert [row["reviewer"] for row in _reviews(door)].count("reviewer@example.org") == 1
    page.goto(f"{door.site.url}/generate")
    expect(page.get_by_text("Viewers may not write", exact=False)).to_be_visible(timeout=30_000)
    expect(page.get_by_text("It takes the role author", exact=False)).to_be_visible()
    shoot(page, "login-closed")
    page.goto(f"{door.site.url}/system")
    expect(page.get_by_role("button", name="Save the reasons")).to_be_disabled(timeout=30_000)
    assert "permission denied" not in page.inner_text("body")
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Home").click()
    expect(page.get_by_role("button", name="New batch")).to_be_disabled(timeout=30_000)
    shoot(page, "login-viewer")
    door.site.app.people.set_role("reviewer@example.org", Role.REVIEWER, actor="setup")

    page.get_by_role("button", name="Log out").click()
    page.get_by_role("button", name="Yes, sign me out").click()  # the provider's own question
    expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)
    page.goto(f"{door.site.url}/review")
    expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)


def test_who_is_not_on_the_list_stays_outside_until_an_admin_lets_in(
    door: Door, visit: Callable[[str], Page], shoot: Callable[[Page, str], None]
) -> None:
    """A stranger with a good login reads who to ask; an admin adds them on the page, and takes them off again."""
    stranger = visit(door.site.url)
    log_in(stranger, "stranger@example.org")
    expect(stranger.get_by_text("stranger@example.org is not on the list")).to_be_visible(timeout=30_000)
    shoot(stranger, "login-stranger")
    admin = visit(door.site.url)
    log_in(admin, "admin@example.org")
    admin.get_by_test_id("stSidebarNav").get_by_role("link", name="People").click()
    admin.get_by_role("textbox", name="E-mail address").fill("stranger@example.org")
    admin.get_by_role("button", name="Let in").click()
    expect(admin.get_by_role("button", name="Take off the list")).to_have_count(5, timeout=30_000)
    shoot(admin, "login-people")
    stranger.goto(f"{door.site.url}/batches")
    expect(stranger.get_by_role("heading", name="Batches")).to_be_visible(timeout=30_000)
    door.site.app.people.remove("stranger@example.org", actor="setup")
    stranger.goto(f"{door.site.url}/batches")
    expect(stranger.get_by_text("stranger@example.org is not on the list")).to_be_visible(timeout=30_000)


def test_no_page_tells_a_secret(door: Door, visit: Callable[[str], Page]) -> None:
    """Whoever may see everything sees no key and no secret of the login, in no page's source either."""
    page = visit(door.site.url)
    log_in(page, "admin@example.org")
    expect(page.get_by_text("Admin · admin")).to_be_visible(timeout=30_000)
    for path in [*PAGES, "insight", "people"]:
        page.goto(f"{door.site.url}/{path}?job={door.job}" if path == "batch" else f"{door.site.url}/{path}")
        expect(page.locator("h1").first).to_be_visible(timeout=30_000)
        settle(page)
        source = page.content()
        assert "Admin · admin" in page.inner_text("body")
        assert not [word for word in (COOKIES, CLIENT, KEY) if word in source], path


def test_an_address_that_was_not_checked_opens_nothing(door: Door, visit: Callable[[str], Page]) -> None:
    """A provider that has not seen the mailbox vouches for nobody."""
    door.site.app.people.add("unverified@example.org", Role.ADMIN, actor="setup")
    page = visit(door.site.url)
    log_in(page, "unverified@example.org")
    expect(page.get_by_text("names no address that it has checked", exact=False)).to_be_visible(
        timeout=30_000
    )
    door.site.app.people.remove("unverified@example.org", actor="setup")


def test_a_forged_answer_of_the_provider_opens_nothing(door: Door, visit: Callable[[str], Page]) -> None:
    """A call-back with a state nobody asked for is no login, and neither is somebody else's, replayed."""
    page = visit(f"{door.site.url}/oauth2callback?code=stolen&state=forged")
    page.goto(door.site.url)
    expect(page.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)
    answers: list[str] = []
    page.on(
        "request", lambda request: answers.append(request.url) if "oauth2callback?" in request.url else None
    )
    log_in(page, "admin@example.org")
    expect(page.get_by_text("Admin · admin")).to_be_visible(timeout=30_000)
    (answer,) = answers
    other = visit(answer)  # the same address, with its code and its state, in another browser
    other.goto(door.site.url)
    expect(other.get_by_role("button", name="Log in")).to_be_visible(timeout=30_000)


def test_a_session_ends_by_itself(door: Door, visit: Callable[[str], Page]) -> None:
    """After its hours a login counts no longer, on an open page and on a new one."""
    page = visit(door.hasty.url)
    log_in(page, "author@example.org")
    expect(page.get_by_text("Author · author")).to_be_visible(timeout=30_000)
    page.wait_for_timeout(SHORT_HOURS * 3600 * 1000)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Batches").click()
    expect(page.get_by_text("Your session has ended", exact=False)).to_be_visible(timeout=30_000)
    page.goto(f"{door.hasty.url}/system")
    expect(page.get_by_text("Your session has ended", exact=False)).to_be_visible(timeout=30_000)


def _reviews(door: Door) -> list[dict[str, str]]:
    from brightrun import saol

    return saol.agent_query(door.site.app._db, "reviews").rows()
