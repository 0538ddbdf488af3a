"""The world's contents as one value: what exists, who may see it, and how it becomes JSON and back."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from gateway.sandbox.discord.models import (
    ALL_PERMISSIONS,
    Application,
    Channel,
    Guild,
    Member,
    Message,
    Permission,
    User,
)

KEPT_MESSAGES = 500
"""Messages of a channel that a snapshot keeps, the newest."""


@dataclass(slots=True)
class State:
    """Everything that survives a restart.

    Attributes:
        messages: by channel, then by id, oldest first.
        dms: channel id by the sorted pair of user ids, as ``"1:2"``.
        last_id: the newest snowflake made.
        signing_key: hex key of the attachment URLs.
    """

    users: dict[int, User] = field(default_factory=dict)
    applications: dict[int, Application] = field(default_factory=dict)
    guilds: dict[int, Guild] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    messages: dict[int, dict[int, Message]] = field(default_factory=dict)
    dms: dict[str, int] = field(default_factory=dict)
    last_id: int = 0
    signing_key: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)

    def user_by_token(self, token: str) -> User | None:
        """Who presents this bare token, bot or person."""
        return next((user for user in self.users.values() if token and user.token == token), None)

    def message(self, channel_id: int, message_id: int) -> Message | None:
        """A message, also an ephemeral one."""
        return self.messages.get(channel_id, {}).get(message_id)

    def home(self, channel: Channel) -> Channel:
        """The channel whose permissions apply: a thread's parent, else itself."""
        return self.channels[channel.parent_id] if channel.is_thread and channel.parent_id else channel

    def permissions(self, user_id: int, channel: Channel) -> int:
        """Permission bits of a user in a channel; 0 for outsiders."""
        if channel.is_dm:
            return ALL_PERMISSIONS if user_id in channel.recipient_ids else 0
        guild = self.guilds[channel.guild_id or 0]
        member = guild.members.get(user_id)
        if member is None:
            return 0
        if guild.owner_id == user_id:
            return ALL_PERMISSIONS
        bits = guild.roles[guild.id].permissions
        for role_id in member.role_ids:
            bits |= guild.roles[role_id].permissions if role_id in guild.roles else 0
        if bits & Permission.ADMINISTRATOR:
            return ALL_PERMISSIONS
        return bits & ~self.home(channel).denied.get(user_id, 0)

    def can_see(self, user_id: int, channel: Channel) -> bool:
        """Whether the channel exists for this user."""
        if channel.type.name == "PRIVATE_THREAD" and user_id not in channel.thread_member_ids:
            bits = self.permissions(user_id, channel)
            return bool(bits & Permission.MANAGE_THREADS)
        return bool(self.permissions(user_id, channel) & Permission.VIEW_CHANNEL)

    def guild_channels(self, guild_id: int, *, threads: bool) -> list[Channel]:
        """A guild's threads, or its other channels in their order."""
        found = [c for c in self.channels.values() if c.guild_id == guild_id and c.is_thread == threads]
        return sorted(found, key=lambda channel: (channel.position, channel.id))

    def share_guild(self, one: int, other: int) -> bool:
        """Whether two users meet in some guild."""
        return any(one in guild.members and other in guild.members for guild in self.guilds.values())

    def member(self, guild_id: int | None, user_id: int) -> Member | None:
        """A membership, if there is one."""
        guild = self.guilds.get(guild_id or 0)
        return guild.members.get(user_id) if guild else None


_ADAPTER: TypeAdapter[State] = TypeAdapter(State)


def dump_state(state: State) -> dict[str, Any]:
    """The state as JSON values, with the newest messages of each channel and no ephemeral ones."""
    kept = {
        channel_id: dict([item for item in messages.items() if item[1].ephemeral_for is None][-KEPT_MESSAGES:])
        for channel_id, messages in state.messages.items()
    }
    dumped: dict[str, Any] = _ADAPTER.dump_python(replace(state, messages=kept), mode="json")
    return dumped


def load_state(data: dict[str, Any]) -> State:
    """A state from `dump_state`'s value.

    Raises:
        pydantic.ValidationError: it is not one.
    """
    return _ADAPTER.validate_json(_ADAPTER_BYTES.dump_json(data))


_ADAPTER_BYTES: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def dm_key(one: int, other: int) -> str:
    """The key of a pair in `State.dms`."""
    return f"{min(one, other)}:{max(one, other)}"


def make_token(user_id: int) -> str:
    """A fresh token in Discord's form: the account id, a time part and a secret part."""
    first = base64.urlsafe_b64encode(str(user_id).encode()).decode().rstrip("=")
    return f"{first}.{secrets.token_urlsafe(4)[:6]}.{secrets.token_urlsafe(29)[:38]}"
