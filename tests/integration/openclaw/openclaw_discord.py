"""The tenant on the emulated Discord, with an unmodified discord.py between them."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from contextlib import asynccontextmanager
from pathlib import Path

from openclaw_rig import TOKEN, ScriptedModel

from gateway.sandbox.cast import cast_of
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from openclaw.config import OpenClawPolicy
from openclaw.tenant import Tenant
from shared.channels.discord.make import discord_channel
from shared.config.paths import Paths
from shared.gatewayclient import GatewayClient
from shared.http.unixserver import AsgiListeners
from shared.secrets.files import Secret


@asynccontextmanager
async def stage():
    world = World()
    cast = cast_of(world)
    async with DiscordEmulator(world, FaultPlan()) as emulator:
        yield world, cast, emulator


@asynccontextmanager
async def on_discord(
    folder: Path, emulator: DiscordEmulator, cast, token: str, *, model: ScriptedModel | None = None, **more
):
    runtime = Path("/tmp") / f"oc-{secrets.token_hex(4)}"
    runtime.mkdir(mode=0o700)
    policy = OpenClawPolicy.model_validate({"port": 0, "discord": {"guilds": {cast.guild_id: {}}}} | more)
    client = GatewayClient(runtime / "m.sock", Secret("k"))
    try:
        async with AsgiListeners(model or ScriptedModel()) as listeners:
            await listeners.add_unix(runtime / "m.sock", state={})
            paths = Paths(state=folder, runtime=runtime)
            make = discord_channel(
                token,
                {"discord_api_base": emulator.api_base, "discord_gateway_url": emulator.gateway_url},
                answer_bots=True,
            )
            tenant = Tenant("openclaw", paths, client, policy, Secret(TOKEN), make_channel=make, drain_s=0.0)
            async with tenant.running() as gateway:
                yield tenant, gateway
    finally:
        await client.close()
        shutil.rmtree(runtime)


async def online(tenant: Tenant) -> None:
    async with asyncio.timeout(10):
        while tenant.report().status.state != "online":
            await asyncio.sleep(0.02)


async def said(world, channel_id: int, bot_id: str, wanted: str) -> None:
    async with asyncio.timeout(10):
        while True:
            found = world.state.messages.get(channel_id, {}).values()
            texts = [m.content for m in found if str(m.author_id) == bot_id]
            if any(wanted in text for text in texts):
                return
            await asyncio.sleep(0.02)
