"""The pages that administer, against the real gateway."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.integration.openclaw.openclaw_rig import running_rig
from tests.support.ui_pages import answers, field, open_ui, say, visit

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_command_is_allowed_once_where_it_waits(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig, rig.client() as agent:
        await open_ui(page, rig, "overview")
        await expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
        request = {"command": "uptime --pretty", "cwd": "/srv", "env": {"TZ": "secret-zone"}, "timeoutMs": 60_000}
        asking = asyncio.create_task(agent.request("exec.approval.request", request))
        card = page.get_by_role("article", name="The assistant wants to run")
        await expect(card).to_contain_text("uptime --pretty")
        await expect(card).to_contain_text("TZ")
        await expect(card).not_to_contain_text("secret-zone")
        await card.get_by_role("button", name="Allow once").click()
        await expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
        assert (await asking)["decision"] == "allow-once"
        await visit(page, "approvals")
        await expect(page.get_by_role("region", name="Decided lately")).to_contain_text("allowed once here")
        await expect(page.get_by_text("Nothing is allowed for good.")).to_be_visible()


async def test_sessions_are_named_begun_anew_and_deleted(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig, rig.client() as other:
        await open_ui(page, rig)
        await say(page, "in main")
        await expect(answers(page)).to_contain_text("echo: in main")
        key = "agent:main:project"
        await other.request("chat.send", {"sessionKey": key, "message": "<b>hi</b>", "idempotencyKey": "p-1"})
        await visit(page, "sessions")
        row = page.get_by_role("listitem").filter(has_text=key)
        await expect(row).to_contain_text("<b>hi</b>")
        await row.get_by_role("button", name="Rename: ").click()
        await page.get_by_role("textbox", name="Name").fill("<i>Garden</i>")
        await page.keyboard.press("Enter")
        await expect(row.get_by_role("heading")).to_contain_text("<i>Garden</i>")
        await row.get_by_role("button", name="Shorten").click()
        await row.get_by_role("button", name="Start over").click()
        await page.get_by_role("dialog").get_by_role("button", name="Start over").click()
        await row.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(row).to_have_count(0)
        await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_job_is_made_run_and_deleted(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig, "jobs")
        await page.get_by_role("button", name="New job").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name").fill("Morning news")
        await dialog.get_by_label("Message to the assistant").fill("What is new?")
        await dialog.get_by_label("Tell the result in the chat").uncheck()
        await dialog.get_by_role("button", name="Save").click()
        row = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="Morning news"))
        await expect(row).to_contain_text("0 9 * * 1-5")
        await row.get_by_role("button", name="History").click()
        await expect(row).to_contain_text("It has not run yet.")
        await row.get_by_role("button", name="Run Morning news now").click()
        await expect(row.get_by_role("list")).to_contain_text("echo: What is new?")
        await row.get_by_role("switch").uncheck()
        await expect(row).to_contain_text("paused")
        await row.get_by_role("button", name="Edit").click()
        await dialog.get_by_label("When").select_option("every")
        await dialog.get_by_role("button", name="Save").click()
        await expect(row).to_contain_text("every 1 hours")
        await row.get_by_role("button", name="Delete").click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("No job yet.")).to_be_visible()


async def test_the_log_is_read_and_followed(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        file = tmp_path / "logs" / "openclaw.log"
        file.parent.mkdir(exist_ok=True)
        line = json.dumps({"event": "test.said", "level": "warning", "note": "<img src=x onerror=alert(1)>"}) + "\n"
        file.write_text(line)
        await open_ui(page, rig, "logs")
        rows = page.get_by_role("log").get_by_role("listitem")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("<img src=x onerror=alert(1)>")
        with file.open("a") as log:
            log.write(line)
        await expect(rows).to_have_count(2)


async def test_channels_and_models_are_shown(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig, "channels")
        await page.get_by_role("button", name="Probe now").click()
        await expect(page.get_by_role("region", name="Discord")).to_be_visible()
        await visit(page, "models")
        order = page.get_by_role("region", name="Asked in this order").get_by_role("listitem")
        await expect(order.nth(0)).to_contain_text("ready")
        await expect(page.get_by_role("region", name="Catalogue").get_by_role("listitem").nth(0)).to_contain_text(
            "in use"
        )


async def test_tools_are_shown_with_what_they_were_given_and_answered(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        await say(page, '!tool nothing {"x":"<b>1</b>"}')
        card = page.locator("oc-tool")
        await expect(card).to_contain_text("nothing")
        await card.locator("summary").click()
        await expect(card).to_contain_text('"x": "<b>1</b>"')


async def test_a_slash_shows_commands_and_the_keyboard_takes_one(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        await field(page).press("/")
        options = page.get_by_role("listbox", name="Commands").get_by_role("option")
        await expect(options).to_have_count(5)
        await page.keyboard.type("mo")
        await expect(options).to_have_text(["/model Choose which models answer"])
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Models")).to_be_visible()
        assert rig.model.requests == []


async def test_settings_are_saved_refused_at_their_line_and_never_overwritten_unseen(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig, "configuration")
        await page.get_by_role("searchbox").fill("agents maxConcurrent")
        await page.get_by_label("Max Concurrent", exact=True).first.fill("3")
        await page.get_by_role("button", name="Save changes").click()
        await expect(page.get_by_role("button", name="Save changes")).to_have_count(0)
        file = tmp_path / "openclaw.json"
        assert json.loads(file.read_text())["agents"]["defaults"]["maxConcurrent"] == 3
        await page.get_by_role("button", name="File").click()
        editor = page.get_by_role("textbox", name="The text of openclaw.json")
        await editor.fill('{\n  "cron": {\n    "maxConcurrentRun": 4\n  }\n}\n')
        await page.get_by_role("button", name="Save changes").click()
        problem = page.get_by_role("alert").get_by_role("listitem")
        await expect(problem).to_contain_text("(line 3): Unrecognized key")
        file.write_text('{"cron": {"maxConcurrentRuns": 2}}')
        await editor.fill('{"cron": {"maxConcurrentRuns": 1}}')
        await page.get_by_role("button", name="Save changes").click()
        conflict = page.get_by_role("alert").filter(has_text="Somebody else changed the file")
        await expect(conflict).to_contain_text('"maxConcurrentRuns": 2')
        await conflict.get_by_role("button", name="Take theirs").click()
        await expect(editor).to_have_value('{"cron": {"maxConcurrentRuns": 2}}')
        file.write_text("{cron: {maxConcurrentRuns: -1}}")
        await expect(editor).to_have_value("{cron: {maxConcurrentRuns: -1}}")
        await visit(page, "overview")
        await expect(page.get_by_role("heading", name="The configuration on disk is not valid")).to_be_visible()
        file.write_text("{cron: {maxConcurrentRuns: 'no end}}")
        await visit(page, "configuration")
        await page.get_by_role("button", name="Begin from the last valid one").click()
        await editor.fill("{cron: {maxConcurrentRuns: 3}}")
        await page.get_by_role("button", name="Save changes").click()
        await expect(page.get_by_role("alert")).to_have_count(0)
        assert file.read_text() == "{cron: {maxConcurrentRuns: 3}}"


async def test_a_file_of_the_agent_is_not_overwritten_unseen(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        memory = tmp_path / "workspace" / "MEMORY.md"
        memory.parent.mkdir()
        memory.write_text("# What to remember\n")
        await open_ui(page, rig, "agent")
        await page.get_by_role("button", name="Edit: MEMORY.md").click()
        text = page.get_by_role("textbox", name="The text of MEMORY.md")
        await text.fill("# What to remember\n\n- tea, not coffee\n")
        memory.write_text("# What to remember\n\n- written by the assistant\n")
        await page.get_by_role("button", name="Save").click()
        conflict = page.get_by_role("alert")
        await expect(conflict).to_contain_text("- written by the assistant")
        assert "assistant" in memory.read_text()
        await conflict.get_by_role("button", name="Put mine over it").click()
        await expect(page.get_by_text("What you save counts from the next answer on.")).to_be_visible()
        assert "tea, not coffee" in memory.read_text()


async def test_what_was_said_is_counted_by_day(page: Page, tmp_path: Path):
    async with running_rig(tmp_path) as rig:
        await open_ui(page, rig)
        await say(page, "hello")
        await expect(answers(page)).to_contain_text("echo: hello")
        await visit(page, "usage")
        await expect(page.get_by_text("14 tokens: 11 read, 0 read again, 3 written")).to_be_visible()
        await expect(page.get_by_role("region", name="By session")).to_contain_text("2 messages")
