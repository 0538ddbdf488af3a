"""Every implementation of `Channel` keeps the contract."""

from contextlib import asynccontextmanager
from functools import partial

from gateway.sandbox.discord.limits import LimitPolicy, Rule
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from shared.channels.base import ChannelHandlers
from shared.channels.discord.addresses import use_addresses
from shared.channels.discord.channel import DiscordChannel
from shared.channels.discord.translate import chat_of
from shared.lifecycle.tasks import TaskPool
from shared.secrets.files import Secret
from shared.testing.channel_bed import ME, MemoryChannel
from shared.testing.channel_contract import Bed, ChannelContract


class Told:
    """What a channel told its tenant."""

    def __init__(self):
        self.heard, self.edits, self.deletes = [], [], []

    async def on_message(self, message):
        self.heard.append(message)

    async def on_edit(self, message):
        self.edits.append(message)

    async def on_delete(self, _chat, message):
        self.deletes.append(message)

    def handlers(self):
        return ChannelHandlers(self.on_message, on_edit=self.on_edit, on_delete=self.on_delete)

    def bed(self, *parts):
        return Bed(*parts, self.heard, self.edits, self.deletes)


class TestMemoryChannel(ChannelContract):
    @asynccontextmanager
    async def bed(self):
        told = Told()
        channel = MemoryChannel(told.handlers())

        async def say(text):
            return await channel.say("dc:7", text)

        def files():
            return [list(shown.files) for shown in channel.shown if shown.sender == ME]

        texts = partial(channel.texts, "dc:7")
        yield told.bed(channel, "dc:7", say, texts, files, channel.rewrite, channel.take_back)


class TestDiscordChannel(ChannelContract):
    @asynccontextmanager
    async def bed(self):
        told = Told()
        world = World()
        owner, bot = world.add_user("owner"), world.add_application("bot")
        guild = world.add_guild("lab", owner=owner)
        general = world.add_channel(guild, "general")
        world.join(guild, bot)

        async def say(text):
            return str((await world.say(owner, general.id, text)).id)

        async def rewrite(message, text):
            await world.edit(owner, general.id, int(message), text)

        async def take_back(message):
            await world.delete(owner, general.id, int(message))

        def own():
            messages = world.state.messages.get(general.id, {}).values()
            return [message for message in messages if message.author_id == bot.id]

        def texts():
            return [message.content for message in own()]

        def files():
            cdn = world.core.cdn
            return [[(file.filename, cdn.get(file.id)) for file in message.attachments] for message in own()]

        pool = TaskPool("test")
        async with DiscordEmulator(world, FaultPlan(), limits=LimitPolicy(rules=(Rule("*", 100, 1.0),))) as server:
            use_addresses(server.api_base, server.gateway_url)
            channel = DiscordChannel(Secret(world.bot_token(bot)), told.handlers())
            pool.start(channel.run(), name="channel")
            try:
                assert await channel.wait_online(10)
                yield told.bed(channel, chat_of(general.id), say, texts, files, rewrite, take_back)
            finally:
                await pool.close()
