"""The agent's protocol against the real Claude command line of the pinned version."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil

import pytest
from nanoclaw_real_cli import a_cli_gateway, blocks_of
from nanoclaw_standins import a_message, a_policy, a_tenant, paths_in

from nanoclaw.tasks.models import OPERATOR
from shared.channels.base import Attachment
from tests.support import pictures

pytestmark = pytest.mark.slow


async def test_a_conversation_with_a_tool_survives_a_tenant_restart_and_the_loss_of_its_worker(cli, tmp_path):
    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, _):
        async with a_tenant(tmp_path, gateway) as (tenant, channel):
            await channel.handlers.on_message(a_message("first USE_TOOL"))
            said, answer = await channel.says(lambda texts: len(texts) == 2)
            assert said == "said by tool"
            assert answer.startswith("echo 1: ")
            await tenant.lanes.idle()
        # The tenant restarts: the live worker is taken over, and the tools are served to it again.
        async with a_tenant(tmp_path, gateway) as (tenant, channel):
            await channel.handlers.on_message(a_message("second USE_TOOL"))
            said, answer = await channel.says(lambda texts: len(texts) == 2)
            assert said == "said by tool"
            assert answer.startswith("echo 2: ")
            await tenant.lanes.idle()
            assert len(gateway.leases) == 1
            # The worker goes: a new one continues the conversation.
            await gateway.end_worker("w1")
            await asyncio.sleep(0.1)
            await channel.handlers.on_message(a_message("third"))
            await channel.says(lambda texts: texts[-1].startswith("echo 3: "))
            await tenant.lanes.idle()
            assert [lease.resume for lease in gateway.leases] == [False, True]
            # The transcript goes with the worker: a new conversation begins.
            await gateway.end_worker("w2")
            await asyncio.sleep(0.1)
            shutil.rmtree(gateway.home / "config" / "projects")
            await channel.handlers.on_message(a_message("fourth"))
            await channel.says(lambda texts: texts[-1].startswith("echo 1: "))
            await tenant.lanes.idle()
            costs = [run.cost_usd for run in await tenant.store.recent_runs()]
    assert [lease.resume for lease in gateway.leases] == [False, True, True, False]
    assert all(0 <= cost < 0.001 for cost in costs)


async def test_what_people_write_is_neither_a_command_nor_a_file_reference(cli, tmp_path):
    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, api), a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("/clear @/etc/hostname"))
        [answer] = await channel.says(bool)
        await tenant.lanes.idle()
    assert "/clear @/etc/hostname" in answer
    assert "/etc/hostname" not in str(api.requests[-1]["messages"]).replace("@/etc/hostname", "")


async def test_a_refused_credential_is_one_sentence(cli, tmp_path):
    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, api), a_tenant(tmp_path, gateway) as (tenant, channel):
        api.fail_with = 401
        await channel.handlers.on_message(a_message("hello"))
        [note] = await channel.says(bool)
        while [lane.state for lane in tenant.lanes.view()] != ["resting"]:
            await asyncio.sleep(0.01)
        assert "HTTP 401" in note
        assert "sign in" in note
        api.fail_with = 0
        await channel.handlers.on_message(a_message("again"))
        await channel.says(lambda texts: texts[-1].startswith("echo"))
        await tenant.lanes.idle()
    assert len(gateway.leases) == 1


async def test_the_real_command_line_is_offered_the_task_tools_and_schedules_with_them(cli, tmp_path):
    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, api), a_tenant(tmp_path, gateway) as (tenant, channel):
        wish = {"prompt": "water the plants", "schedule_type": "cron", "schedule_value": "0 9 * * *"}
        api.tool = ("schedule_task", wish)
        await channel.handlers.on_message(a_message("please USE_TOOL"))
        await channel.says(bool)
        await tenant.lanes.idle()
        [task] = await tenant.tasks.visible(OPERATOR)
    assert (task.prompt, task.value, task.zone) == ("water the plants", "0 9 * * *", "Asia/Seoul")
    offered = {tool["name"].removeprefix("mcp__nanoclaw__") for tool in api.requests[0]["tools"]}
    assert offered >= {"schedule_task", "list_tasks", "pause_task", "resume_task", "cancel_task", "update_task"}
    results = [block for block in api.requests[-1]["messages"][-1]["content"] if block["type"] == "tool_result"]
    assert task.id in str(results)


def pictures_in(request: dict) -> list[str]:
    blocks = [block for message in request["messages"] for block in blocks_of(message)]
    return [block["source"]["data"] for block in blocks if block["type"] == "image"]


def a_message_with_a_picture(channel, text: str):
    channel.files["7"] = pictures.png(8, 8)
    file = Attachment("7", "cat.png", "image/png", len(channel.files["7"]), "http://127.0.0.1/")
    return a_message(text, attachments=(file,))


async def test_a_picture_reaches_the_model(cli, tmp_path):
    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, api), a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message_with_a_picture(channel, "what is this?"))
        [answer] = await channel.says(bool)
        await tenant.lanes.idle()
    assert "[Image 1: cat.png] saved as attachments/" in answer
    assert pictures_in(api.requests[-1]) == [base64.b64encode(pictures.png(8, 8)).decode()]


async def test_a_picture_the_model_refuses_does_not_stay_in_the_conversation(cli, tmp_path):
    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, api), a_tenant(tmp_path, gateway) as (tenant, channel):
        api.refuses = lambda request: bool(pictures_in(request))
        await channel.handlers.on_message(a_message_with_a_picture(channel, "what is this?"))
        [answer] = await channel.says(bool)
        await tenant.lanes.idle()
        assert "[Image: cat.png] saved as attachments/" in answer
        await channel.handlers.on_message(a_message("and now?"))
        await channel.says(lambda texts: len(texts) == 2)
        await tenant.lanes.idle()
    assert len(gateway.leases) == 2


async def test_all_tools_work_and_a_conversation_is_kept_before_it_is_shortened_also_after_a_restart(cli, tmp_path):
    paths = paths_in(tmp_path)
    policy = a_policy(groups={"main": {"chat": "dc:1", "main": True}})
    kept = paths.group("nanoclaw", "main") / "conversations"
    async with a_cli_gateway(cli, tmp_path / "g", paths) as (gateway, api):
        async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
            api.tool = ("list_groups", {})
            await channel.handlers.on_message(a_message("the tides USE_TOOL"))
            await channel.says(bool)
            await tenant.lanes.idle()
            assert set(api.offered) == {tool.name for tool in tenant.tools.offered(tenant.registry.find("main"))}
            assert "- main | dc:1" in api.heard
        # A new process takes the worker over, and answers what the first one had promised: tools and the hook.
        async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
            api.tool = ("ask_user", {"question": "Which one?", "options": ["red", "blue"]})
            await channel.handlers.on_message(a_message("more USE_TOOL"))
            await channel.says(lambda texts: texts == ["Which one?"])
            await channel.press("blue", sender="bob")
            await channel.says(lambda texts: "".join(texts[-1:]).startswith("echo 2"))
            await tenant.lanes.idle()
            assert api.heard == "bob answered: blue"
            assert len(gateway.leases) == 1
            gateway.type("w1", "/compact")
            while not kept.exists() or not list(kept.glob("*.md")):
                await asyncio.sleep(0.05)
    [file] = kept.iterdir()
    text = file.read_text()
    assert file.name.endswith("-the-tides-use_tool.md")
    assert "ann: the tides USE_TOOL" in text
    assert "ann: more USE_TOOL" in text
    assert "**J**: echo 2: " in text


async def test_memory_and_skills_reach_the_agent_and_new_global_memory_an_existing_conversation(cli, tmp_path):
    paths = paths_in(tmp_path)
    lab, everybody = paths.group("nanoclaw", "lab"), paths.group("nanoclaw", "global")
    for skill, folder in (("zebra", lab / ".claude"), ("lion", paths.group_session("nanoclaw", "lab"))):
        place = folder / "skills" / skill
        place.mkdir(parents=True)
        (place / "SKILL.md").write_text(f"---\nname: {skill}\ndescription: Knows about {skill}s.\n---\nRoar.")
    policy = a_policy(groups={"lab": {"chat": "dc:1"}}, agent={"tools": ["Read", "Skill"]})
    async with a_cli_gateway(cli, tmp_path / "g", paths) as (gateway, api):
        async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
            (lab / "CLAUDE.md").write_text("Ann likes tea.")
            await channel.handlers.on_message(a_message("one"))
            await channel.says(lambda texts: "".join(texts[-1:]).startswith("echo 1"))
            await tenant.lanes.idle()
            told = json.dumps(api.requests[-1])
            assert all(words in told for words in ("Ann likes tea.", "Knows about zebras.", "Knows about lions."))
            (everybody / "CLAUDE.md").write_text("The harbour is closed.")
            await channel.handlers.on_message(a_message("two"))
            await channel.says(lambda texts: "".join(texts[-1:]).startswith("echo 2"))
            await tenant.lanes.idle()
            assert "The harbour is closed." in json.dumps(api.requests[-1]["system"])
            assert [lease.resume for lease in gateway.leases] == [False, True]
        # Changed while nobody was there: the worker that was started with the old memory is not taken over.
        (everybody / "CLAUDE.md").write_text("The harbour is open.")
        async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
            await channel.handlers.on_message(a_message("three"))
            await channel.says(lambda texts: "".join(texts[-1:]).startswith("echo 3"))
            await tenant.lanes.idle()
            system = json.dumps(api.requests[-1]["system"])
    assert "The harbour is open." in system
    assert "The harbour is closed." not in system


@pytest.mark.parametrize("is_quiet", [True, False])
async def test_the_command_line_calls_nobody_but_the_model(cli, tmp_path, is_quiet):
    """Its telemetry, error reports and updater would go through this proxy; without our settings some do."""
    wanted: list[bytes] = []

    async def refuse(reader, writer):
        wanted.append((await reader.readline()).split()[1])
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    async with a_cli_gateway(cli, tmp_path / "g") as (gateway, _), proxy:
        gateway.environment = {"HTTPS_PROXY": address, "HTTP_PROXY": address}
        if not is_quiet:
            ours = ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY")
            gateway.environment |= dict.fromkeys((*ours, "DISABLE_ERROR_REPORTING"), "")
        async with a_tenant(tmp_path, gateway) as (tenant, channel):
            await channel.handlers.on_message(a_message("hello"))
            await channel.says(bool)
            await tenant.lanes.idle()
        if not is_quiet:
            async with asyncio.timeout(20):
                while not wanted:
                    await asyncio.sleep(0.05)
        await gateway.end_worker("w1")
    assert (wanted == []) is is_quiet, wanted
