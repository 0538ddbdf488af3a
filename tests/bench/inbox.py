"""From a platform's event to a durable inbox row, with the product's own channel in between."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.sandbox.cast import cast_of
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.slack.cast import slack_cast_of
from gateway.sandbox.slack.server import SlackEmulator
from gateway.sandbox.slack.world import World as Workspace
from nanoclaw.schema import declare
from shared.channels.base import Channel, ChannelHandlers, InboundMessage
from shared.channels.discord.addresses import use_addresses
from shared.channels.discord.channel import DiscordChannel
from shared.channels.inbox import Inbox
from shared.channels.slack.channel import SlackChannel
from shared.secrets.files import Secret
from shared.storage import Database

_ONLINE_S = 30.0
_ARRIVED_S = 10.0

Say = Callable[[str], Awaitable[None]]


async def discord_to_inbox_ms(samples: int) -> list[float]:
    """Milliseconds from `World.say` to the return of `Inbox.append`, one message at a time."""
    world = World()
    cast = cast_of(world)
    owner = world.find_user("owner")
    assert owner is not None
    emulator = DiscordEmulator(world, FaultPlan())
    await emulator.start()
    use_addresses(emulator.api_base, emulator.gateway_url)

    async def say(text: str) -> None:
        await world.say(owner, int(cast.channel_id), text)

    try:
        return await _to_inbox_ms(lambda told: DiscordChannel(Secret(cast.bot_tokens["nanoclaw"]), told), say, samples)
    finally:
        await emulator.stop()


async def slack_to_inbox_ms(samples: int) -> list[float]:
    """The same with an emulated Slack over Socket Mode."""
    workspace = Workspace()
    cast = slack_cast_of(workspace)

    async def say(text: str) -> None:
        workspace.say(cast.owner, cast.general, text)

    async with SlackEmulator(workspace, limits={}) as emulator:
        tokens = Secret(cast.app.bot_token), Secret(cast.app.app_token)
        return await _to_inbox_ms(lambda told: SlackChannel(*tokens, told, api_base=emulator.api_base), say, samples)


@asynccontextmanager
async def _fresh_inbox() -> AsyncIterator[Inbox]:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "bench.db", migrations="nanoclaw.migrations")
        await database.open()
        try:
            yield Inbox(database, declare().channels)
        finally:
            await database.close()


async def _to_inbox_ms(connect: Callable[[ChannelHandlers], Channel], say: Say, samples: int) -> list[float]:
    arrived: asyncio.Queue[float] = asyncio.Queue()
    times = []
    async with _fresh_inbox() as inbox, asyncio.TaskGroup() as group:

        async def store(message: InboundMessage) -> None:
            await inbox.append(message)
            arrived.put_nowait(time.monotonic())

        channel = connect(ChannelHandlers(on_message=store))
        running = group.create_task(channel.run())
        if not await channel.wait_online(_ONLINE_S):
            raise RuntimeError(channel.status.reason)
        for number in range(samples):
            start = time.monotonic()
            await say(f"message {number}")
            times.append((await asyncio.wait_for(arrived.get(), _ARRIVED_S) - start) * 1000)
        running.cancel()
    return times
