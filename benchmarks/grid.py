"""`make benchgrid`: the review with a thousand, ten thousand and a hundred thousand conversations, in a real Chromium.

Three apps over three databases of one server take turns, so that each sees the same machine. A time runs
from the press of the mouse or key to the frame in which the page shows what was asked for; the bytes are
those the browser received over the websocket meanwhile.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import altair as alt
import pandas as pd
import psycopg
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from benchmarks.crowd import RARE, fill
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.review import ConversationFilter
from tests.e2e.conftest import SIZE, Site, serving
from tests.seed import migrated

DOCS = Path(__file__).parent.parent / "docs"
SIZES = (1_000, 10_000, 100_000)
ROUNDS = 7
KEYED = 50
PATIENCE = 90_000
PENDING = ConversationFilter(status=ConversationStatus.PENDING_REVIEW)

# In every frame: when a hand moved last, in the clock all frames share.
NOTE_HAND = """
for (const kind of ['pointerdown', 'keydown'])
  addEventListener(kind, () => { top.hand = performance.timeOrigin + performance.now(); }, true);
"""
IDS = """
(() => {
  for (const frame of document.querySelectorAll('iframe')) {
    const rows = frame.contentDocument?.querySelectorAll('.ag-center-cols-container [row-id]') ?? [];
    if (rows.length) return [...rows].sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'))
      .map(row => row.getAttribute('row-id'));
  }
  return [];
})()
"""
IDLE = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"


@dataclass
class Desk:
    """One size: its app, its tab, and what was measured in it."""

    size: int
    site: Site
    page: Page
    topic: str
    received: int = 0
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    bytes: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    work: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)

    def until(self, shown: str, argument: object = None) -> float:
        """Return when a condition first held, looked at in every frame the browser draws."""
        now = "performance.timeOrigin + performance.now()"
        handle = self.page.wait_for_function(
            f"argument => ({shown}) && {now}", arg=argument, polling="raf", timeout=PATIENCE
        )
        return float(handle.json_value())

    def settle(self) -> None:
        self.until(f"{IDLE} && {IDS}.length > 0")

    def ids(self) -> list[str]:
        return list(self.page.evaluate(IDS))

    def time(self, what: str, act: Callable[[], object], shown: str, argument: object = None) -> None:
        """Act, and keep how long the page took to show it and what it received."""
        self.settle()
        before = self.received
        act()
        ended = self.until(shown, argument)
        self.times[what].append(ended - float(self.page.evaluate("top.hand")))
        self.settle()
        self.bytes[what].append(self.received - before)


def main() -> None:
    """Measure every size and write the page with its plot and its picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grid")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=DOCS)
    given = parser.parse_args()
    with opened(given.sizes) as desks:
        for number in range(given.rounds + 1):
            for desk in desks:
                one_round(desk)
                if not number:  # the first round warms caches and is not counted
                    desk.times.clear()
                    desk.bytes.clear()
        picture(desks[-1], given.out / "images" / "grid-light.png")
        for desk in desks:
            desk.memory["after"] = memory(desk.site.process, "VmRSS")
            by_keyboard(desk)
            by_filter(desk)
            desk.memory["peak"] = memory(desk.site.process, "VmHWM")
    (given.out / "images").mkdir(parents=True, exist_ok=True)
    (given.out / "images" / "grid.svg").write_text(plot(desks), encoding="utf-8")
    text = page_of(desks, given.rounds)
    print(text)
    (given.out / "grid-benchmarks.md").write_text(text, encoding="utf-8")


