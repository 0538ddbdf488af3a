"""The ``openclaw`` command against a running tenant: shapes of ``--json``, words for people, exit codes."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import pytest
from openclaw_house import OWNER, house

from shared.openclawclient.client import PairingRequired
from shared.openclawclient.device import DeviceKey

READS = {
    "status": {"summary", "ready", "channels", "connections", "pending_devices"},
    "health": {"ok", "channels", "agents", "sessions"},
    "gateway health": {"ok", "channels", "agents", "sessions"},
    "gateway status": {"rpc"},
    "gateway probe": {"rpc"},
    "gateway call health": {"ok"},
    "channels status": {"channelOrder", "channelAccounts"},
    "channels status --probe": {"channelOrder", "channelAccounts"},
    "devices list": {"pending", "paired"},
    "pairing list": {"channel", "requests"},
    "sessions": {"sessions", "count", "path"},
    "agents list": {"agents", "defaultId"},
    "agents files": {"files", "workspace"},
    "approvals get": {"file", "hash"},
}


async def test_every_read_command_has_json_and_words(paths, openclaw):
    async with house(paths):
        for line, keys in READS.items():
            code, out, err = await openclaw(f"{line} --json")
            assert (code, err) == (0, ""), line
            assert keys <= json.loads(out).keys(), line
            code, out, err = await openclaw(line)
            assert (code, err) == (0, ""), line
            assert out.strip(), line


async def test_what_is_down_is_never_0(paths, openclaw):
    for line in READS:
        code, out, err = await openclaw(line)
        assert code == 69, line
        assert "Traceback" not in out + err
        code, out, _ = await openclaw(f"{line} --json")
        assert code == 69, line
        json.loads(out)


async def test_empty_lists_say_what_to_do(paths, openclaw):
    async with house(paths):
        assert "write to the bot" in (await openclaw("sessions"))[1]
        assert "Nobody waits" in (await openclaw("pairing list"))[1]
        assert "No device waits" in (await openclaw("devices list"))[1]
        assert "Nothing was allowed" in (await openclaw("approvals allowlist list"))[1]


async def test_devices_are_decided_and_taken_away(paths, openclaw):
    from shared.openclawclient.client import OpenClawClient
    from shared.secrets.files import Secret

    async with house(paths) as it:

        def visitor(key):
            headers = {"CF-Connecting-IP": "203.0.113.7"}
            return OpenClawClient(
                it.gateway.ws_url, token=Secret("gateway-token-of-the-test"), device=key, headers=headers
            )

        ids = []
        for key in (DeviceKey.generate(), DeviceKey.generate()):
            with pytest.raises(PairingRequired) as waiting:
                async with visitor(key):
                    pass
            ids.append((key.device_id, waiting.value.request_id))
        (first, request), (second, other) = ids
        code, out, _ = await openclaw(f"devices approve {request}")
        assert (code, out) == (0, f"Approved {first} ({request})\n")
        assert (await openclaw(f"devices reject {other}"))[1] == f"Rejected {second} ({other})\n"
        assert (await openclaw(f"devices approve {other}"))[0] == 1
        code, out, _ = await openclaw(f"devices rotate --device {first} --role operator --scope operator.read")
        assert json.loads(out)["scopes"] == ["operator.read"]
        code, out, _ = await openclaw(f"devices revoke --device {first} --role operator --json")
        assert json.loads(out)["deviceId"] == first
        assert (await openclaw(f"devices remove {first}"))[1] == f"Removed {first}\n"
        code, _, err = await openclaw(f"devices remove {first}")
        assert (code, err) == (1, "openclaw: unknown deviceId\n")


async def test_a_message_is_said_as_the_bot(paths, openclaw):
    async with house(paths) as it:
        await it.say_directly("hello", OWNER)
        chat = f"dc:9{OWNER.id}"
        code, out, err = await openclaw(
            ["message", "send", "--target", f"channel:{chat[3:]}", "--message", "maintenance at nine"]
        )
        assert (code, err) == (0, "")
        assert out.startswith("Sent: message ")
        await it.settled("maintenance at nine", chat)
        assert "channel:ID or user:ID" in (await openclaw("message send --target 1 --message x"))[2]
        assert (await openclaw("message send --target channel:1"))[0] == 2


async def test_sessions_are_shown_and_begun_anew(paths, openclaw):
    async with house(paths) as it:
        client_line = ["gateway", "call", "chat.send", "--params"]
        params = {"sessionKey": "main", "message": "hi", "idempotencyKey": "k"}
        assert (await openclaw([*client_line, json.dumps(params)]))[0] == 0
        async with asyncio.timeout(5):
            while it.gateway.services.runs.active_count:
                await asyncio.sleep(0.01)
        assert "agent:main:main" in (await openclaw("sessions --active 5"))[1]
        assert (await openclaw("sessions reset main"))[1] == "A new session begins under agent:main:main\n"
        code, _, err = await openclaw("sessions delete main --yes")
        assert code == 1
        assert err.startswith("openclaw: ")


async def test_log_lines_come_as_they_are_and_as_records(paths, openclaw):
    async with house(paths):
        file = paths.state / "openclaw" / "logs" / "openclaw.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            '{"event":"one","level":"info","ts":"2026-01-02T03:04:05.6Z","process":"x","chat":"dc:1"}\nnot json\n'
        )
        assert (await openclaw("logs --limit 1"))[1] == "not json\n"
        assert (await openclaw("logs"))[1].splitlines()[0] == "2026-01-02 03:04:05+00:00 INFO    one chat=dc:1"
        lines = [json.loads(line) for line in (await openclaw("logs --json"))[1].splitlines()]
        assert lines[0]["type"] == "meta"
        assert lines[1] | {"raw": ""} == {
            "type": "log",
            "raw": "",
            "time": "2026-01-02T03:04:05.6Z",
            "level": "info",
            "message": "one",
            "subsystem": "x",
        }
        assert lines[2] == {"type": "log", "raw": "not json"}


async def test_new_log_lines_follow_until_interrupted(paths):
    async with house(paths):
        file = paths.state / "openclaw" / "logs" / "openclaw.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("old\n")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "openclaw.cli", "logs", "--follow"),
            env={"CLAWGATE_STATE": str(paths.state), "CLAWGATE_RUNTIME": str(paths.runtime), "PATH": ""},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"old\n"
            with file.open("a") as log:
                log.write("new\n")
            assert await process.stdout.readline() == b"new\n"
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
        assert b"Traceback" not in await process.stderr.read()


async def test_the_allowlist_only_shrinks(paths, openclaw):
    async with house(paths):
        code, _, err = await openclaw("approvals allowlist add --agent main /usr/bin/rm")
        assert code == 1
        assert "policies/exec.toml" in err
        assert (await openclaw("approvals allowlist remove nothing"))[0] == 1
        shown = json.loads((await openclaw("approvals get --gateway --json"))[1])
        code, out, _ = await openclaw("approvals set --stdin", stdin=json.dumps(shown["file"]))
        assert (code, out) == (0, "Updated: 0 entries are allowed for good.\n")
        assert (await openclaw("approvals set --stdin", stdin="{"))[0] == 2


async def test_another_gateway_needs_its_own_token(paths, openclaw):
    code, _, err = await openclaw("health --url ws://127.0.0.1:9")
    assert code != 0
    assert "requires explicit credentials" in err
    code, _, err = await openclaw("gateway probe --url ws://127.0.0.1:9 --token x")
    assert code == 69
    code, _, err = await openclaw("health --url ws://192.0.2.1:9 --token x")
    assert "use wss://" in err
