"""What every part of the world works with: the state, the clock, ids, writing, publishing and the log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.sandbox.discord.cdn import Cdn
from gateway.sandbox.discord.errors import missing_access, missing_permissions, unknown
from gateway.sandbox.discord.events import ActionLog, Event
from gateway.sandbox.discord.models import Channel, Guild, Json, Message, Permission, User
from gateway.sandbox.discord.sessions import SessionHub
from gateway.sandbox.discord.snowflake import SnowflakeMaker
from gateway.sandbox.discord.state import State
from gateway.sandbox.discord.wire import Scribe, Viewer
from shared.clock import Clock


class Core:
    """The shared floor of the world's services. Used from one event loop only."""

    def __init__(self, state: State, clock: Clock, blobs: Path | None, on_change: Callable[[], None]) -> None:
        self.state = state
        self.clock = clock
        self.ids = SnowflakeMaker(clock)
        if state.last_id:
            self.ids.raise_above(state.last_id)
        self.cdn = Cdn(clock, blobs)
        self.scribe = Scribe(state, self.cdn)
        self.hub = SessionHub(state, clock)
        self.log = ActionLog()
        self.changed = on_change

    def new_id(self) -> int:
        """The next snowflake; remembered, so that ids never go backwards."""
        self.state.last_id = self.ids.make()
        return self.state.last_id

    def publish(self, event: Event) -> None:
        """Send an event to all who may see it and note that the state changed."""
        self.hub.publish(event)
        self.changed()

    def record(self, kind: str, actor: User, channel_id: int | None, data: Json) -> None:
        """Log what a bot did; what people do is not logged."""
        if actor.bot:
            self.log.add(self.clock.now(), kind, actor.id, channel_id, data)

    def record_message(self, kind: str, message: Message) -> None:
        """Log a bot's message as it is now."""
        author = self.state.users[message.author_id]
        self.record(
            kind, author, message.channel_id, self.scribe.message(message, Viewer(message.author_id), event=True)
        )

    def channel(self, actor: User, channel_id: int) -> Channel:
        """A channel the actor can see.

        Raises:
            ApiError: 10003 or 50001.
        """
        channel = self.state.channels.get(channel_id)
        if channel is None:
            raise unknown("Channel")
        if not self.state.can_see(actor.id, channel):
            raise missing_access()
        return channel

    def message(self, actor: User, channel_id: int, message_id: int) -> tuple[Channel, Message]:
        """A message of the channel's history.

        Raises:
            ApiError: 10003, 50001 or 10008.
        """
        channel = self.channel(actor, channel_id)
        message = self.state.message(channel_id, message_id)
        if message is None or message.ephemeral_for is not None:
            raise unknown("Message")
        return channel, message

    def guild(self, actor: User, guild_id: int) -> Guild:
        """A guild the actor is in.

        Raises:
            ApiError: 10004.
        """
        guild = self.state.guilds.get(guild_id)
        if guild is None or actor.id not in guild.members:
            raise unknown("Guild")
        return guild

    def require(self, actor: User, channel: Channel, permission: Permission) -> None:
        """Refuse an actor without a permission.

        Raises:
            ApiError: 50013.
        """
        if not self.state.permissions(actor.id, channel) & permission:
            raise missing_permissions()
