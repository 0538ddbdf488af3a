"""``channels.status`` with `probe`: the emulated Discord is really asked, in bounded time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from openclaw_discord import on_discord, online, stage
from openclaw_rig import TOKEN

from gateway.sandbox.faults import Fault
from shared.openclawclient.client import OpenClawClient
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret


@asynccontextmanager
async def scene(folder, token=""):
    """The tenant on the emulated Discord, and an operator's client."""
    async with stage() as (world, cast, emulator):
        where = (folder, emulator, cast, token or cast.bot_tokens["openclaw"])
        async with on_discord(*where) as (tenant, gateway):
            if not token:
                await online(tenant)
            client = OpenClawClient(gateway.ws_url, token=Secret(TOKEN), device=DeviceKey.generate())
            async with client:
                yield SimpleNamespace(client=client, world=world, faults=emulator.faults, bot_id=cast.bots["openclaw"])


async def asked(it, **params):
    return (await it.client.request("channels.status", params))["channelAccounts"]["discord"][0]


async def test_a_probe_says_who_the_bot_is_and_what_it_may_hear(tmp_path):
    async with scene(tmp_path) as it:
        before = await asked(it)
        row = await asked(it, probe=True)
        remembered = await asked(it)
        calls = it.faults.calls[("discord", "users.me")]
    assert "probe" not in before
    assert before["lastProbeAt"] is None
    probe = row["probe"]
    assert (probe["ok"], probe["error"]) == (True, None)
    assert probe["bot"] == {"id": it.bot_id, "username": "openclaw"}
    assert probe["application"]["intents"]["messageContent"] in {"enabled", "limited"}
    assert 0 <= probe["elapsedMs"] < 10_000
    assert row["lastProbeAt"] > 0
    assert remembered["probe"] == probe
    assert calls == 2  # its sign-in, and the probe


async def test_many_who_probe_at_once_ask_discord_once(tmp_path):
    async with scene(tmp_path) as it:
        rows = await asyncio.gather(*(asked(it, probe=True) for _ in range(20)))
        calls = it.faults.calls[("discord", "users.me")]
    assert all(row["probe"]["ok"] for row in rows)
    assert calls == 2


async def test_a_platform_that_does_not_answer_costs_a_bounded_time(tmp_path):
    async with scene(tmp_path) as it:
        it.faults.add(Fault(upstream="discord", op="users.me", kind="stall", body={"seconds": 30}))
        probe = (await asked(it, probe=True, timeoutMs=300))["probe"]
    assert probe["ok"] is False
    assert probe["error"] == "Discord did not answer within 0.3 s"


@pytest.mark.parametrize("allowed", [0, 1 << 15])
async def test_intents_are_asked_for_and_not_remembered(tmp_path, allowed):
    async with scene(tmp_path) as it:
        it.world.add_application("openclaw").intents_allowed = allowed
        intents = (await asked(it, probe=True))["probe"]["application"]["intents"]
    assert (intents["messageContent"] == "disabled") is (allowed == 0)


async def test_a_refused_token_is_said_by_the_probe_too(tmp_path):
    async with scene(tmp_path, token="bad.token.here") as it:
        probe = (await asked(it, probe=True))["probe"]
        health = await it.client.request("health", {"probe": True})
    assert probe["error"].startswith("Discord refused the bot token. Fix: ")
    assert health["channels"]["discord"]["probe"]["ok"] is False
