"""The original's own page against our gateway: it connects, pairs, chats, and every tab is answered all it asks."""

from __future__ import annotations

import asyncio
import json
import mimetypes
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from openclaw_rig import TOKEN, running_rig
from playwright.async_api import Page, Route, WebSocket, expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="session")]

TABS = (
    *("chat", "overview", "channels", "instances", "sessions", "usage"),
    *("cron", "agents", "skills", "nodes", "config", "debug", "logs"),
)
PATIENCE_MS = 60_000


@dataclass
class Talk:
    """What went over the page's sockets."""

    asked: dict[str, str] = field(default_factory=dict)
    refused: list[tuple[str, Any]] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)

    def listen(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda text: self._sent(json.loads(text)))
        socket.on("framereceived", lambda text: self._received(json.loads(text)))

    def _sent(self, frame: dict[str, Any]) -> None:
        self.asked[frame["id"]] = frame["method"]

    def _received(self, frame: dict[str, Any]) -> None:
        if frame["type"] != "res":
            return
        method = self.asked.pop(frame["id"], "?")
        self.answered.add(method)
        if not frame["ok"]:
            self.refused.append((method, frame["error"]))

    async def settled(self) -> None:
        """Wait until nothing is open and nothing new is asked for a moment."""
        async with asyncio.timeout(PATIENCE_MS / 1000):
            quiet = 0
            while quiet < 3:
                await asyncio.sleep(0.1)
                quiet = 0 if self.asked else quiet + 1


async def open_page(browser, original, rig, path: str) -> tuple[Page, Talk]:
    """The original's files at our gateway's own address; everything that is no file of the page goes through."""
    root: Path = original.control_ui
    page = await (await browser.new_context()).new_page()
    talk = Talk()
    page.on("websocket", talk.listen)

    async def serve(route: Route) -> None:
        address = urlsplit(route.request.url)
        wanted = address.path
        if address.netloc != urlsplit(rig.gateway.http_url).netloc:
            await route.abort()  # fonts from elsewhere
            return
        if "__openclaw" in wanted or "/avatar/" in wanted:
            await route.continue_()
            return
        file = root / wanted.lstrip("/")
        if "/assets/" in wanted:
            file = root / "assets" / wanted.rpartition("/")[2]
        body = file if file.is_file() else root / "index.html"
        kind = mimetypes.guess_type(body.name)[0] or "text/plain"
        await route.fulfill(body=body.read_bytes(), content_type=kind)

    await page.route("**/*", serve)
    await page.goto(f"{rig.gateway.http_url}{path}#token={TOKEN}")
    return page, talk


async def test_the_page_pairs_chats_and_every_tab_is_answered(browser, original, tmp_path):
    async with running_rig(tmp_path) as rig:
        page, talk = await open_page(browser, original, rig, "chat")
        box = page.locator("textarea").first
        await expect(box).to_be_enabled(timeout=PATIENCE_MS)
        (device,) = rig.gateway.services.devices.listing()["paired"]
        assert device["clientId"] == "openclaw-control-ui"
        await box.fill("hello")
        await box.press("Enter")
        await expect(page.get_by_text("echo: hello").first).to_be_visible(timeout=PATIENCE_MS)
        for tab in TABS:
            # As the page's own links do it: no reload, the same connection.
            await page.evaluate(
                "path => { history.pushState({}, '', path); dispatchEvent(new PopStateEvent('popstate')) }", f"/{tab}"
            )
            await talk.settled()
        await expect(page.locator("body")).to_contain_text("logs", ignore_case=True, timeout=PATIENCE_MS)
        assert {"chat.send", "sessions.list", "channels.status", "logs.tail", "node.list"} <= talk.answered
        assert talk.refused == []
        await page.context.close()


async def test_the_page_comes_back_with_its_device_token_and_lists_the_session(browser, original, tmp_path):
    async with running_rig(tmp_path) as rig:
        page, talk = await open_page(browser, original, rig, "chat")
        box = page.locator("textarea").first
        await expect(box).to_be_enabled(timeout=PATIENCE_MS)
        await box.fill("remember milk")
        await box.press("Enter")
        await expect(page.get_by_text("echo: remember milk").first).to_be_visible(timeout=PATIENCE_MS)
        await page.goto(f"{rig.gateway.http_url}sessions")
        await expect(page.get_by_text("agent:main:main").first).to_be_visible(timeout=PATIENCE_MS)
        await talk.settled()
        assert talk.refused == []
        assert len(rig.gateway.services.devices.listing()["paired"]) == 1
        await page.context.close()
