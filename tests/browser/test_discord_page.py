"""The page of the emulated Discord, where a person plays the people."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from gateway.sandbox.cast import cast_of
from gateway.sandbox.discord.drafts import Extras, read_draft
from gateway.sandbox.discord.models import Upload
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from tests.support import pictures

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_a_person_sends_files_edits_and_deletes_and_sees_what_others_send(new_page, tmp_path):
    (tmp_path / "cat.png").write_bytes(pictures.png(40, 30))
    (tmp_path / "notes.txt").write_text("milk")
    world = World()
    cast = cast_of(world)
    channel = world.state.channels[int(cast.channel_id)]
    async with DiscordEmulator(world, FaultPlan()) as emulator:
        page = await new_page()
        await page.goto(emulator.page_url)
        box, rows = page.locator("#composer-text"), page.locator("li.message")
        await page.set_input_files("input[type=file]", [tmp_path / "cat.png", tmp_path / "notes.txt"])
        await expect(page.locator(".chip")).to_have_count(2)
        await box.fill("see these")
        await box.press("Enter")
        await expect(rows.last.locator("img")).to_have_js_property("naturalWidth", 40)
        await expect(rows.last.locator("a.file .name")).to_have_text("notes.txt")
        await box.press("ArrowUp")
        await box.fill("see them")
        await box.press("Enter")
        await expect(rows.last.locator(".content")).to_have_text("see them(edited)")
        await expect(rows.last.locator("a.file")).to_have_count(1)
        bot = world.state.users[int(cast.bots["nanoclaw"])]
        world.messages.send(bot, channel, read_draft({"content": "your report"}, {0: Upload("report.csv", b"a,b")}))
        await expect(rows.last.locator("a.file .name")).to_have_text("report.csv")
        friend = world.find_user("friend")
        await world.say(friend, channel.id, "", extras=Extras(stickers=["Wave"], question="Lunch?", answers=["Yes"]))
        await expect(rows.last).to_contain_text("Wave")
        await expect(rows.last).to_contain_text("Lunch?")
        first = rows.first
        await first.hover()
        await first.get_by_title("Delete (Delete)").click()
        await expect(rows).to_have_count(2)
        await box.fill("x" * 4001)
        await expect(page.locator(".counter.over")).to_have_text("-1")
