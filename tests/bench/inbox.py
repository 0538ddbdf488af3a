"""From the emulated server's dispatch to a durable inbox row, with the real client in between."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from gateway.sandbox.cast import cast_of
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from nanoclaw.schema import declare
from shared.channels.base import ChannelHandlers, InboundMessage
from shared.channels.discord.addresses import use_addresses
from shared.channels.discord.channel import DiscordChannel
from shared.channels.inbox import Inbox
from shared.secrets.files import Secret
from shared.storage import Database


async def event_to_inbox_ms(samples: int) -> list[float]:
    """Milliseconds from `World.say` to the return of `Inbox.append`, one message at a time."""
    world = World()
    cast = cast_of(world)
    owner = world.find_user("owner")
    assert owner is not None
    emulator = DiscordEmulator(world, FaultPlan())
    await emulator.start()
    use_addresses(emulator.api_base, emulator.gateway_url)
    arrived: asyncio.Queue[float] = asyncio.Queue()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "bench.db", migrations="nanoclaw.migrations")
        await database.open()
        inbox = Inbox(database, declare().channels)

        async def store(message: InboundMessage) -> None:
            await inbox.append(message)
            arrived.put_nowait(time.monotonic())

        channel = DiscordChannel(Secret(cast.bot_tokens["nanoclaw"]), ChannelHandlers(on_message=store))
        times = []
        async with asyncio.TaskGroup() as group:
            running = group.create_task(channel.run())
            if not await channel.wait_online(30.0):
                raise RuntimeError(channel.status.reason)
            for number in range(samples):
                start = time.monotonic()
                await world.say(owner, int(cast.channel_id), f"message {number}")
                times.append((await asyncio.wait_for(arrived.get(), 10.0) - start) * 1000)
            running.cancel()
        await database.close()
    await emulator.stop()
    return times
