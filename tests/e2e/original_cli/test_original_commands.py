"""The original's own commands, run against our gateway: what they print is what their users see."""

from __future__ import annotations

import json

import pytest
from openclaw_rig import TOKEN, running_rig

pytestmark = pytest.mark.timeout(600)


async def test_reading_commands_understand_every_answer(aimed, tmp_path):
    async with running_rig(tmp_path / "gateway") as rig:
        log = tmp_path / "gateway" / "logs" / "openclaw.log"
        log.parent.mkdir()
        log.write_text('{"event":"door.opened","level":"warning","ts":"2026-02-26T10:00:00Z","who":"cat"}\n')
        cli = aimed(rig.url, TOKEN)
        health, channels, status, presence, heartbeat, cost, nodes, cron, approvals, logs, lines = await cli.together(
            ["health"],
            ["channels", "status"],
            ["status"],
            ["system", "presence"],
            ["system", "heartbeat", "last"],
            ["gateway", "usage-cost"],
            ["nodes", "list"],
            ["cron", "list"],
            ["approvals", "get", "--gateway"],
            ["logs", "--limit", "5"],
            ["logs", "--json", "--limit", "5"],
        )
        outcomes = (health, channels, status, presence, heartbeat, cost, nodes, cron, approvals, logs, lines)
        assert {outcome.code for outcome in outcomes} == {0}, [outcome.stderr for outcome in outcomes]
        assert "Agents: main (default)" in health.stdout
        assert "(0 entries)" in health.stdout
        assert "Gateway reachable." in channels.stdout
        assert "reachable" in status.stdout
        assert "unreachable" not in status.stdout
        assert presence.json[0]["mode"] == "gateway"
        assert heartbeat.stdout.strip() == "null"
        assert "Total: $0.0000" in cost.stdout
        assert "Paired: 0" in nodes.stdout
        assert "cron jobs" in cron.stdout
        assert "security=allowlist, ask=on-miss" in approvals.stdout
        assert "door.opened who=cat" in logs.stdout
        record = json.loads(lines.stdout.splitlines()[1])
        assert (record["level"], record["message"]) == ("warn", "door.opened who=cat")


async def test_a_device_pairs_by_itself_here_and_can_be_administered(aimed, tmp_path):
    async with running_rig(tmp_path / "gateway") as rig:
        cli = aimed(rig.url, TOKEN)
        assert (await cli.run("health")).code == 0  # pairs with read access; the next command widens it
        listing = await cli.json("devices", "list", "--json")
        (device,) = listing["paired"]
        assert listing["pending"] == []
        rotated = await cli.json("devices", "rotate", "--device", device["deviceId"], "--role", "operator")
        assert len(rotated["token"]) == 43
        revoked = await cli.json("devices", "revoke", "--device", device["deviceId"], "--role", "operator")
        assert revoked["revokedAtMs"] > 0
        unknown = await cli.run("devices", "approve", "nobody")
        assert unknown.code == 1
        assert "unknown requestId" in unknown.stderr


async def test_the_agent_answers_and_methods_are_called(aimed, tmp_path):
    async with running_rig(tmp_path / "gateway") as rig:
        cli = aimed(rig.url, TOKEN)
        answer = await cli.json("agent", "--session-id", "kitchen", "--message", "hello", "--json")
        assert (answer["status"], answer["result"]["payloads"][0]["text"]) == ("ok", "echo: hello")
        sessions = await cli.json("gateway", "call", "sessions.list", "--json")
        assert sessions["sessions"][0]["key"] == "agent:main:kitchen"
        refused = await cli.run("gateway", "call", "sessions.list", "--params", '{"bogus":1}')
        assert refused.code == 1
        assert "invalid sessions.list params: at root: unexpected property 'bogus'" in refused.stderr
        event = await cli.run("system", "event", "--text", "the kettle boils", "--mode", "next-heartbeat")
        assert (event.code, event.stdout.strip()) == (0, "ok")


async def test_a_wrong_token_is_explained_in_the_originals_words(aimed, tmp_path):
    async with running_rig(tmp_path / "gateway") as rig:
        cli = aimed(rig.url, "not-the-token")
        outcome = await cli.run("health")
        assert outcome.code == 1
        assert "gateway token mismatch" in outcome.stderr
