"""The conversation: streaming, stopping, waiting, failing, and what model text may do to the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.integration.openclaw.openclaw_rig import running_rig
from tests.support.ui_pages import answers, field, open_ui, own, say

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_message_is_answered_and_still_there_after_a_reload(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        await expect(page.get_by_role("heading", name="No messages yet")).to_be_visible()
        await expect(field(page)).to_be_focused()
        await page.keyboard.type("hello")
        await page.keyboard.press("Enter")
        await expect(own(page)).to_contain_text("hello")
        await expect(answers(page)).to_contain_text("echo: hello")
        await page.reload()
        await expect(own(page)).to_have_count(1)
        await expect(answers(page)).to_contain_text("echo: hello")


async def test_an_answer_is_shown_while_it_is_written_and_escape_stops_it(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        await say(page, "!hold")
        await expect(answers(page)).to_contain_text("holding")
        await expect(answers(page)).to_have_attribute("aria-busy", "true")
        await field(page).press("Escape")
        await expect(answers(page)).to_contain_text("stopped")
        await expect(answers(page)).to_contain_text("holding")
        await expect(answers(page)).not_to_have_attribute("aria-busy", "true")


async def test_a_message_during_an_answer_waits_its_turn(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        await say(page, "!hold")
        await expect(answers(page)).to_contain_text("holding")
        await say(page, "second")
        await expect(own(page).nth(1)).to_contain_text("Waits until the present answer is finished")
        rig.model.release.set()
        await expect(answers(page)).to_have_count(2)
        await expect(answers(page).nth(1)).to_contain_text("echo: second")
        await expect(own(page).nth(1)).not_to_contain_text("Waits")
        entries = page.get_by_role("log").get_by_role("article")
        for number, text in enumerate(["!hold", "holding released", "second", "echo: second"]):
            await expect(entries.nth(number)).to_contain_text(text)


async def test_a_run_that_fails_says_why_with_its_run_id(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        await say(page, "!fail 400 all")
        await expect(page.get_by_role("article", name="Error")).to_contain_text("run ")
        await say(page, "hello again")
        await expect(answers(page)).to_contain_text("echo: hello again")
        await expect(page.get_by_role("article", name="Error")).to_be_visible()


async def test_shift_enter_makes_a_line_and_an_input_method_keeps_its_enter(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        await field(page).fill("one")
        await field(page).press("Shift+Enter")
        await page.keyboard.type("two")
        await field(page).dispatch_event("keydown", {"key": "Enter", "isComposing": True})
        await expect(field(page)).to_have_value("one\ntwo")
        assert rig.model.requests == []
        await field(page).press("Enter")
        await expect(own(page)).to_contain_text("one\ntwo")
        await expect(field(page)).to_have_value("")


async def test_model_text_is_formatted_and_cannot_act(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await open_ui(page, rig)
        await say(
            page, "**bold** [site](https://example.org/) ![pic](https://example.org/p.png) <img src=x onerror=alert(1)>"
        )
        answer = answers(page)
        await expect(answer.locator("strong")).to_have_text("bold")
        await expect(answer).to_contain_text("<img src=x onerror=alert(1)>")
        await expect(answer.locator("img")).to_have_count(0)
        link = answer.get_by_role("link", name="site")
        await expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
        await expect(link).to_have_attribute("target", "_blank")
        assert all(url.startswith(rig.gateway.http_url) for url in asked)


async def test_what_another_client_says_appears_here(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig, rig.client() as other:
        await open_ui(page, rig)
        await other.request("chat.send", {"sessionKey": "main", "message": "from the side", "idempotencyKey": "side-1"})
        await expect(own(page)).to_contain_text("from the side")
        await expect(answers(page)).to_contain_text("echo: from the side")


async def test_another_session_is_chosen_by_keyboard_and_has_its_own_address(page: Page, tmp_path: Path):
    key = "agent:main:project"
    async with running_rig(tmp_path) as rig, rig.client() as other:
        await open_ui(page, rig)
        await say(page, "in main")
        await expect(answers(page)).to_contain_text("echo: in main")
        await other.request("chat.send", {"sessionKey": key, "message": "in project", "idempotencyKey": "p-1"})
        picker = page.get_by_label("Session")
        await expect(picker.locator("option")).to_have_count(2)
        await picker.select_option(key)
        await expect(answers(page)).to_contain_text("echo: in project")
        await page.reload()
        await expect(answers(page)).to_contain_text("echo: in project")
        await page.go_back()
        await expect(answers(page)).to_contain_text("echo: in main")


async def test_a_refused_message_can_be_sent_again(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        hold = rig.gateway.services.runs
        hold._stopping = True
        await say(page, "keep me")
        await expect(page.get_by_role("alert")).to_contain_text("Not sent.")
        hold._stopping = False
        await page.get_by_role("button", name="Send again").click()
        await expect(answers(page)).to_contain_text("echo: keep me")
        await expect(own(page)).to_have_count(1)


async def test_long_answers_scroll_along_until_the_reader_scrolls_back(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await page.set_viewport_size({"width": 500, "height": 420})
        await open_ui(page, rig)
        await say(page, "\n\n".join(f"line {n}" for n in range(40)))
        await expect(answers(page)).to_be_in_viewport()
        await expect(answers(page)).not_to_have_attribute("aria-busy", "true")
        distance = "(e) => e.scrollHeight - e.clientHeight - e.scrollTop"
        scroll = page.locator(".scroll")
        assert await scroll.evaluate(distance) < 2
        await scroll.evaluate("(e) => { e.scrollTop = 0 }")
        button = page.get_by_role("button", name="Show the newest message")
        await expect(button).to_be_visible()
        await button.click()
        await expect(button).to_have_count(0)
        assert await scroll.evaluate(distance) < 2
