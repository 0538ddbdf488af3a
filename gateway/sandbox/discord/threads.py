"""Threads: started from a message or on their own, joined, archived."""

from __future__ import annotations

from gateway.sandbox.discord.core import Core
from gateway.sandbox.discord.errors import ApiError, invalid_form
from gateway.sandbox.discord.events import Event
from gateway.sandbox.discord.messages import Messages
from gateway.sandbox.discord.models import (
    Channel,
    ChannelType,
    Intent,
    Json,
    Message,
    MessageFlag,
    MessageType,
    Permission,
    User,
)
from gateway.sandbox.discord.shape import text_at

NAME_LIMIT = 100
_DURATIONS = (60, 1440, 4320, 10080)


class Threads:
    """Makes and changes threads."""

    def __init__(self, core: Core, messages: Messages) -> None:
        self._core = core
        self._messages = messages

    def start(self, actor: User, parent: Channel, body: object, *, message: Message | None = None) -> Channel:
        """Start a thread; one started from a message has the message's id.

        Raises:
            ApiError: 160004 when the message has one, 50024 in the wrong kind of channel, 50013, 50035.
        """
        core = self._core
        fields: Json = body if isinstance(body, dict) else {}
        name = fields.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= NAME_LIMIT:
            raise invalid_form("name", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {NAME_LIMIT} in length.")
        duration = fields.get("auto_archive_duration") or 1440
        if duration not in _DURATIONS:
            raise invalid_form("auto_archive_duration", "BASE_TYPE_CHOICES", f"Value must be one of {_DURATIONS}.")
        if parent.type is not ChannelType.TEXT:
            raise ApiError(400, 50024, "Cannot execute action on this channel type")
        if message is not None and message.thread_id is not None:
            raise ApiError(400, 160004, "A thread has already been created for this message")
        is_private = message is None and fields.get("type", ChannelType.PRIVATE_THREAD) == ChannelType.PRIVATE_THREAD
        needed = Permission.CREATE_PRIVATE_THREADS if is_private else Permission.CREATE_PUBLIC_THREADS
        core.require(actor, parent, needed)
        thread = Channel(
            message.id if message else core.new_id(),
            ChannelType.PRIVATE_THREAD if is_private else ChannelType.PUBLIC_THREAD,
            name,
            parent.guild_id,
            parent.id,
            owner_id=actor.id,
            thread_member_ids=[actor.id],
            auto_archive_duration=duration,
        )
        core.state.channels[thread.id] = thread
        core.record("thread.create", actor, parent.id, core.scribe.channel(thread, actor.id))
        self._announce("THREAD_CREATE", thread, newly_created=True)
        self._open_with(actor, parent, thread, message)
        return thread

    def join(self, thread: Channel, user: User) -> None:
        """Make a user a member of a thread."""
        if user.id not in thread.thread_member_ids:
            thread.thread_member_ids.append(user.id)
            self._members_changed(thread, added=user)

    def leave(self, thread: Channel, user: User) -> None:
        """Take a user out of a thread."""
        if user.id in thread.thread_member_ids:
            thread.thread_member_ids.remove(user.id)
            self._members_changed(thread, removed=user)

    def update(self, actor: User, channel: Channel, body: object) -> Channel:
        """Rename, archive or lock a thread, or rename a channel and set its topic.

        Raises:
            ApiError: 50013, 50035.
        """
        core = self._core
        fields: Json = body if isinstance(body, dict) else {}
        if actor.id != channel.owner_id:
            core.require(actor, channel, Permission.MANAGE_THREADS if channel.is_thread else Permission.MANAGE_CHANNELS)
        name = fields.get("name", channel.name)
        if not isinstance(name, str) or not 1 <= len(name) <= NAME_LIMIT:
            raise invalid_form("name", "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {NAME_LIMIT} in length.")
        channel.name = name
        channel.topic = text_at("topic", fields.get("topic", channel.topic)) or None
        if channel.is_thread:
            channel.archived = bool(fields.get("archived", channel.archived))
            channel.locked = bool(fields.get("locked", channel.locked))
            channel.archive_timestamp = core.clock.now()
        self._announce("THREAD_UPDATE" if channel.is_thread else "CHANNEL_UPDATE", channel)
        return channel

    def delete(self, actor: User, channel: Channel) -> None:
        """Delete a thread or a guild channel with everything in it.

        Raises:
            ApiError: 50013.
        """
        core = self._core
        core.require(actor, channel, Permission.MANAGE_THREADS if channel.is_thread else Permission.MANAGE_CHANNELS)
        self._announce("THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE", channel)
        core.state.channels.pop(channel.id, None)
        core.state.messages.pop(channel.id, None)

    def _open_with(self, actor: User, parent: Channel, thread: Channel, message: Message | None) -> None:
        core = self._core
        if message is not None:
            message.thread_id = thread.id
            message.flags |= MessageFlag.HAS_THREAD
            self._messages.changed(message)
            first = Message(core.new_id(), thread.id, message.author_id, type=MessageType.THREAD_STARTER)
            first.reference_id, first.reference_channel_id = message.id, parent.id
            self._messages.publish_new(first)
        elif thread.type is ChannelType.PUBLIC_THREAD:
            notice = Message(core.new_id(), parent.id, actor.id, thread.name, MessageType.THREAD_CREATED)
            notice.reference_channel_id = thread.id
            self._messages.publish_new(notice)

    def _announce(self, name: str, channel: Channel, *, newly_created: bool = False) -> None:
        scribe = self._core.scribe
        more = {"newly_created": True} if newly_created else {}
        written = {uid: scribe.channel(channel, uid) | more for uid in self._core.state.users}
        self._core.publish(
            Event(name, lambda viewer: written[viewer.user_id], channel, channel.guild_id, Intent.GUILDS, Intent(0))
        )

    def _members_changed(self, thread: Channel, *, added: User | None = None, removed: User | None = None) -> None:
        scribe = self._core.scribe
        data: Json = {
            "id": str(thread.id),
            "guild_id": str(thread.guild_id),
            "member_count": len(thread.thread_member_ids),
        }
        if added is not None:
            data["added_members"] = [scribe.thread_member(thread, added.id) | {"presence": None}]
        if removed is not None:
            data["removed_member_ids"] = [str(removed.id)]
        self._core.publish(Event("THREAD_MEMBERS_UPDATE", lambda _: data, thread, thread.guild_id, Intent.GUILDS))
