"""The whole tenant with a chat platform in memory: message in, answer out, and what survives a restart."""

from __future__ import annotations

import asyncio
import json

import pytest
from openclaw_house import OWNER, POLICY, STRANGER, house
from openclaw_rig import TOKEN

from openclaw.tenant import Tenant
from shared.config.paths import Paths
from shared.errors import Occupied
from shared.lifecycle.control import RemoteError
from shared.openclawclient.client import OpenClawClient
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret


async def test_a_mention_is_answered_in_its_channel(paths):
    async with house(paths) as it:
        await it.channel.say("dc:5", "hello", sender=OWNER)
        await it.settled("echo: hello", "dc:5")
        _, body = it.model.requests[0]
        assert body["input"][-1]["content"][0]["text"] == "owner: hello"
        assert "Discord channel #general" in body["instructions"]
        assert it.gateway.services.sessions.get("agent:main:discord:channel:5") is not None
        await it.answered(1)
        assert (await it.control("status"))["inbox"]["done"] == 1


async def test_what_is_said_without_a_mention_comes_along_as_background(paths):
    async with house(paths) as it:
        await it.channel.say("dc:5", "the code is 42", sender=OWNER, addressed=False)
        await it.channel.say("dc:5", "what is it", sender=OWNER)
        await it.settled("echo: what is it", "dc:5")
        text = it.model.requests[0][1]["input"][-1]["content"][0]["text"]
        assert "owner: the code is 42" in text
        assert len(it.model.requests) == 1


async def test_a_stranger_gets_one_code_and_is_answered_once_approved(paths):
    async with house(paths) as it:
        chat = "dc:9300"
        await it.say_directly("hi", STRANGER)
        (told,) = await it.texts(chat, 1)
        (pending,) = await it.control("pairing.list")
        assert pending["code"] in told
        assert "300" in told
        await it.say_directly("hello?", STRANGER)
        with pytest.raises(RemoteError, match="no pending discord request"):
            await it.control("pairing.approve", code="WRONGONE")
        assert (await it.control("pairing.approve", code=pending["code"].lower()))["id"] == "300"
        await it.say_directly("now?", STRANGER)
        await it.settled("echo: now?", chat)
        assert len(it.channel.texts(chat)) == 2, "the code was said once"
        assert [route for route, _ in it.model.requests] == ["responses"], "a stranger's words reach no model"
        assert it.model.requests[0][1]["input"][-1]["content"][0]["text"] == "now?"


async def test_pairing_outlives_the_process(paths):
    async with house(paths) as it:
        await it.say_directly("hi", STRANGER)
        await it.texts("dc:9300", 1)
        (pending,) = await it.control("pairing.list")
        await it.control("pairing.approve", code=pending["code"])
    async with house(paths) as it:
        await it.say_directly("again", STRANGER)
        await it.settled("echo: again", "dc:9300")


async def test_a_message_cut_by_a_restart_is_answered_once_by_the_next_process(paths):
    async with house(paths) as it:
        await it.channel.say("dc:5", "!hold", sender=OWNER)
        await it.model.started.wait()
    async with house(paths, platform=it.channel) as it:
        it.model.release.set()
        await it.settled("holding released", "dc:5")
        await it.answered(1)
        assert it.channel.texts("dc:5") == ["holding released"]


async def test_a_failed_run_ends_in_one_sentence_with_its_id(paths):
    async with house(paths) as it:
        await it.channel.say("dc:5", "!fail 500 all", sender=OWNER)
        (text,) = await it.texts("dc:5", 1)
        assert text.startswith("Sorry, I could not answer")
        assert "run_" in text


async def test_stop_does_not_wait_behind_the_run_it_is_meant_for(paths):
    async with house(paths) as it:
        await it.channel.say("dc:5", "!hold", sender=OWNER)
        await it.model.started.wait()
        await it.channel.say("dc:5", "/stop", sender=OWNER)
        await it.settled("Stopped.", "dc:5")


async def test_direct_messages_share_the_main_session_with_the_control_ui(paths):
    policy = POLICY.model_copy(update={"discord": POLICY.discord.model_copy(update={"allow_from": ("200",)})})
    async with house(paths, policy) as it:
        await it.say_directly("from discord", OWNER)
        await it.settled("echo: from discord", "dc:9200")
        async with OpenClawClient(it.gateway.ws_url, token=Secret(TOKEN), device=DeviceKey.generate()) as client:
            history = await client.request("chat.history", {"sessionKey": "main"})
            assert [m["content"][0]["text"] for m in history["messages"]] == ["from discord", "echo: from discord"]
            status = await client.request("channels.status", {})
            assert status["channelAccounts"]["discord"][0]["connected"] is True


async def test_a_taken_port_is_named_with_the_fix(paths, tmp_path):
    async with house(paths) as it:
        port = it.gateway.port
        second = POLICY.model_copy(update={"port": port})
        other = Paths(state=tmp_path / "second", runtime=paths.runtime)
        tenant = Tenant("openclaw", other, it.tenant._models, second, Secret(TOKEN), make_channel=None)
        with pytest.raises(Occupied, match=f"port {port}") as refused:
            async with tenant.running():
                pass
        assert refused.value.exit_code == 75


async def test_the_command_line_speaks_to_the_running_tenant(paths):
    async with house(paths) as it:

        async def openclaw(*arguments: str) -> tuple[int, str, str]:
            import sys

            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "openclaw.cli",
                *arguments,
                env={"CLAWGATE_STATE": str(paths.state), "CLAWGATE_RUNTIME": str(paths.runtime), "PATH": ""},
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            out, err = await process.communicate()
            return process.returncode or 0, out.decode(), err.decode()

        code, out, err = await openclaw("devices", "list", "--json")
        assert (code, err) == (0, "")
        assert [device["clientId"] for device in json.loads(out)["paired"]] == ["cli"]
        assert (paths.state / "openclaw/identity/device.json").stat().st_mode & 0o777 == 0o600
        code, out, _ = await openclaw("dashboard")
        assert f"{it.gateway.http_url}#token={TOKEN}" in out
        code, out, err = await openclaw("devices", "approve")
        assert (code, out) == (1, "")
        assert err == "openclaw: No pending device pairing requests to approve\n"
        code, out, err = await openclaw("gateway", "call", "nonsense", "--json")
        assert code == 1
        assert json.loads(out)["detail"] == "unknown method: nonsense"
        code, out, _ = await openclaw("channels", "status")
        assert out.splitlines()[0] == "Gateway reachable."
        assert "connected" in out.splitlines()[1]
