"""The agent's protocol against the real Claude command line of the pinned version."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
from pathlib import Path

import pytest
from nanoclaw_real_cli import a_cli_gateway, blocks_of
from nanoclaw_standins import a_message, a_tenant

from gateway.workers.image.cli_file import local_cli
from nanoclaw.tasks.models import OPERATOR
from shared.channels.base import Attachment
from shared.errors import GatewayError
from tests.support import pictures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cli() -> Path:
    try:
        return local_cli()
    except GatewayError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the Claude command line is not here: {error.detail}")


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
        await tenant.lanes.idle()
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
