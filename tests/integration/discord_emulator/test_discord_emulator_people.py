"""The people's side: the JSON API, the stream, restarts of the world, and the page in a real browser."""

import asyncio
import json
from contextlib import asynccontextmanager
from pathlib import Path

import discord
import httpx
import pytest
from discord_emulator_support import Bot, online, town

from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from shared.errors import ConfigError, Occupied
from tests.support.missing import missing

CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def people(place):
    async with httpx.AsyncClient(base_url=place.emulator.page_url + "api/") as http:
        yield http


async def test_a_person_talks_and_a_bot_answers_through_the_json_api():
    async with town() as place, online(place) as bot, people(place) as http:
        state = (await http.get("state", params={"as": "owner"})).json()
        assert [(b["username"], b["online"]) for b in state["bots"]] == [("J", True)]
        assert [c["name"] for c in state["guilds"][0]["channels"]] == ["general", "lab"]
        channel = f"channels/{place.general.id}"
        said = (await http.post(f"{channel}/messages", json={"as": "owner", "content": "hi"})).json()
        await (await bot.next_message()).reply("hello")
        await place.world.wait_for(lambda r: r.content == "hello")
        listed = (await http.get(f"{channel}/messages", params={"as": "friend"})).json()["messages"]
        assert [m["content"] for m in listed] == ["hi", "hello"]
        edited = await http.patch(f"{channel}/messages/{said['id']}", json={"as": "owner", "content": "hey"})
        assert edited.json()["content"] == "hey"
        assert (
            await http.put(f"{channel}/messages/{said['id']}/reactions/👍", json={"as": "friend"})
        ).status_code == 200
        refused = await http.delete(f"{channel}/messages/{listed[1]['id']}", headers={})
        assert refused.status_code == 400
        log = (await http.get("log")).json()
        assert any(record["data"].get("content") == "hello" for record in log["records"])


async def test_the_stream_tells_a_person_only_what_that_person_sees():
    async with town() as place, people(place) as http:
        dm = await place.world.open_dm(place.owner, place.app)
        async with http.stream("GET", "events", params={"as": "friend"}) as stream:
            lines = stream.aiter_lines()
            while await anext(lines) != "event: HELLO":
                pass
            await place.world.say(place.owner, dm, "private")
            await place.world.say(place.owner, place.general.id, "public")
            while await anext(lines) != "event: MESSAGE_CREATE":
                pass
            assert json.loads((await anext(lines)).removeprefix("data: "))["content"] == "public"


async def test_an_ephemeral_answer_is_shown_to_its_person_only():
    async with town() as place:
        bot = Bot()

        @bot.tree.command(name="whisper", description="whisper")
        async def whisper(interaction: discord.Interaction) -> None:
            await interaction.response.send_message("psst", ephemeral=True)

        async with online(place, bot), people(place) as http:
            await bot.tree.sync()
            body = {"as": "owner", "application": "J", "name": "whisper"}
            assert (await http.post(f"channels/{place.general.id}/slash", json=body)).status_code == 200
            await place.world.wait_for(lambda r: r.content == "psst")
            seen = {}
            for name in ("owner", "friend"):
                page = await http.get(f"channels/{place.general.id}/messages", params={"as": name})
                seen[name] = [m["content"] for m in page.json()["messages"]]
            assert seen == {"owner": ["psst"], "friend": []}


async def test_faults_and_drills_are_queued_while_it_runs():
    async with town() as place, online(place) as bot, people(place) as http:
        fault = {"upstream": "discord", "op": "message.create", "kind": "status", "status": 403}
        line = json.dumps(fault | {"body": {"code": 50013, "message": "no"}})
        assert (await http.post("faults", content=line)).json() == {"added": 1}
        with pytest.raises(discord.Forbidden):
            await bot.get_channel(place.general.id).send("x")
        assert [f["op"] for f in (await http.get("faults")).json()["fired"]] == ["message.create"]
        wrong = await http.post("faults", content='{"upstream":"discord","op":"x","kind":"explode"}')
        assert wrong.status_code == 400
        assert "kind" in wrong.json()["error"]["detail"]
        assert (await http.post("bots/J/disrupt", json={"kind": "reconnect"})).json() == {"sessions": 1}
        await bot.until(lambda: bot.resumes == 1)
        assert (await http.get("stats")).json()["unknown_routes"] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Origin": "https://example.com"}, 403), ({"Host": "evil.example:80"}, 403), ({}, 200)],
)
async def test_other_sites_cannot_use_it(headers, status):
    async with town() as place, people(place) as http:
        assert (await http.get("state", headers=headers)).status_code == status


