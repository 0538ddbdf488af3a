"""Headless Chromium, and pages that fail a test by what they complain about."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Error, Page, async_playwright, expect

from tests.support.missing import missing
from tests.support.ui_pages import NewPage

LAUNCH = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP claw.test 127.0.0.1",
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
REPORT = pytest.StashKey[dict[str, pytest.TestReport]]()

# A socket that goes away is the browser's to report and ours to survive; the header is meant for HTTPS.
EXPECTED = ("WebSocket connection to", "net::ERR_", "Cross-Origin-Opener-Policy header has been ignored")

expect.set_options(timeout=8_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    item.stash.setdefault(REPORT, {})[report.when] = report
    return report


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(executable_path=program, args=LAUNCH)
        except Error as error:
            reason = f"no Chromium for the browser tests: {str(error).splitlines()[0]}; install the package chromium"
            missing(reason)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(chromium: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NewPage]:
    """Opens a page in a browser profile of its own; options are Playwright's context options."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def complain(message: ConsoleMessage) -> None:
        own_idea = message.location["url"].endswith("/favicon.ico")  # asked for where no page names an icon
        if message.type in {"error", "warning"} and not own_idea and not any(text in message.text for text in EXPECTED):
            complaints.append(message.text)

    async def open_page(**options: Any) -> Page:
        context = await chromium.new_context(**options)
        contexts.append(context)
        page = await context.new_page()
        page.on("console", complain)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_page
    failed = (report := request.node.stash.get(REPORT, {}).get("call")) is not None and report.failed
    for number, context in enumerate(contexts):
        if failed and context.pages:
            picture = tmp_path / f"page-{number}.png"
            await context.pages[0].screenshot(path=picture)
            print(f"screenshot: {picture}")
        await context.close()
    assert not complaints, "the page complained (console errors, CSP violations, exceptions)"


@pytest_asyncio.fixture(loop_scope="session")
async def page(new_page: NewPage) -> Page:
    return await new_page()
