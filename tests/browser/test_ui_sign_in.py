"""Getting in: tokens, the device key, pairing, and every way of being refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from openclaw.config import OpenClawPolicy
from tests.integration.openclaw.openclaw_rig import TOKEN, running_rig
from tests.support.ui_pages import NewPage, open_ui
from tests.support.ui_tunnel import VISITOR, tunnel

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

STORED_KEY = """async () => {
  const database = await new Promise((done) => {
    const opening = indexedDB.open('openclaw-device');
    opening.onsuccess = () => done(opening.result);
  });
  const pair = await new Promise((done) => {
    const reading = database.transaction('keys').objectStore('keys').get('device');
    reading.onsuccess = () => done(reading.result);
  });
  return {extractable: pair.privateKey.extractable, algorithm: pair.privateKey.algorithm.name};
}"""


def connected(page: Page):
    return page.get_by_text("connected", exact=True)


def heading(page: Page, name: str):
    return page.get_by_role("heading", name=name)


async def test_a_link_with_the_token_signs_in_and_the_token_leaves_the_address(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        assert "token" not in page.url
        assert await page.evaluate(STORED_KEY) == {"extractable": False, "algorithm": "Ed25519"}


async def test_the_device_token_alone_lets_the_browser_in_again(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        await page.evaluate("localStorage.removeItem('openclaw.control.settings.v1')")
        await page.reload()
        await expect(connected(page)).to_be_visible()


async def test_without_a_token_it_asks_for_one_before_it_knocks(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        await page.goto(rig.gateway.http_url)
        await expect(page.get_by_label("Gateway token")).to_be_focused()
        assert sockets == []
        await page.keyboard.type(TOKEN)
        await page.keyboard.press("Enter")
        await expect(connected(page)).to_be_visible()


async def test_a_wrong_token_is_said_once_and_not_tried_again(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        await page.goto(f"{rig.gateway.http_url}#token=wrong")
        await expect(page.get_by_role("alert")).to_contain_text("does not know this token")
        await page.wait_for_timeout(1200)
        assert len(sockets) == 1
        await page.get_by_label("Gateway token").fill(TOKEN)
        await page.get_by_role("button", name="Connect").click()
        await expect(connected(page)).to_be_visible()


@pytest.mark.parametrize("forwarded", [VISITOR, f"127.0.0.1, {VISITOR}"], ids=["plain", "forged"])
async def test_a_visitor_of_the_tunnel_waits_for_approval_and_goes_on_by_itself(
    page: Page, tmp_path: Path, forwarded: str
):
    edge = {"X-Forwarded-For": forwarded}
    async with running_rig(tmp_path) as rig, tunnel(rig.gateway.port, edge) as port, rig.client() as operator:
        await page.goto(f"http://127.0.0.1:{port}/#token={TOKEN}")
        await expect(heading(page, "Waiting for approval")).to_be_visible()
        request_id = await page.locator("#request").inner_text()
        listing = await operator.request("device.pair.list", {})
        assert [(r["requestId"], r["displayName"]) for r in listing["pending"]] == [(request_id, "Chrome on Linux")]
        await expect(page.get_by_text("openclaw devices list", exact=True)).to_be_visible()
        await expect(page.get_by_text(f"openclaw devices approve {request_id}", exact=True)).to_be_visible()
        await operator.request("device.pair.approve", {"requestId": request_id})
        await expect(connected(page)).to_be_visible()


async def test_a_rejected_visitor_is_told_and_stops_asking(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig, tunnel(rig.gateway.port) as port, rig.client() as operator:
        await page.goto(f"http://127.0.0.1:{port}/#token={TOKEN}")
        await expect(heading(page, "Waiting for approval")).to_be_visible()
        request_id = await page.locator("#request").inner_text()
        await operator.request("device.pair.reject", {"requestId": request_id})
        await page.get_by_role("button", name="Ask now").click()
        await expect(heading(page, "The request was rejected")).to_be_visible()
        await page.get_by_role("button", name="Ask again").click()
        await expect(heading(page, "Waiting for approval")).to_be_visible()


async def test_a_revoked_browser_without_the_gateway_token_has_to_sign_in(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig, rig.client() as operator:
        await open_ui(page, rig)
        await page.evaluate("localStorage.removeItem('openclaw.control.settings.v1')")
        await page.reload()
        await expect(connected(page)).to_be_visible()
        paired = (await operator.request("device.pair.list", {}))["paired"]
        browser = next(device for device in paired if device["clientId"] == "openclaw-control-ui")
        await operator.request("device.token.revoke", {"deviceId": browser["deviceId"], "role": "operator"})
        await expect(page.get_by_role("alert")).to_contain_text("access of this browser was withdrawn")


async def test_too_many_failures_are_explained(page: Page, tmp_path: Path):
    policy = OpenClawPolicy.model_validate({"port": 0, "auth": {"max_attempts": 1}})
    async with running_rig(tmp_path, policy=policy) as rig:
        await page.goto(f"{rig.gateway.http_url}#token=wrong")
        await page.get_by_label("Gateway token").fill("wrong again")
        await page.get_by_role("button", name="Connect").click()
        await expect(heading(page, "Too many failed attempts")).to_be_visible()


async def test_an_address_that_is_not_allowed_is_named_with_the_key_to_set(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        address = f"http://claw.localhost:{rig.gateway.port}"
        await page.goto(f"{address}/#token={TOKEN}")
        await expect(heading(page, "This address is not allowed")).to_be_visible()
        await expect(page.get_by_text("gateway.controlUi.allowedOrigins")).to_be_visible()
        await expect(page.get_by_text(address, exact=True)).to_be_visible()


async def test_plain_http_from_elsewhere_asks_for_a_secure_connection(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await page.goto(f"http://claw.test:{rig.gateway.port}/#token={TOKEN}")
        await expect(heading(page, "A secure connection is needed")).to_be_visible()


async def test_signing_out_forgets_both_tokens_and_keeps_the_key(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_label("Gateway token")).to_be_visible()
        kept = await page.evaluate("JSON.stringify(localStorage)")
        assert TOKEN not in kept
        assert "openclaw.device.auth.v1" not in kept
        assert (await page.evaluate(STORED_KEY))["extractable"] is False


async def test_approving_on_the_devices_page_lets_another_browser_in(new_page: NewPage, tmp_path: Path):
    async with running_rig(tmp_path) as rig, tunnel(rig.gateway.port) as port:
        owner, visitor = await new_page(), await new_page()
        await open_ui(owner, rig, "devices")
        await expect(owner.get_by_text("No device is waiting.")).to_be_visible()
        await visitor.goto(f"http://127.0.0.1:{port}/#token={TOKEN}")
        waiting = owner.get_by_role("region", name="Waiting for approval").get_by_role("listitem")
        await expect(waiting).to_contain_text("Chrome on Linux")
        await expect(owner.get_by_role("link", name=re.compile("Devices.*1"))).to_be_visible()
        await waiting.get_by_role("button", name="Approve").click()
        await expect(connected(visitor)).to_be_visible()
        await expect(waiting).to_have_count(0)
        assert VISITOR not in await owner.get_by_role("region", name="Waiting for approval").inner_text()
