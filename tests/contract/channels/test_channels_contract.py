"""Every implementation of `Channel` keeps the contract."""

from contextlib import asynccontextmanager
from functools import partial

import pytest

from gateway.sandbox.discord.limits import LimitPolicy, Rule
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.slack.server import SlackEmulator
from gateway.sandbox.slack.world import World as Workspace
from shared.channels.base import ChannelHandlers, OutboundFile, OutboundMessage
from shared.channels.discord.addresses import use_addresses
from shared.channels.discord.channel import DiscordChannel
from shared.channels.discord.translate import chat_of
from shared.channels.slack.addresses import Place, message_id, ts_of
from shared.channels.slack.channel import SlackChannel
from shared.errors import Denied
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


class TestSlackChannel(ChannelContract):
    @asynccontextmanager
    async def slack(self, *, in_thread: bool):
        told = Told()
        world = Workspace()
        owner, app = world.add_user("owner"), world.add_app("bot")
        general = world.add_channel("general", owner, app.user)
        thread = world.say(owner, general, "what the thread hangs on").ts if in_thread else ""

        async def say(text):
            return message_id(general.id, world.say(owner, general, text, thread=thread).ts)

        async def rewrite(message, text):
            world.edit(general, ts_of(message), text)

        async def take_back(message):
            world.delete(general, ts_of(message))

        def texts():
            return world.texts(general, app.user)

        pool = TaskPool("test")
        async with SlackEmulator(world, limits={}) as server:
            tokens = Secret(app.bot_token), Secret(app.app_token)
            channel = SlackChannel(*tokens, told.handlers(), api_base=server.api_base)
            pool.start(channel.run(), name="channel")
            try:
                assert await channel.wait_online(10)
                chat = Place(general.id, thread).chat
                yield told.bed(channel, chat, say, texts, list, rewrite, take_back)
            finally:
                await pool.close()
            assert server.unknown_routes == []

    async def test_files_go_with_a_message(self, tmp_path):
        """They cannot: the operator's policy gives the app no scope for it, and that is said."""
        (tmp_path / "a").write_bytes(b"one")
        files = (OutboundFile("notes.txt", tmp_path / "a"),)
        async with self.bed() as bed:
            for text in ("see", ""):
                with pytest.raises(Denied, match="files:write"):
                    await bed.channel.send(OutboundMessage(bed.chat, text, "n1", files=files))
            assert bed.texts() == []

    @asynccontextmanager
    async def bed(self):
        async with self.slack(in_thread=False) as bed:
            yield bed


class TestSlackThread(TestSlackChannel):
    @asynccontextmanager
    async def bed(self):
        async with self.slack(in_thread=True) as bed:
            yield bed
