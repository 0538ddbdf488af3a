"""Steps a person takes on the Control UI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from playwright.async_api import Locator, Page, expect

from tests.integration.openclaw.openclaw_rig import TOKEN, Rig

NewPage = Callable[..., Awaitable[Page]]
"""Opens a page in a browser profile of its own; takes Playwright's context options."""


async def open_ui(page: Page, rig: Rig, view: str = "chat", *, token: str = TOKEN) -> None:
    """Open the page as `openclaw dashboard` prints it, wait until it is in, and go to a view."""
    await page.goto(f"{rig.gateway.http_url}#token={token}")
    await expect(page.get_by_text("connected", exact=True)).to_be_visible()
    if view != "chat":
        await page.get_by_role("navigation").get_by_role("link", name=view.capitalize()).click()


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
