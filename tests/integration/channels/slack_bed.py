"""The sandbox's Slack with its people, and a channel onto it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.slack.models import BOT_SCOPES
from gateway.sandbox.slack.server import SlackEmulator
from gateway.sandbox.slack.sockets import Redelivery
from gateway.sandbox.slack.world import World
from shared.channels.base import ChannelHandlers, age_order
from shared.channels.slack.addresses import Place
from shared.channels.slack.channel import SlackChannel
from shared.lifecycle.backoff import Backoff
from shared.secrets.files import Secret


def fault(op, kind="status", **more):
    return Fault(upstream="slack", op=op, kind=kind, **more)


@asynccontextmanager
async def slack_world(*faults, scopes=BOT_SCOPES, **options):
    """#general and #lab with an owner, a friend and two apps; on loopback."""
    world = World()
    owner, friend = world.add_user("owner", real_name="Owner"), world.add_user("friend")
    app, other = world.add_app("nano", scopes=scopes), world.add_app("claw")
    everybody = (owner, friend, app.user, other.user)
    general, lab = world.add_channel("general", *everybody), world.add_channel("lab", *everybody)
    options = {"limits": {}, "redelivery": Redelivery(0.2, (0.0, 0.2, 0.2, 0.2, 0.2))} | options
    async with SlackEmulator(world, FaultPlan.of(faults), **options) as server:
        yield SimpleNamespace(
            world=world,
            server=server,
            faults=server.faults,
            sockets=server.sockets,
            owner=owner,
            friend=friend,
            app=app,
            other=other,
            general=general,
            lab=lab,
            chat=Place(general.id).chat,
            me=f"<@{app.user.id}>",
        )
        assert server.unknown_routes == []
        assert not [entry for entry in server.requests if entry.status == 400]


@dataclass
class Heard:
    messages: list = field(default_factory=list)
    changes: list = field(default_factory=list)
    cursors: dict = field(default_factory=dict)
    gaps: list = field(default_factory=list)

    async def on_gap(self, gap):
        self.gaps.append(gap)

    async def on_message(self, message):
        self.messages.append(message)
        newest = self.cursors.get(message.chat, message.id)
        self.cursors[message.chat] = max(newest, message.id, key=age_order)

    async def on_edit(self, message):
        self.changes.append((message.id, message.text))

    async def on_delete(self, chat, message):
        self.changes.append((message, None))

    async def known_chats(self):
        return dict(self.cursors)

    @property
    def texts(self):
        return [message.text for message in self.messages]

    def handlers(self, **more):
        told = {"on_edit": self.on_edit, "on_delete": self.on_delete, "known_chats": self.known_chats} | more
        return ChannelHandlers(told.pop("on_message", self.on_message), **told)


def channel_for(place, heard=None, *, handlers=None, bot_token="", app_token="", app=None, **more):
    app = app or place.app
    return SlackChannel(
        Secret(bot_token or app.bot_token),
        Secret(app_token or app.app_token),
        handlers or (heard or Heard()).handlers(),
        api_base=place.server.api_base,
        backoff=Backoff(0.05, 0.2),
        **more,
    )


def said_by_app(place, channel=None):
    return place.world.texts(channel or place.general, place.app.user)


def unacknowledged(place):
    return [sent for sent in place.sockets.sent if not sent.acked.is_set()]
