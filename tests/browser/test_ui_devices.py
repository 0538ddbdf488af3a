"""What can be done to paired devices, and that nothing irreversible happens by a slip."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.integration.openclaw.openclaw_rig import Rig, running_rig
from tests.support.ui_pages import becomes_true, open_ui

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


def device(page: Page, name: str) -> Locator:
    return (
        page.get_by_role("region", name="Paired")
        .get_by_role("listitem")
        .filter(has=page.get_by_role("heading", name=name))
    )


async def _pair_other(rig: Rig) -> str:
    async with rig.client() as other:
        listing = await other.request("device.pair.list", {})
        return next(entry["deviceId"] for entry in listing["paired"] if entry["clientId"] != "openclaw-control-ui")


async def test_the_list_says_which_device_is_this_browser(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig, "devices")
        await expect(device(page, "Chrome on Linux")).to_contain_text("this browser")
        await expect(device(page, "Chrome on Linux")).to_contain_text("admin, approvals, pairing")


async def test_removing_a_device_asks_first_and_cancel_is_the_default(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        other = await _pair_other(rig)
        await open_ui(page, rig, "devices")
        row = page.get_by_role("region", name="Paired").get_by_role("listitem").filter(has_text=other[:12])
        await row.get_by_role("button", name="Remove").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("it has to be approved again")
        await page.keyboard.press("Enter")
        await expect(dialog).to_have_count(0)
        await expect(row).to_have_count(1)
        await row.get_by_role("button", name="Remove").click()
        await dialog.get_by_role("button", name="Remove").click()
        await expect(row).to_have_count(0)


async def test_the_new_token_of_another_device_is_shown_once(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        other = await _pair_other(rig)
        await open_ui(page, rig, "devices")
        row = page.get_by_role("region", name="Paired").get_by_role("listitem").filter(has_text=other[:12])
        await row.get_by_role("button", name="Replace the token").click()
        await page.get_by_role("dialog").get_by_role("button", name="Replace").click()
        issued = page.get_by_role("alert")
        await expect(issued).to_contain_text("New token of")
        assert len(await issued.locator("oc-copy code").inner_text()) >= 40
        await issued.get_by_role("button", name="Done").click()
        await expect(issued).to_have_count(0)


async def test_a_revoked_token_is_marked(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        other = await _pair_other(rig)
        await open_ui(page, rig, "devices")
        row = page.get_by_role("region", name="Paired").get_by_role("listitem").filter(has_text=other[:12])
        await row.get_by_role("button", name="Revoke").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(row).to_contain_text("token revoked")


async def test_replacing_its_own_token_keeps_this_browser_connected(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig, "devices")
        stored = "JSON.parse(localStorage['openclaw.device.auth.v1']).tokens.operator.token"
        before = await page.evaluate(stored)
        await device(page, "Chrome on Linux").get_by_role("button", name="Replace the token").click()
        await page.get_by_role("dialog").get_by_role("button", name="Replace").click()
        await becomes_true(page, f"{stored} !== {before!r}")
        await page.evaluate("localStorage.removeItem('openclaw.control.settings.v1')")
        await page.reload()
        await expect(page.get_by_text("connected", exact=True)).to_be_visible()


async def test_a_second_tab_takes_over_the_token_that_the_first_was_given(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig, "devices")
        await page.evaluate("localStorage.removeItem('openclaw.control.settings.v1')")
        second = await page.context.new_page()
        await second.goto(rig.gateway.http_url)
        await expect(second.get_by_text("connected", exact=True)).to_be_visible()
        await device(page, "Chrome on Linux").get_by_role("button", name="Replace the token").click()
        await page.get_by_role("dialog").get_by_role("button", name="Replace").click()
        await expect(second.get_by_role("status").filter(has_text="connection is lost")).to_be_visible()
        await expect(second.get_by_text("connected", exact=True)).to_be_visible()


async def test_revoking_its_own_token_brings_the_gateway_token_into_use(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig, "devices")
        await device(page, "Chrome on Linux").get_by_role("button", name="Revoke").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(page.get_by_role("status").filter(has_text="connection is lost")).to_be_visible()
        await expect(page.get_by_text("connected", exact=True)).to_be_visible()
        await expect(device(page, "Chrome on Linux")).not_to_contain_text("token revoked")
