"""Takes the pictures of the documentation: ``python -m tests.support.ui_screenshots docs/screenshots [--all]``.

The gateway is the development stand-in with an invented conversation, so that the pictures stay the same.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from tests.support.ui_stand_in import MAIN, Refusal, StandIn, now_ms, stand_in

ANSWER = """The order matters only once:

1. Stop the tenant, **then** take the backup.
2. Copy the folder to the new machine.
3. Start it there and check `openclaw health`.

```sh
clawgate backup --to backup.tar.zst
clawgate restore backup.tar.zst
```

| step | takes |
|---|---|
| backup | 12 s |
| copy | 40 s |

Nothing is lost when a step is repeated."""
CHECKLIST = """- [x] stop the tenant
- [x] take the backup
- [ ] copy the folder to the new machine"""
KEPT = {"chat-light", "chat-dark", "chat-light-narrow", "devices-light", "overview-dark", "pairing-light"}
HOUR_MS = 3_600_000
UI_SCOPES = ["operator.admin", "operator.approvals", "operator.pairing"]
REQUEST = "5d0b4f0e-0c0d-4f7e-9f53-6a3b9c1f6a10"


def _device(name: str, device_id: str, hours: int, **more: Any) -> dict[str, Any]:
    at = now_ms() - 72 * HOUR_MS
    token = {"role": "operator", "scopes": UI_SCOPES, "createdAtMs": at, "lastUsedAtMs": now_ms() - hours * HOUR_MS}
    head = {"deviceId": device_id, "displayName": name, "platform": "linux x86_64", "roles": ["operator"]}
    return {**head, "scopes": UI_SCOPES, "approvedAtMs": at, "tokens": [token], **more}


def _scene(gateway: StandIn) -> None:
    at = now_ms() - 10 * 60_000

    def said(role: str, text: str, after_ms: int) -> dict[str, Any]:
        return {"role": role, "content": [{"type": "text", "text": text}], "timestamp": at + after_ms}

    gateway.history[MAIN] = [
        said("user", "How do I move OpenClaw to another machine?", 0),
        said("assistant", ANSWER, 4000),
        said("user", "And how long is it offline?\nRoughly is fine.", 60_000),
        said("assistant", "About a minute: the copy is the longest part.", 63_000),
    ]
    channel = "agent:main:discord:channel:100000000000000001"
    gateway.pages.sessions = [
        {"key": MAIN, "updatedAt": now_ms() - 60_000, "model": "gpt-5.1"},
        {"key": channel, "displayName": "Discord #general", "updatedAt": now_ms() - HOUR_MS, "model": "gpt-5.1"},
    ]
    asking = {"requestId": REQUEST, "deviceId": "c4" * 32, "displayName": "Safari on iOS", "platform": "iphone"}
    gateway.pending = [
        {**asking, "remoteIp": "203.0.113.7", "roles": ["operator"], "scopes": UI_SCOPES, "ts": now_ms() - 30_000}
    ]
    gateway.paired = [
        _device("openclaw command", "7b" * 32, 2, scopes=["operator.read"]),
        _device("Firefox on Windows", "e9" * 32, 29, platform="win32"),
    ]


def _ask_for_pairing(_params: dict[str, Any]) -> str:
    raise Refusal("pairing required", code="NOT_PAIRED", why="PAIRING_REQUIRED", requestId=REQUEST, reason="not-paired")


async def _shoot(page: Page, folder: Path, name: str) -> None:
    if name not in KEPT and "--all" not in sys.argv:
        return
    await page.wait_for_timeout(800)
    await page.screenshot(path=folder / f"control-ui-{name}.png")


async def _tour(browser: Browser, folder: Path, scheme: str, size: tuple[int, int], tag: str) -> None:
    gateway = StandIn(reply=lambda _text: CHECKLIST, hold_after=13)
    _scene(gateway)
    async with stand_in(gateway):
        viewport = {"width": size[0], "height": size[1]}
        context = await browser.new_context(color_scheme=scheme, viewport=viewport)  # type: ignore[arg-type]
        page = await context.new_page()
        await page.goto(gateway.url)
        await page.wait_for_selector("oc-login")
        await _shoot(page, folder, f"sign-in-{tag}")
        await page.goto(f"{gateway.url}#token={gateway.token}")
        await page.wait_for_selector("oc-item")
        own = next(params for method, params in gateway.received if method == "connect")["device"]["id"]
        gateway.paired.insert(0, _device("Chrome on Linux", own, 0))
        gateway.hold.clear()
        await page.get_by_role("textbox").fill("Write that down as a checklist")
        await page.get_by_role("textbox").press("Enter")
        await _shoot(page, folder, f"chat-{tag}")
        gateway.hold.set()
        for view in ("overview", "devices"):
            await page.goto(f"{gateway.url}#/{view}")
            await page.get_by_role("button", name="Refresh").click()
            await _shoot(page, folder, f"{view}-{tag}")
        await page.get_by_role("button", name="Remove Firefox").click()
        await _shoot(page, folder, f"confirm-{tag}")
        gateway.admit = _ask_for_pairing
        await page.reload()
        await page.wait_for_selector("oc-pairing")
        await _shoot(page, folder, f"pairing-{tag}")
        await context.close()


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        program = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for scheme in ("light", "dark"):
            await _tour(browser, folder, scheme, (1200, 800), scheme)
            await _tour(browser, folder, scheme, (390, 780), f"{scheme}-narrow")
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
