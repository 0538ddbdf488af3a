"""Real discord.py clients against a real emulator, for the tests beside this file."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import discord
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from gateway.sandbox.discord.limits import LimitPolicy, Rule
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan

POLICY_INTENTS = 37377
FREE = LimitPolicy(rules=(Rule("*", 10_000, 1.0),), per_second=10_000)


class Town:
    """A guild with two people and one bot."""

    def __init__(self, emulator: DiscordEmulator) -> None:
        self.emulator, self.world, self.faults = emulator, emulator.world, emulator.faults
        world = self.world
        self.owner = world.add_user("owner")
        self.friend = world.add_user("friend")
        self.app = world.add_application("J", display_name="나노봇")
        self.guild = world.add_guild("Home", owner=self.owner)
        self.general = world.add_channel(self.guild, "general")
        self.lab = world.add_channel(self.guild, "lab")
        world.join(self.guild, self.friend)
        world.join(self.guild, self.app)
        self.token = world.bot_token(self.app)
        self.mention = f"<@{self.app.id}>"


@asynccontextmanager
async def town(*, limits: LimitPolicy = FREE, heartbeat_ms: int = 41_250, **world) -> AsyncIterator[Town]:
    """A running emulator with its town, which discord.py is pointed at."""
    emulator = DiscordEmulator(World(**world), FaultPlan(), limits=limits, heartbeat_ms=heartbeat_ms)
    built = Town(emulator)
    async with emulator:
        before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = emulator.api_base, yarl.URL(emulator.gateway_url)
        try:
            yield built
        finally:
            Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before


class Bot(discord.Client):
    """An unmodified client that notes what it got; only its waits are shorter."""

    def __init__(self, *, intents: int = POLICY_INTENTS) -> None:
        super().__init__(
            intents=discord.Intents._from_value(intents),
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=0.05,
            chunk_guilds_at_startup=False,
            max_messages=100,
        )
        self.tree = app_commands.CommandTree(self)
        self.got: list[discord.Message] = []
        self.edited: list[discord.Message] = []
        self.news = asyncio.Condition()
        self.resumes = 0
        self.readies = 0
        self.interactions: list[discord.Interaction] = []

    async def before_identify_hook(self, shard_id, *, initial: bool = False) -> None:
        """No five-second pause between identifies."""

    async def on_ready(self) -> None:
        self.readies += 1
        await self._tell()

    async def on_resumed(self) -> None:
        self.resumes += 1
        await self._tell()

    async def on_message(self, message: discord.Message) -> None:
        self.got.append(message)
        await self._tell()

    async def on_message_edit(self, _before: discord.Message, after: discord.Message) -> None:
        self.edited.append(after)
        await self._tell()

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        self.interactions.append(interaction)
        await self._tell()

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def until(self, condition, timeout_s: float = 8.0) -> None:
        """Wait until something the client noted makes `condition()` true."""
        async with asyncio.timeout(timeout_s), self.news:
            await self.news.wait_for(condition)

    async def next_message(self, count: int = 1) -> discord.Message:
        await self.until(lambda: len(self.got) >= count)
        return self.got[count - 1]


@asynccontextmanager
async def online(place: Town, bot: Bot | None = None) -> AsyncIterator[Bot]:
    """A bot that is logged in and ready."""
    bot = bot or Bot()
    running = asyncio.create_task(bot.start(place.token))
    try:
        waiting = asyncio.create_task(bot.until(lambda: bot.readies))
        await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            waiting.cancel()
            running.result()
        await waiting
        yield bot
    finally:
        await bot.close()
        await asyncio.gather(running, return_exceptions=True)
