"""How the world looks as Discord's JSON objects, for a given viewer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.sandbox.discord.cdn import Cdn
from gateway.sandbox.discord.models import (
    ALL_INTENTS,
    Application,
    Channel,
    ChannelType,
    Command,
    Guild,
    Intent,
    Json,
    Member,
    Message,
    MessageType,
    Role,
    User,
)
from gateway.sandbox.discord.snowflake import created_at
from gateway.sandbox.discord.state import State

ATTACHMENT_SIZE_LIMIT = 10 * 1024 * 1024
"""Bytes of one uploaded file. Source: Discord's default upload limit."""
POLL_LIFE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Viewer:
    """For whom something is written: whose account, and which intents its session asked for."""

    user_id: int
    intents: Intent = ALL_INTENTS


class Scribe:
    """Writes wire objects from the state."""

    def __init__(self, state: State, cdn: Cdn) -> None:
        self._state = state
        self._cdn = cdn

    def user(self, user: User) -> Json:
        """A user object."""
        return {
            "id": str(user.id),
            "username": user.name,
            "discriminator": "0",
            "global_name": user.display_name or None,
            "avatar": None,
            "bot": user.bot,
            "public_flags": 0,
        }

    def own_user(self, user: User) -> Json:
        """The caller's own user object."""
        return {**self.user(user), "mfa_enabled": False, "verified": True, "email": None, "flags": 0, "locale": "en-US"}

    def application(self, application: Application) -> Json:
        """An application object, its bot account included."""
        bot = self._state.users[application.id]
        return {
            "id": str(application.id),
            "name": bot.name,
            "icon": None,
            "description": "",
            "bot_public": False,
            "bot_require_code_grant": False,
            "verify_key": "0" * 64,
            "flags": application.flags,
            "owner": {"id": "1", "username": "operator", "discriminator": "0", "avatar": None},
            "team": None,
            "bot": self.user(bot),
            "install_params": None,
            "integration_types_config": {"0": {}},
            "interactions_endpoint_url": None,
            "redirect_uris": [],
            "tags": [],
        }

    def role(self, role: Role) -> Json:
        """A role object."""
        written: Json = {
            "id": str(role.id),
            "name": role.name,
            "permissions": str(role.permissions),
            "position": role.position,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": role.bot_id is not None,
            "mentionable": False,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
        }
        if role.bot_id is not None:
            written["tags"] = {"bot_id": str(role.bot_id)}
        return written

    def member(self, member: Member, *, with_user: bool = True) -> Json:
        """A member object; messages carry it without its user."""
        written: Json = {
            "roles": [str(role) for role in member.role_ids],
            "nick": member.nick,
            "avatar": None,
            "joined_at": _stamp(member.joined_at),
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "communication_disabled_until": None,
            "flags": 0,
        }
        if with_user:
            written["user"] = self.user(self._state.users[member.user_id])
        return written

    def guild(self, guild: Guild) -> Json:
        """A guild object without the parts only an event has."""
        return {
            "id": str(guild.id),
            "name": guild.name,
            "icon": None,
            "splash": None,
            "banner": None,
            "description": None,
            "owner_id": str(guild.owner_id),
            "afk_channel_id": None,
            "afk_timeout": 300,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw_level": 0,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "preferred_locale": "en-US",
            "system_channel_id": None,
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "public_updates_channel_id": None,
            "features": [],
            "roles": [self.role(role) for role in guild.roles.values()],
            "emojis": [],
            "stickers": [],
            "vanity_url_code": None,
            "max_members": 500000,
            "approximate_member_count": len(guild.members),
        }

    def guild_create(self, guild: Guild, viewer: Viewer) -> Json:
        """The ``d`` of GUILD_CREATE; without the members intent it holds only the viewer's own membership."""
        state = self._state
        own = [guild.members[viewer.user_id]] if viewer.user_id in guild.members else []
        members = list(guild.members.values()) if viewer.intents & Intent.GUILD_MEMBERS else own

        def visible(channels: list[Channel]) -> list[Json]:
            return [self.channel(c, viewer.user_id) for c in channels if state.can_see(viewer.user_id, c)]

        return {
            **self.guild(guild),
            "joined_at": _stamp(own[0].joined_at) if own else None,
            "large": False,
            "unavailable": False,
            "member_count": len(guild.members),
            "members": [self.member(member) for member in members],
            "channels": visible(state.guild_channels(guild.id, threads=False)),
            "threads": visible([c for c in state.guild_channels(guild.id, threads=True) if not c.archived]),
            "presences": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }

    def channel(self, channel: Channel, viewer_id: int) -> Json:
        """A channel object of any kind."""
        written: Json = {
            "id": str(channel.id),
            "type": int(channel.type),
            "flags": 0,
            "last_message_id": _text(channel.last_message_id),
        }
        if channel.is_dm:
            others = [self._state.users[uid] for uid in channel.recipient_ids if uid != viewer_id]
            return {**written, "recipients": [self.user(user) for user in others]}
        written |= {
            "guild_id": str(channel.guild_id),
            "name": channel.name,
            "parent_id": _text(channel.parent_id),
            "rate_limit_per_user": 0,
        }
        return written | (self._thread_part(channel, viewer_id) if channel.is_thread else self._room_part(channel))

    def _room_part(self, channel: Channel) -> Json:
        return {
            "position": channel.position,
            "topic": channel.topic,
            "nsfw": False,
            "permission_overwrites": [
                {"id": str(user), "type": 1, "allow": "0", "deny": str(bits)} for user, bits in channel.denied.items()
            ],
        }

    def _thread_part(self, channel: Channel, viewer_id: int) -> Json:
        stamp = _stamp(channel.archive_timestamp or created_at(channel.id))
        part: Json = {
            "owner_id": _text(channel.owner_id),
            "message_count": len(self._state.messages.get(channel.id, {})),
            "total_message_sent": len(self._state.messages.get(channel.id, {})),
            "member_count": len(channel.thread_member_ids),
            "thread_metadata": {
                "archived": channel.archived,
                "auto_archive_duration": channel.auto_archive_duration,
                "archive_timestamp": stamp,
                "locked": channel.locked,
                "create_timestamp": _stamp(created_at(channel.id)),
            },
        }
        if channel.type is ChannelType.PRIVATE_THREAD:
            part["thread_metadata"]["invitable"] = True
        if viewer_id in channel.thread_member_ids:
            part["member"] = self.thread_member(channel, viewer_id)
        return part

    def thread_member(self, channel: Channel, user_id: int) -> Json:
        """A thread member object."""
        return {
            "id": str(channel.id),
            "user_id": str(user_id),
            "join_timestamp": _stamp(created_at(channel.id)),
            "flags": 0,
        }

    def message(self, message: Message, viewer: Viewer, *, event: bool = False, deep: bool = True) -> Json:
        """A message object, blanked where the viewer lacks the message-content intent.

        Args:
            message: what to write.
            viewer: for whom.
            event: events also name the guild and the author's membership.
            deep: also write the message it replies to.
        """
        state = self._state
        channel = state.channels[message.channel_id]
        readable = self._may_read(message, channel, viewer)
        written: Json = {
            "id": str(message.id),
            "channel_id": str(message.channel_id),
            "author": self.user(state.users[message.author_id]),
            "content": message.content if readable else "",
            "timestamp": _stamp(created_at(message.id)),
            "edited_timestamp": _stamp(message.edited_at) if message.edited_at else None,
            "tts": message.tts,
            "mention_everyone": message.mention_everyone,
            "mentions": [self.user(state.users[uid]) for uid in message.mentions if uid in state.users],
            "mention_roles": [str(role) for role in message.mention_roles],
            "attachments": self._attachments(message) if readable else [],
            "embeds": message.embeds if readable else [],
            "components": message.components if readable else [],
            "reactions": self.reactions(message, viewer.user_id),
            "pinned": message.pinned,
            "type": int(message.type),
            "flags": message.flags,
        }
        if message.nonce is not None:
            written["nonce"] = message.nonce
        written |= self._extras(message, readable=readable)
        written |= self._links(message, viewer, deep=deep)
        if event and channel.guild_id is not None:
            written["guild_id"] = str(channel.guild_id)
            if member := state.member(channel.guild_id, message.author_id):
                written["member"] = self.member(member, with_user=False)
        return written

    def _extras(self, message: Message, *, readable: bool) -> Json:
        extras = Json()
        if message.stickers:
            extras["sticker_items"] = _stickers(message.stickers)
        if message.poll is not None and readable:
            answers = [
                {"answer_id": number, "poll_media": {"text": text}}
                for number, text in enumerate(message.poll.answers, start=1)
            ]
            extras["poll"] = {
                "question": {"text": message.poll.question},
                "answers": answers,
                "expiry": _stamp(created_at(message.id) + POLL_LIFE),
                "allow_multiselect": False,
                "layout_type": 1,
            }
        if (snapshot := message.snapshot) is not None:
            key = self._state.signing_key
            files = [self._cdn.describe(snapshot.channel_id, file, key) for file in snapshot.attachments]
            forwarded = {
                "type": int(MessageType.DEFAULT),
                "content": snapshot.content if readable else "",
                "embeds": [],
                "attachments": files if readable else [],
                "timestamp": _stamp(created_at(snapshot.id)),
                "edited_timestamp": None,
                "flags": 0,
                "mentions": [],
                "mention_roles": [],
                "sticker_items": _stickers(snapshot.stickers),
                "components": [],
            }
            extras["message_snapshots"] = [{"message": forwarded}]
        return extras

    def _links(self, message: Message, viewer: Viewer, *, deep: bool) -> Json:
        state, links = self._state, Json()
        if message.application_id is not None:
            links["application_id"] = str(message.application_id)
        if message.origin is not None:
            user = self.user(state.users[message.origin.user_id])
            origin = {"id": str(message.origin.id), "type": message.origin.type}
            links["interaction_metadata"] = {**origin, "user": user, "authorizing_integration_owners": {}}
            if message.origin.name is not None:
                links["interaction"] = {**origin, "name": message.origin.name, "user": user}
            if message.application_id is not None:
                links["webhook_id"] = str(message.application_id)
        if message.thread_id is not None and message.thread_id in state.channels:
            links["thread"] = self.channel(state.channels[message.thread_id], viewer.user_id)
        if message.reference_channel_id is not None:
            target = state.channels.get(message.reference_channel_id)
            kind = 0 if message.snapshot is None else 1
            reference: Json = {"type": kind, "channel_id": str(message.reference_channel_id)}
            if message.reference_id is not None:
                reference["message_id"] = str(message.reference_id)
            if target is not None and target.guild_id is not None:
                reference["guild_id"] = str(target.guild_id)
            links["message_reference"] = reference
            if deep and message.reference_id is not None and message.type is not MessageType.DEFAULT:
                referenced = state.message(message.reference_channel_id, message.reference_id)
                links["referenced_message"] = self.message(referenced, viewer, deep=False) if referenced else None
        return links

    def reactions(self, message: Message, viewer_id: int) -> list[Json]:
        """The reaction counts of a message."""
        return [
            {
                "emoji": emoji_object(emoji),
                "count": len(users),
                "count_details": {"burst": 0, "normal": len(users)},
                "me": viewer_id in users,
                "me_burst": False,
                "burst_colors": [],
            }
            for emoji, users in message.reactions.items()
        ]

    def command(self, command: Command) -> Json:
        """An application command object."""
        written: Json = {
            **command.spec,
            "id": str(command.id),
            "application_id": str(command.application_id),
            "version": str(command.version),
        }
        if command.guild_id is not None:
            written["guild_id"] = str(command.guild_id)
        return written

    def _attachments(self, message: Message) -> list[Json]:
        key = self._state.signing_key
        return [self._cdn.describe(message.channel_id, attachment, key) for attachment in message.attachments]

    def _may_read(self, message: Message, channel: Channel, viewer: Viewer) -> bool:
        return (
            bool(viewer.intents & Intent.MESSAGE_CONTENT)
            or channel.is_dm
            or message.author_id == viewer.user_id
            or viewer.user_id in message.mentions
        )


def _stickers(names: list[str]) -> list[Json]:
    return [{"id": str(number), "name": name, "format_type": 1} for number, name in enumerate(names, start=1)]


def emoji_object(emoji: str) -> Json:
    """An emoji as Discord writes it: a character, or a custom one given as ``name:id``."""
    name, _, emoji_id = emoji.rpartition(":")
    if name and emoji_id.isdigit():
        return {"id": emoji_id, "name": name}
    return {"id": None, "name": emoji}


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
