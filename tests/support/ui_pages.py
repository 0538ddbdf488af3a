"""Steps a person takes on the Control UI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from playwright.async_api import Locator, Page, expect

from tests.integration.openclaw.openclaw_rig import TOKEN, Rig

NewPage = Callable[..., Awaitable[Page]]
"""Opens a page in a browser profile of its own; takes Playwright's context options."""


async def open_ui(page: Page, rig: Rig, view: str = "chat", *, token: str = TOKEN) -> None:
    """Open the page as `openclaw dashboard` prints it, wait until it is in, and go to a view by its name."""
    await page.goto(f"{rig.gateway.http_url}#token={token}")
    await expect(page.get_by_text("connected", exact=True)).to_be_visible()
    await visit(page, view)


async def visit(page: Page, view: str) -> None:
    """Go to a view; on a narrow screen most of them are behind "More"."""
    link = page.get_by_role("navigation", name="Main").get_by_role("link", name=view.capitalize())
    if not await link.count():
        await page.get_by_role("button", name="More").click()
        link = page.get_by_role("dialog", name="More").get_by_role("link", name=view.capitalize())
    await link.click()


async def becomes_true(page: Page, expression: str) -> None:
    """Wait for a condition in the page; its policy forbids the way in which Playwright would poll."""
    async with asyncio.timeout(8):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message to OpenClaw")


async def say(page: Page, text: str) -> None:
    await field(page).fill(text)
    await field(page).press("Enter")


def answers(page: Page) -> Locator:
    return page.get_by_role("article", name="OpenClaw")


def own(page: Page) -> Locator:
    return page.get_by_role("article", name="You")