async def test_wrong_calls_say_what_is_wrong():
    async with town() as place, people(place) as http:
        channel = f"channels/{place.general.id}"

        async def detail(method: str, path: str, **more) -> str:
            answer = await http.request(method, path, **more)
            assert 400 <= answer.status_code < 500
            return answer.json()["error"]["detail"]

        assert "say who you are" in await detail("GET", "dms")
        assert "nobody called 'zoe'" in await detail("GET", "dms", params={"as": "zoe"})
        assert "is a bot" in await detail("POST", f"{channel}/messages", json={"as": "J", "content": "x"})
        assert "empty" in await detail("POST", f"{channel}/messages", json={"as": "owner", "content": " "})
        assert "2000 or fewer" in await detail(
            "POST", f"{channel}/messages", json={"as": "owner", "content": "x" * 2001}
        )
        assert "colour" in await detail("POST", f"{channel}/messages", json={"as": "owner", "colour": "red"})
        assert "there is no" in await detail("GET", "nowhere")
        assert "sees no channel" in await detail("GET", "channels/1/messages", params={"as": "owner"})


async def test_the_page_allows_nothing_from_elsewhere():
    async with town() as place, httpx.AsyncClient(base_url=place.emulator.page_url) as http:
        page = await http.get("/")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "<script>" not in page.text
        assert (await http.get("/..%2fserver.py")).status_code == 404
        assert (await http.get("/app.js")).headers["content-type"] == "text/javascript"


async def test_the_world_survives_a_restart(tmp_path):
    kept = tmp_path / "world.json"
    async with town(path=kept) as place, online(place) as bot:
        dm = await place.world.open_dm(place.owner, place.app)
        said = await place.world.say(place.owner, dm, "remember")
        sent = await bot.get_channel(place.general.id).send("file", file=discord.File(__file__))
        token, owner_token, guild_id = place.token, place.owner.token, place.guild.id
    assert kept.stat().st_mode & 0o777 == 0o600
    async with town(path=kept) as place, online(place) as bot:
        assert (place.token, place.owner.token, place.guild.id) == (token, owner_token, guild_id)
        assert await place.world.open_dm(place.owner, place.app) == dm
        again = await (await bot.fetch_channel(dm)).fetch_message(said.id)
        assert again.content == "remember"
        found = await bot.get_channel(place.general.id).fetch_message(sent.id)
        assert await found.attachments[0].read() == Path(__file__).read_bytes()
        assert (await place.world.say(place.owner, dm, "more")).id > sent.id


def test_a_broken_file_is_named(tmp_path):
    kept = tmp_path / "world.json"
    kept.write_text("{")
    with pytest.raises(ConfigError, match=r"world\.json is not a saved Discord world"):
        World(kept)


async def test_a_taken_port_is_named():
    async with town() as place:
        port = int(place.emulator.page_url.rsplit(":", 1)[1].strip("/"))
        second = DiscordEmulator(World(), FaultPlan(), people_port=port)
        with pytest.raises(Occupied, match=str(port)):
            await second.start()


@pytest.mark.browser
async def test_a_person_uses_the_page():
    if not CHROMIUM.exists():
        missing("Chromium is missing")
    from playwright.async_api import async_playwright, expect

    async with town() as place:
        bot = Bot()

        @bot.tree.command(name="status", description="What is going on")
        async def status(interaction: discord.Interaction, detail: str) -> None:
            await interaction.response.send_message(f"status of {detail}", ephemeral=True)

        async with online(place, bot), async_playwright() as driver:
            await bot.tree.sync()
            browser = await driver.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_FLAGS)
            page = await browser.new_page()
            problems = []
            page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
            page.on("pageerror", lambda error: problems.append(str(error)))
            await page.goto(place.emulator.page_url)
            await expect(page.get_by_text("Welcome to #general")).to_be_visible()

            box = page.get_by_label("Message", exact=True)
            await box.fill("@나노봇 hello")
            await box.press("Escape")
            await box.press("Enter")
            got = await bot.next_message()
            assert got.content == f"{place.mention} hello"
            button = discord.ui.Button(label="Approve", custom_id="yes")
            view = discord.ui.View(timeout=None)
            view.add_item(button)

            async def approve(interaction: discord.Interaction) -> None:
                await interaction.response.edit_message(content="approved", view=None)

            button.callback = approve
            await got.channel._state.http.send_typing(got.channel.id)
            await expect(page.get_by_text("나노봇 is typing")).to_be_visible()
            await got.reply("```html\n<img src=x onerror=alert(1)>\n```", view=view)
            await expect(page.locator("pre code")).to_have_text("<img src=x onerror=alert(1)>")
            assert await page.locator("li.message img").count() == 0
            await page.get_by_role("button", name="Approve").click()
            await expect(page.get_by_text("approved")).to_be_visible()

            await box.press_sequentially("/sta")
            await box.press("Enter")
            await page.keyboard.type("doors")
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("status of doors")).to_be_visible()
            await expect(page.get_by_text("Only you can see this")).to_be_visible()

            await page.get_by_label("You are").select_option("friend")
            await expect(page.get_by_text("approved")).to_be_visible()
            await expect(page.get_by_text("status of doors")).to_have_count(0)

            await page.get_by_role("button", name="나노봇 online").click()
            await expect(page.get_by_text("a direct message needs no mention")).to_be_visible()
            await page.get_by_label("Message", exact=True).fill("just us")
            await page.keyboard.press("Enter")
            await bot.until(lambda: any(m.content == "just us" and m.guild is None for m in bot.got))
            assert problems == []
            await browser.close()
    await asyncio.sleep(0)
