"""An emulated Discord with people and bots on it, and the channel under test."""

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import Fault, FaultPlan
from shared.channels.base import ChannelHandlers
from shared.channels.discord.addresses import use_addresses
from shared.channels.discord.channel import DiscordChannel
from shared.channels.discord.identify import IdentifyBudget
from shared.channels.discord.translate import chat_of
from shared.lifecycle.backoff import Backoff
from shared.secrets.files import Secret


def fault(op, kind="status", **more):
    return Fault(upstream="discord", op=op, kind=kind, **more)


@asynccontextmanager
async def discord_world(*faults):
    """One guild with #general and #lab, an owner, a friend, two bots; on loopback."""
    world = World()
    owner, friend = world.add_user("owner", display_name="Owner"), world.add_user("friend")
    bot, other = world.add_application("nano", display_name="나노봇"), world.add_application("claw")
    guild = world.add_guild("lab", owner=owner)
    general, lab = world.add_channel(guild, "general"), world.add_channel(guild, "lab")
    for who in (friend, bot, other):
        world.join(guild, who)
    async with DiscordEmulator(world, FaultPlan.of(faults)) as server:
        use_addresses(server.api_base, server.gateway_url)
        yield SimpleNamespace(
            world=world,
            server=server,
            faults=server.faults,
            owner=owner,
            friend=friend,
            bot=bot,
            other=other,
            guild=guild,
            general=general.id,
            lab=lab.id,
            chat=chat_of(general.id),
        )
        assert server.unknown_routes == []


@dataclass
class Heard:
    messages: list = field(default_factory=list)
    presses: list = field(default_factory=list)
    commands: list = field(default_factory=list)
    cursors: dict = field(default_factory=dict)
    gaps: list = field(default_factory=list)

    async def on_gap(self, gap):
        self.gaps.append(gap)

    async def on_message(self, message):
        self.messages.append(message)
        self.cursors[message.chat] = message.id

    async def on_press(self, press):
        self.presses.append(press)
        return f"{press.sender.name} pressed {press.action}"

    async def on_command(self, name, message):
        self.commands.append((name, message))
        return f"{name}: {message.text}"

    async def known_chats(self):
        return dict(self.cursors)

    @property
    def texts(self):
        return [message.text for message in self.messages]

    def handlers(self, **more):
        return ChannelHandlers(
            self.on_message, self.on_press, known_chats=self.known_chats, on_command=self.on_command, **more
        )


def channel_for(place, heard=None, *, token="", handlers=None, **more):
    secret = Secret(token or place.world.bot_token(place.bot))
    options = {"backoff": Backoff(0.05, 0.2), "budget": IdentifyBudget(spacing_s=0.05)} | more
    return DiscordChannel(secret, handlers or (heard or Heard()).handlers(), **options)


def said_by_bot(place, channel_id=None):
    messages = place.world.state.messages.get(channel_id or place.general, {})
    return [message.content for message in messages.values() if message.author_id == place.bot.id]


def cut_connections(place):
    for session in place.world.sessions.of(place.bot.id):
        if session.connection is not None:
            session.connection.disrupt("reset")