@contextmanager
def staged() -> Iterator[tuple[ExitStack, str, Path, Browser]]:
    """A migrated database to copy, a folder and a browser, all gone with the stack that is lent with them."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with ExitStack() as stack:
        _, dsn = stack.enter_context(migrated())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="br-")))
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=program, args=["--no-sandbox"]
        )
        stack.callback(browser.close)
        yield stack, dsn, folder, browser


@contextmanager
def opened(sizes: list[int]) -> Iterator[list[Desk]]:
    """Fill a database for each size and open an app and a tab on each."""
    with staged() as (stack, dsn, folder, browser):
        desks = []
        for size in sizes:
            target = copied(dsn, f"crowd_{size}")
            began = time.perf_counter()
            topic = fill(target, size)
            print(f"{size:,} conversations put in, {time.perf_counter() - began:.0f} s", flush=True)
            home = folder / str(size)
            home.mkdir()
            site = stack.enter_context(serving(target, home, "ana"))
            desks.append(desk_of(size, site, topic, browser.new_context(viewport=SIZE)))
        yield desks


def copied(dsn: str, name: str) -> str:
    """Return a fresh database with the same schema and seed."""
    base = str(conninfo_to_dict(dsn).get("dbname") or "postgres")
    with psycopg.connect(make_conninfo(dsn, dbname="template1"), autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{base}"')  # type: ignore[arg-type]
    return make_conninfo(dsn, dbname=name)


def desk_of(size: int, site: Site, topic: str, context: BrowserContext) -> Desk:
    context.add_init_script(NOTE_HAND)
    desk = Desk(size, site, context.new_page(), topic)

    def listen(frame: str | bytes) -> None:
        desk.received += len(frame)

    desk.page.on("websocket", lambda socket: socket.on("framereceived", listen))
    desk.page.goto(f"{site.url}/review")
    desk.settle()
    desk.memory["before"] = memory(site.process, "VmRSS")
    return desk


def one_round(desk: Desk) -> None:
    """Do once what a reviewer does all day."""
    page, grid = desk.page, desk.page.frame_locator("iframe").first
    before = desk.received
    page.goto(f"{desk.site.url}/review")
    opened_at = desk.until(f"{IDS}.length > 0 && document.querySelector('[data-testid=stChatMessage]')")
    desk.times["open the list"].append(opened_at - float(page.evaluate("performance.timeOrigin")))
    desk.settle()
    desk.bytes["open the list"].append(desk.received - before)

    other = desk.ids()[3]
    desk.time(
        "read another",
        grid.locator(f"[row-id='{other}'] [col-id=scenario]").click,
        "location.search.includes(argument)",
        other,
    )
    desk.time(
        "select a row",
        grid.locator(f"[row-id='{other}'] input[type=checkbox]").first.click,
        "[...document.querySelectorAll('button')].some(b => b.innerText.trim() === 'Approve 1')",
    )
    decide(desk, page)
    changed = f"{IDS}.length > 0 && {IDS}[0] !== argument"
    desk.time("next page", page.get_by_role("button", name="Next page").click, changed, desk.ids()[0])
    desk.settle()
    order = page.get_by_role("combobox", name="Order")
    order.click()
    order.press_sequentially("Worst")
    desk.time("sort", lambda: order.press("Enter"), changed, desk.ids()[0])
    desk.time("filter", page.get_by_text("Approved", exact=True).first.click, changed, desk.ids()[0])
    search = page.get_by_role("textbox", name="Search the turns")
    search.fill(RARE)
    desk.time("search the words", lambda: search.press("Enter"), changed, desk.ids()[0])


def decide(desk: Desk, page: Page) -> None:
    """Approve what is selected: the row goes."""
    row = desk.ids()[3]
    approve = page.get_by_role("button", name="Approve 1", exact=True)
    desk.time("decide", approve.click, f"{IDS}.length > 0 && !{IDS}.includes(argument)", row)


def by_keyboard(desk: Desk) -> None:
    """Decide on fifty rows one by one, a key each, as soon as the next row is under the cursor."""
    desk.page.goto(f"{desk.site.url}/review")
    desk.settle()
    before = desk.site.app.reviews.count(PENDING)
    grid = desk.page.frame_locator("iframe").first
    row = desk.ids()[0]
    grid.locator(f"[row-id='{row}'] [col-id=scenario]").click()
    focused = IDS.replace("[row-id]'", "[row-id]:has(.ag-cell-focus)'")
    began = time.perf_counter()
    for number in range(KEYED):
        row = desk.page.evaluate(f"{focused}[0]") if number else row
        desk.page.keyboard.press("ax"[number % 2])
        desk.until(f"{focused}.length > 0 && !{IDS}.includes(argument)", row)
    desk.work["50 by keyboard"] = time.perf_counter() - began
    desk.settle()
    left = before - desk.site.app.reviews.count(PENDING)
    if left != KEYED:
        raise SystemExit(f"{left} of {KEYED} decisions by keyboard reached the database.")


def by_filter(desk: Desk) -> None:
    """Decide on everything of one topic, and take it back."""
    desk.page.goto(f"{desk.site.url}/review?topic={desk.topic}")
    desk.settle()
    button = desk.page.get_by_role("button", name=re.compile("Decide on all"))
    label = button.inner_text()
    desk.work["in the filter"] = float(re.sub(r"\D", "", label))
    began = time.perf_counter()
    button.click()
    desk.page.get_by_role("button", name=re.compile(r"^Approve: ")).click()
    desk.page.get_by_role("button", name=re.compile("^Undo")).wait_for(timeout=PATIENCE)
    desk.work["by filter"] = time.perf_counter() - began
    began = time.perf_counter()
    desk.page.get_by_role("button", name=re.compile("^Undo")).click()
    desk.page.get_by_text(re.compile("^Undone: ")).wait_for(timeout=PATIENCE)
    desk.work["undone"] = time.perf_counter() - began


def memory(pid: int, name: str) -> float:
    """Return a figure of a process from the kernel, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]


