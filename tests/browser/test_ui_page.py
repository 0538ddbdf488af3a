"""The page as a whole: losing the gateway, the overview, themes, narrow screens, keyboards."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, WebSocketRoute, expect

from gateway.sandbox.run import free_port
from openclaw.config import OpenClawPolicy
from tests.integration.openclaw.openclaw_rig import TOKEN, running_rig
from tests.support.ui_pages import NewPage, answers, field, open_ui, own, say

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_restart_is_calm_and_what_was_typed_stays(page: Page, tmp_path: Path):
    policy = OpenClawPolicy.model_validate({"port": free_port()})
    async with running_rig(tmp_path, policy=policy) as rig:
        await open_ui(page, rig)
        await say(page, "before")
        await expect(answers(page)).to_contain_text("echo: before")
        await field(page).fill("half a thought")
    await expect(page.get_by_role("status").filter(has_text="restarting")).to_be_visible()
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    await expect(answers(page)).to_contain_text("echo: before")
    async with running_rig(tmp_path, policy=policy):
        await page.get_by_role("button", name="Try now").click()
        await expect(page.get_by_text("connected", exact=True)).to_be_visible()
        await expect(field(page)).to_have_value("half a thought")
        await field(page).press("Enter")
        await expect(answers(page).nth(1)).to_contain_text("echo: half a thought")
        await expect(own(page)).to_have_count(2)


async def test_a_gateway_that_never_answers_has_its_own_view(page: Page, tmp_path: Path):
    async def refuse(route: WebSocketRoute) -> None:
        await route.close(code=1011, reason="no")

    async with running_rig(tmp_path) as rig:
        await page.route_web_socket(re.compile(".*"), refuse)
        await page.goto(f"{rig.gateway.http_url}#token={TOKEN}")
        await expect(page.get_by_role("heading", name="The gateway does not answer")).to_be_visible()
        await expect(page.get_by_role("button", name="Try now")).to_be_visible()


async def test_the_overview_shows_that_nothing_waits_and_who_is_connected(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig, "overview")
        await expect(page.get_by_role("heading", name="Overview")).to_be_focused()
        await expect(page.get_by_text("running", exact=True)).to_be_visible()
        await expect(page.get_by_role("region", name="Waiting for you")).to_contain_text("Nothing waits for you")
        await expect(page.get_by_role("region", name="Connected")).to_contain_text("browser")
        await expect(page.get_by_role("region", name="Recent sessions")).to_be_visible()


async def test_the_theme_follows_the_system_until_it_is_chosen(new_page: NewPage, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        page = await new_page(color_scheme="dark")
        await open_ui(page, rig)
        ground = "getComputedStyle(document.body).backgroundColor"
        dark = await page.evaluate(ground)
        await page.get_by_role("button", name="Colours: as the system").click()
        light = await page.evaluate(ground)
        assert light != dark
        await page.reload()
        await expect(page.get_by_role("button", name="Colours: light")).to_be_visible()
        assert await page.evaluate(ground) == light


@pytest.mark.parametrize("view", ["chat", "overview", "approvals", "devices"])
async def test_nothing_is_cut_off_on_a_narrow_screen(new_page: NewPage, tmp_path: Path, view: str):
    async with running_rig(tmp_path) as rig:
        page = await new_page(viewport={"width": 340, "height": 640}, has_touch=True)
        await open_ui(page, rig, view)
        if view == "chat":
            await say(page, "`" + "x" * 200 + "` and a " + "very" * 60 + " long word")
            await expect(answers(page)).to_contain_text("very")
        overflow = """() => {
          const wide = [];
          const look = (root) => root.querySelectorAll('*').forEach((e) => {
            const box = e.getBoundingClientRect();
            const scrolls = e.closest('pre, table, .unseen, .skip');
            const outside = box.right > innerWidth + 1 || box.left < -1;
            if (box.width && !scrolls && outside) wide.push(e.outerHTML.slice(0, 80));
            if (e.shadowRoot) look(e.shadowRoot);
          });
          look(document);
          return wide;
        }"""
        assert await page.evaluate(overflow) == []


async def test_the_first_tab_stop_skips_to_the_content(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig, "overview")
        await page.reload()
        await expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("main")).to_be_focused()
        assert page.url.endswith("#/overview")


async def test_addresses_of_the_original_lead_to_the_same_views(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await page.goto(f"{rig.gateway.http_url}devices#token={TOKEN}")
        await expect(page.get_by_role("heading", name="Devices")).to_be_visible()
        assert page.url == f"{rig.gateway.http_url}#/devices"
