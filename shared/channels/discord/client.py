"""One connection attempt's discord.py client: small caches, no surprises, and every event handed to its owner."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import discord

from shared.channels.discord.components import ActionButton
from shared.channels.discord.identify import IdentifyBudget
from shared.obs.log import get_logger

_log = get_logger(__name__)

_READY_TIMEOUT_S = 0.2
_RATE_LIMIT_PATIENCE_S = 30.0
_SHORT_WAIT_S = 6.0


class TooManyIdentifies(Exception):
    """The budget says to wait; ends the attempt."""


class ClientOwner(Protocol):
    """Who is told what the client sees. All but the last three are called in the order of events and must not wait."""

    def session_began(self) -> None:
        """A new session: events before it were lost."""
        ...

    def came_online(self) -> None:
        """A session began, or goes on."""
        ...

    def guilds_known(self) -> None:
        """The caches are filled."""
        ...

    def went_offline(self) -> None:
        """The connection broke; the client tries to resume."""
        ...

    def message_arrived(self, message: discord.Message) -> None:
        """A message."""
        ...

    def message_edited(self, message: discord.Message) -> None:
        """A message as it reads by now; whether its author changed it is told by the time it carries."""
        ...

    def message_deleted(self, channel_id: int, message_id: int) -> None:
        """A message is gone."""
        ...

    async def button_pressed(self, interaction: discord.Interaction, action: str, text: str | None = None) -> None:
        """A button, or a form with its text."""
        ...

    async def command_called(self, interaction: discord.Interaction, name: str, text: str) -> None:
        """A slash command."""
        ...

    async def logged_in(self, client: discord.Client) -> None:
        """The token was accepted; the gateway comes next."""
        ...


def policy_intents() -> discord.Intents:
    """Guilds, GuildMessages, MessageContent, DirectMessages (37377), and nothing else."""
    intents = discord.Intents.none()
    intents.guilds = True
    intents.guild_messages = True
    intents.message_content = True
    intents.dm_messages = True
    return intents


class BotClient(discord.Client):
    """A client for one attempt; it is thrown away when anything ends it.

    Args:
        owner: is told everything.
        budget: counts identifies.
    """

    def __init__(self, owner: ClientOwner, budget: IdentifyBudget) -> None:
        super().__init__(
            intents=policy_intents(),
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            guild_ready_timeout=_READY_TIMEOUT_S,
            max_ratelimit_timeout=_RATE_LIMIT_PATIENCE_S,
        )
        self._owner = owner
        self._budget = budget

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - discord.py's signature
        """Pass an event on, unless the client is closed: its late timers would trip over the missing loop."""
        if not self.is_closed():
            super().dispatch(event, *args, **kwargs)

    async def setup_hook(self) -> None:
        """Between login and gateway."""
        self.add_dynamic_items(ActionButton)
        await self._owner.logged_in(self)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:  # noqa: ARG002
        """Keep to the identify budget instead of sleeping five seconds every time."""
        wait_s = self._budget.wait_s()
        if wait_s > _SHORT_WAIT_S:
            raise TooManyIdentifies
        await asyncio.sleep(wait_s)
        self._budget.spend()

    async def on_connect(self) -> None:
        """READY arrived: messages flow in both directions from here on."""
        self._owner.session_began()
        self._owner.came_online()

    async def on_ready(self) -> None:
        """All guilds were described."""
        self._owner.guilds_known()

    async def on_resumed(self) -> None:
        """The session goes on, with everything that was missed replayed."""
        self._owner.came_online()

    async def on_disconnect(self) -> None:
        """The connection broke."""
        self._owner.went_offline()

    async def on_message(self, message: discord.Message) -> None:
        """A message; handed over before this task could be overtaken by the next."""
        self._owner.message_arrived(message)

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """A message changed; also one that is in no cache."""
        self._owner.message_edited(payload.message)

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """A message is gone; also one that is in no cache."""
        self._owner.message_deleted(payload.channel_id, payload.message_id)

    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        """A moderator removed many messages at once."""
        for message_id in sorted(payload.message_ids):
            self._owner.message_deleted(payload.channel_id, message_id)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """A handler of ours raised."""
        _log.exception("discord.handler_failed", handler=event_method)

    async def button_pressed(self, interaction: discord.Interaction, action: str, text: str | None = None) -> None:
        """What `ActionButton` and `FormWindow` call."""
        await self._owner.button_pressed(interaction, action, text)

    async def command_called(self, interaction: discord.Interaction, name: str, text: str) -> None:
        """What the command tree calls."""
        await self._owner.command_called(interaction, name, text)


def chats_newer_than(client: discord.Client, floor: int) -> list[int]:
    """Ids of the places in the client's guilds where something was written after message `floor`."""
    return [
        channel.id
        for guild in client.guilds
        for group in (guild.text_channels, guild.voice_channels, guild.threads)
        for channel in group
        if channel.last_message_id is not None and channel.last_message_id > floor
    ]