def picture(desk: Desk, path: Path) -> None:
    desk.page.goto(f"{desk.site.url}/review")
    desk.settle()
    desk.page.wait_for_timeout(1_000)  # fonts settle
    desk.page.screenshot(path=str(path))


def plot(desks: list[Desk]) -> str:
    import vl_convert

    frame = pd.DataFrame(
        [
            {"step": step, "size": f"{desk.size:,}", "milliseconds": value}
            for desk in desks
            for step, values in desk.times.items()
            for value in values
        ]
    )
    order = [f"{desk.size:,}" for desk in desks]
    base = alt.Chart(frame, width=420).encode(
        y=alt.Y("size:N", sort=order, title=None),
        color=alt.Color("size:N", sort=order, title="conversations"),
    )
    axis = alt.X("milliseconds:Q", title="ms from hand to picture")
    layers = base.mark_point(opacity=0.35).encode(x=axis) + base.mark_tick(thickness=3, size=14).encode(
        x=alt.X("median(milliseconds):Q")
    )
    chart = layers.properties(height=54).facet(
        row=alt.Row("step:N", sort=None, title=None, header=alt.Header(labelAngle=0, labelAlign="left"))
    )
    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


def page_of(desks: list[Desk], rounds: int) -> str:
    """Return the page: one row a step, one column a size, and the ratio of the ends."""
    small, large = desks[0], desks[-1]
    head = " | ".join(f"{desk.size:,}" for desk in desks)
    lines, shares = [], {}
    for step in small.times:
        medians = [statistics.median(desk.times[step]) for desk in desks]
        shares[step] = medians[-1] / medians[0]
        received = statistics.median(large.bytes[step]) / 1024
        cells = " | ".join(f"{value:.0f}" for value in medians)
        lines.append(f"| {step} | {cells} | {shares[step]:.2f} | {received:.0f} |")
    whole = sum(statistics.median(v) for v in large.times.values()) / sum(
        statistics.median(v) for v in small.times.values()
    )
    worst = max(shares, key=lambda step: shares[step])
    work = [
        f"| {desk.size:,} | {KEYED} keys, {desk.work['50 by keyboard']:.1f} s | {desk.work['in the filter']:,.0f}: "
        f"2 clicks, {desk.work['by filter']:.1f} s | 1 click, {desk.work['undone']:.1f} s | "
        f"{desk.memory['before']:.0f} | {desk.memory['after']:.0f} | {desk.memory['peak']:.0f} |"
        for desk in desks
    ]
    return f"""# The review, by the number of conversations

`make benchgrid` makes this page: {rounds} rounds for each size, in turns on one machine ({platform.system()},
{os.cpu_count()} cores, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}), in a real Chromium over a real
database. A time runs from the press of the mouse or key to the frame that shows what was asked for; median,
milliseconds. Ratios hold better than times: other work was running on the machine.

{large.size:,} against {small.size:,} conversations, all steps together: **{whole:.2f}**; the worst step is
“{worst}” with {shares[worst]:.2f}. The aim is at most 1.5.

| step | {head} | ratio | KB received at {large.size:,} |
|---|{"---|" * len(desks)}---|---|
{chr(10).join(lines)}

![Milliseconds from hand to picture](images/grid.svg)

Deciding on many. By keyboard a decision is one key: the next row is under the cursor when the last has gone. By
filter it is two clicks whatever the number, `Decide on all` and the button with the count, and one takes it back.
Memory is what the app's process holds, in MB: with the page open, after the rounds, and at its peak.

| conversations | {KEYED} one by one | by filter | undone | MB open | MB after | MB at most |
|---|---|---|---|---|---|---|
{chr(10).join(work)}

![The review over {large.size:,} conversations](images/grid-light.png)
"""


if __name__ == "__main__":
    main()
