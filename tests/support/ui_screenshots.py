"""Takes the pictures of the documentation: ``python -m tests.support.ui_screenshots docs/screenshots [page …]``.

Every page in four looks: light, dark, on a narrow screen, and in Korean. The gateway is the development stand-in with
an invented state, so that the pictures stay the same.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from tests.support.ui_scene import CHECKLIST, REQUEST, device, scene
from tests.support.ui_stand_in import Json, Refusal, StandIn, stand_in

PAGES = (
    *("overview", "approvals", "posts", "sessions", "cron", "agent", "channels", "models", "usage", "devices", "logs"),
    "config",
)


@dataclass(frozen=True)
class Look:
    """How the page is looked at."""

    name: str
    scheme: str = "light"
    size: tuple[int, int] = (1200, 800)
    locale: str = "en-GB"


LOOKS = (
    Look("light"),
    Look("dark", scheme="dark"),
    Look("narrow", size=(360, 720)),
    Look("korean", locale="ko-KR"),
)


def _ask_for_pairing(_params: Json) -> str:
    raise Refusal("pairing required", code="NOT_PAIRED", why="PAIRING_REQUIRED", requestId=REQUEST, reason="not-paired")


async def _shoot(page: Page, folder: Path, name: str) -> None:
    if sys.argv[2:] and not any(name.startswith(wanted) for wanted in sys.argv[2:]):
        return
    await page.wait_for_timeout(500)
    await page.screenshot(path=folder / f"control-ui-{name}.png")


async def _tour(browser: Browser, folder: Path, look: Look) -> None:
    gateway = StandIn(reply=lambda _text: CHECKLIST, hold_after=13)
    async with stand_in(gateway):
        await scene(gateway)
        viewport = {"width": look.size[0], "height": look.size[1]}
        context = await browser.new_context(color_scheme=look.scheme, viewport=viewport, locale=look.locale)  # type: ignore[arg-type]
        page = await context.new_page()
        await page.goto(gateway.url)
        await page.wait_for_selector("oc-login")
        await _shoot(page, folder, f"sign-in-{look.name}")
        await page.goto(f"{gateway.url}#token={gateway.token}")
        await page.wait_for_selector("oc-overview")
        own = next(params for method, params in gateway.received if method == "connect")["device"]["id"]
        gateway.paired.insert(0, device("Chrome on Linux", own, 0))
        await page.goto(f"{gateway.url}#/chat")
        await page.wait_for_selector("oc-item")
        gateway.hold.clear()
        await page.get_by_role("textbox").fill("Write that down as a checklist")
        await page.get_by_role("textbox").press("Enter")
        await _shoot(page, folder, f"chat-{look.name}")
        gateway.hold.set()
        await page.goto(f"{gateway.url}#/overview")
        await page.reload()
        for view in PAGES:
            await page.goto(f"{gateway.url}#/{view}")
            await _shoot(page, folder, f"{view}-{look.name}")
        await page.keyboard.press("?")
        await _shoot(page, folder, f"keys-{look.name}")
        gateway.admit = _ask_for_pairing
        await page.reload()
        await page.wait_for_selector("oc-pairing")
        await _shoot(page, folder, f"pairing-{look.name}")
        await context.close()


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        program = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for look in LOOKS:
            await _tour(browser, folder, look)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
