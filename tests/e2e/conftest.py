"""The real app in a process of its own, and a real Chromium that may speak to nobody else."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from tests.e2e.warm import warm_app
from tests.messages_api import MessagesApi
from tests.warm import Forked

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60
OFFERED_SECONDS = 30
SHELL = "chromium-headless-shell"
"""Chromium without a window, where Debian's package of that name is there: a page costs a third less in it."""
WHOLE = ("chromium", "chromium-browser")
UNTUNED = "--js-flags=--no-maglev,--no-opt"
"""No page here lives long enough to earn what its scripts' compilers take: loading one takes a third less without."""
SIZE = {"width": 1440, "height": 1000}
ALL = bool(os.environ.get("BRIGHTRUN_ALL"))
SCHEMES = ["light", "dark"] if ALL else ["light"]
"""What looks the same but for its colours is driven in the dark, contrast too, by `make e2e ALL=1`."""

expect.set_options(timeout=15_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@dataclass(frozen=True)
class Site:
    """One running app, and the same database seen from here."""

    url: str
    app: App
    environment: dict[str, str]
    process: int
    """The app's process id."""

    def start_command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the shell on the same data."""
        return subprocess.Popen(
            [sys.executable, "-m", "brightrun", *arguments], cwd=ROOT, env=self.environment
        )


@pytest.fixture
def extra_environment() -> dict[str, str]:
    """Variables a test adds to the app's environment; overridden where they are needed."""
    return {}


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    """A server that speaks the Messages API and always answers."""
    with MessagesApi() as running:
        yield running


@pytest.fixture
def is_warm() -> bool:
    """Whether the app is forked from a process that has read its modules; started by its command where not."""
    return True


@pytest.fixture
def site(dsn: str, tmp_path: Path, extra_environment: dict[str, str], is_warm: bool) -> Iterator[Site]:
    with serving(dsn, tmp_path, "ana", extra_environment, is_warm=is_warm) as running:
        yield running


@contextmanager
def serving(
    dsn: str,
    folder: Path,
    actor: str,
    extra: Mapping[str, str] | None = None,
    *,
    port: int = 0,
    is_warm: bool = True,
) -> Iterator[Site]:
    """Run the app for one person on this database until the block ends."""
    port = port or free_port()
    home = folder / "home"
    environment = {
        **os.environ,
        "BRIGHTRUN_HOME": str(home),
        "DATABASE_URL": dsn,
        "BRIGHTRUN_ACTOR": actor,
        "PYTHONPATH": str(ROOT),
        **(extra or {}),
    }
    arguments = [
        *("run", "Home.py", "--server.port", str(port)),
        *("--server.headless", "true", "--server.fileWatcherType", "none"),
    ]
    log_file = folder / f"app-{actor}.log"
    process: Forked | subprocess.Popen[bytes]
    if is_warm:
        process = warm_app(arguments, environment, log_file)
    else:
        command = [sys.executable, "-m", "streamlit", *arguments]
        with log_file.open("wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    app = open_app(Settings(home=home, database_url=dsn, actor=actor))
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/_stcore/health", process, log_file)
        yield Site(url, app, environment, process.pid)
    finally:
        app.close()
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def driver() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(driver: Playwright) -> Iterator[Browser]:
    with launched(driver, SHELL, *WHOLE) as opened:
        yield opened


@contextmanager
def launched(driver: Playwright, *names: str) -> Iterator[Browser]:
    """Run the first of these browsers that is there."""
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("These tests need Debian's chromium: apt-get install chromium.")
    opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox", UNTUNED])
    yield opened
    opened.close()


@pytest.fixture
def open_tab(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """Open a tab at a path; afterwards, nothing outside this machine may have been asked for.

    The tabs of a test are one person's: what the first one has fetched the others need not.
    """
    contexts: dict[str, BrowserContext] = {}
    outside: list[str] = []

    def open_one(path: str = "", *, scheme: str = "light") -> Page:
        if scheme not in contexts:
            contexts[scheme] = browser.new_context(
                viewport=SIZE,
                color_scheme="dark" if scheme == "dark" else "light",
                accept_downloads=True,
                reduced_motion="reduce",  # which nothing here is about, and which costs a twentieth
            )
            contexts[scheme].on("request", lambda request: _note(request.url, outside))
        page = contexts[scheme].new_page()
        page.goto(f"{site.url}/{path}")
        return page

    yield open_one
    for context in contexts.values():
        context.close()
    assert not outside, f"The browser asked others: {sorted(set(outside))}"


@pytest.fixture
def shoot() -> Callable[[Page, str], None]:
    """Keep a picture of a page where BRIGHTRUN_SHOTS names a folder."""
    folder = os.environ.get("BRIGHTRUN_SHOTS")

    def take(page: Page, name: str) -> None:
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
            page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
            page.wait_for_timeout(600)  # fonts and charts settle; nothing is asserted by it
            page.screenshot(path=str(Path(folder) / f"{name}.png"))

    return take


RESTS = """
(asked) => {
  const app = document.querySelector("[data-testid=stApp]");
  if (!app || app.getAttribute("data-test-script-state") !== "notRunning") return false;
  if (window.restedFor !== asked) [window.restedFor, window.restedAt] = [asked, performance.now()];
  return performance.now() - window.restedAt >= 100;
}
"""
"""Whether a page rests, a moment after it was first seen to: a run begins a moment after what asks for it."""


def settle(page: Page, timeout: float = 15_000) -> None:
    """Wait until the page has finished its run, and that of what was just asked of it.

    The page itself is asked, every few milliseconds: an expectation looks once a second when it has to wait.
    """
    page.wait_for_function(RESTS, arg=time.monotonic(), polling=30, timeout=timeout)


def press(button: Locator) -> None:
    """Press what stands still: what a run is about to replace takes a click and does nothing."""
    settle(button.page)
    button.click()


def choose(part: Page | Locator, label: str, name: str, *, exact: bool = False) -> None:
    """Choose one option of a select box; what is typed may be the beginning of its name."""
    page = part if isinstance(part, Page) else part.page
    box = part.get_by_role("combobox", name=label, exact=exact).first
    settle(page)
    _offered(page, box, name).click()
    expect(page.get_by_role("option")).to_have_count(0)
    settle(page)


def pick(part: Page | Locator, label: str, *names: str) -> None:
    """Pick options of a list that takes several, and close it."""
    page = part if isinstance(part, Page) else part.page
    box = part.get_by_role("combobox", name=label).first
    for name in names:
        settle(page)
        _offered(page, box, name)
        box.press("Enter")
        settle(page)
    page.keyboard.press("Escape")


def _offered(page: Page, box: Locator, name: str) -> Locator:
    """Open a list and narrow it to a name: a page that draws itself meanwhile closes it, so until it is shown."""
    expect(box).to_be_visible()
    option = page.get_by_role("option").filter(has_text=name).first
    ends = time.monotonic() + OFFERED_SECONDS
    while True:
        box.click()
        box.fill(name)
        try:
            option.wait_for(timeout=2_500)
        except PlaywrightTimeout:
            if time.monotonic() > ends:
                raise
            page.keyboard.press("Escape")
        else:
            return option


def _note(url: str, outside: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        outside.append(url)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(url: str, process: Forked | subprocess.Popen[bytes], log: Path) -> None:
    ends = time.monotonic() + READY_SECONDS
    while time.monotonic() < ends:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"The app did not start:\n{log.read_text()}")
