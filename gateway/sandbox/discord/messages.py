"""Messages, reactions, typing and DMs: the same rules for bots and for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from gateway.sandbox.discord.core import Core
from gateway.sandbox.discord.drafts import Draft, Extras, Reference, require_content
from gateway.sandbox.discord.errors import ApiError, invalid_form, missing_permissions, unknown
from gateway.sandbox.discord.events import Event
from gateway.sandbox.discord.models import (
    Attachment,
    Channel,
    ChannelType,
    Intent,
    InteractionOrigin,
    Json,
    Message,
    MessageFlag,
    MessageType,
    Permission,
    Poll,
    Snapshot,
    Upload,
    User,
)
from gateway.sandbox.discord.state import dm_key
from gateway.sandbox.discord.wire import emoji_object

NONCE_WINDOW_S = 300.0
"""How long a nonce is enforced. Source: Discord says "the past few minutes"."""
_CUSTOM_EMOJI = re.compile(r"[A-Za-z0-9_]{2,32}:\d{15,20}")
_USER_MENTION = re.compile(r"<@!?(\d{15,20})>")
_ROLE_MENTION = re.compile(r"<@&(\d{15,20})>")
_CODE = re.compile(r"```.*?```|``.*?``|`[^`\n]*`", re.DOTALL)
"""What stands in code mentions nobody."""
_EVERYONE = re.compile(r"@(everyone|here)\b")


class Messages:
    """Makes, changes and removes messages, and tells everybody."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._nonces: dict[tuple[int, int, str], tuple[float, int]] = {}

    def send(self, author: User, channel: Channel, draft: Draft) -> Message:
        """Post a message in a channel the author can see.

        Raises:
            ApiError: no permission, an empty message, an unknown reference, a person who accepts no DMs, …
        """
        self._may_send(author, channel, draft)
        require_content(draft)
        if (known := self._by_nonce(author, channel, draft)) is not None:
            return known
        message = self.build(author, channel, draft)
        if draft.reference is not None:
            self._refer(message, channel, draft.reference, draft)
        self._remember_nonce(message, draft)
        self.publish_new(message)
        return message

    def build(self, author: User, channel: Channel, draft: Draft) -> Message:
        """A message with its mentions and files worked out, not yet in any channel."""
        core = self._core
        message = Message(
            id=core.new_id(),
            channel_id=channel.id,
            author_id=author.id,
            content=draft.content or "",
            flags=draft.flags or 0,
            tts=draft.tts,
            nonce=draft.nonce,
            embeds=draft.embeds or [],
            components=draft.components or [],
            attachments=self._store(draft.uploads),
            stickers=draft.extras.stickers,
        )
        self._extend(message, draft.extras)
        self._mention(message, channel, draft.allowed_mentions)
        return message

    def publish_new(self, message: Message) -> None:
        """Put a message into its channel and announce it; an ephemeral one reaches only its person."""
        core = self._core
        core.state.messages.setdefault(message.channel_id, {})[message.id] = message
        channel = core.state.channels[message.channel_id]
        if message.ephemeral_for is None:
            channel.last_message_id = message.id
            channel.archived = False
        core.record_message("message.create", message)
        core.publish(self._event("MESSAGE_CREATE", message))

    def edit(self, actor: User, message: Message, draft: Draft) -> Message:
        """Change one's own message; what the draft leaves out stays.

        Raises:
            ApiError: 50005 for somebody else's, 50006 when nothing would be left.
        """
        if message.author_id != actor.id:
            only_flags = draft.flags is not None and draft.content is None and draft.embeds is None
            channel = self._core.state.channels[message.channel_id]
            if not (only_flags and self._core.state.permissions(actor.id, channel) & Permission.MANAGE_MESSAGES):
                raise ApiError(403, 50005, "Cannot edit a message authored by another user")
        self.apply(message, draft)
        return message

    def apply(self, message: Message, draft: Draft) -> None:
        """Write a draft over a message and announce the change.

        Raises:
            ApiError: 50006 when nothing would be left.
        """
        channel = self._core.state.channels[message.channel_id]
        content = message.content if draft.content is None else draft.content
        embeds = message.embeds if draft.embeds is None else draft.embeds
        components = message.components if draft.components is None else draft.components
        kept = self._kept(message, draft)
        if not (content or embeds or components or kept or draft.uploads):
            raise ApiError(400, 50006, "Cannot send an empty message")
        message.content, message.embeds, message.components = content, embeds, components
        message.attachments = kept + self._store(draft.uploads)
        if draft.flags is not None:
            changeable = MessageFlag.SUPPRESS_EMBEDS | MessageFlag.COMPONENTS_V2
            message.flags = (message.flags & ~changeable) | (draft.flags & changeable)
        message.flags &= ~MessageFlag.LOADING
        message.edited_at = self._core.clock.now()
        if draft.content is not None:
            self._mention(message, channel, draft.allowed_mentions, keep_reply=True)
        self._core.record_message("message.edit", message)
        self._core.publish(self._event("MESSAGE_UPDATE", message))

    def delete(self, actor: User, message: Message) -> None:
        """Remove a message.

        Raises:
            ApiError: 50013, or 50003 in a DM, for somebody else's.
        """
        channel = self._core.state.channels[message.channel_id]
        if message.author_id != actor.id:
            if channel.is_dm:
                raise ApiError(403, 50003, "Cannot execute action on a DM channel")
            self._core.require(actor, channel, Permission.MANAGE_MESSAGES)
        self.remove(message, by=actor)

    def remove(self, message: Message, *, by: User) -> None:
        """Take a message out and announce it."""
        core = self._core
        channel = core.state.channels[message.channel_id]
        core.state.messages[message.channel_id].pop(message.id, None)
        data = self._place(channel) | {"id": str(message.id)}
        core.record("message.delete", by, channel.id, data)
        only = self._only(message)
        core.publish(
            Event("MESSAGE_DELETE", lambda _: data, channel, None, Intent.GUILD_MESSAGES, Intent.DIRECT_MESSAGES, only)
        )

    def remove_many(self, channel: Channel, messages: Sequence[Message], *, by: User) -> None:
        """Take messages out and announce that in one event, as a moderator's bulk delete does."""
        core = self._core
        for message in messages:
            core.state.messages[channel.id].pop(message.id, None)
        data = self._place(channel) | {"ids": [str(message.id) for message in messages]}
        core.record("message.bulk_delete", by, channel.id, data)
        core.publish(Event("MESSAGE_DELETE_BULK", lambda _: data, channel, None, Intent.GUILD_MESSAGES, Intent(0)))

    def changed(self, message: Message) -> None:
        """Announce that something about a message other than its text changed (a thread, a pin)."""
        self._core.publish(self._event("MESSAGE_UPDATE", message))

    def history(
        self,
        channel: Channel,
        *,
        limit: int,
        before: int | None = None,
        after: int | None = None,
        around: int | None = None,
        viewer_id: int | None = None,
    ) -> list[Message]:
        """A page of history, always newest first.

        Args:
            channel: whose history.
            limit: how many at most.
            before: only older ones.
            after: only newer ones, and of those the oldest `limit`.
            around: half before, half after.
            viewer_id: also show what is ephemeral for this person.
        """
        stored = self._core.state.messages.get(channel.id, {}).values()
        visible = [m for m in stored if m.ephemeral_for in (None, viewer_id)]
        if around is not None:
            older = [m for m in visible if m.id < around][-(limit // 2) :] if limit > 1 else []
            newer = [m for m in visible if m.id >= around][: limit - len(older)]
            page = older + newer
        elif after is not None:
            page = [m for m in visible if m.id > after][:limit]
        else:
            page = [m for m in visible if before is None or m.id < before][-limit:]
        return page[::-1]

    def react(self, actor: User, message: Message, emoji: str) -> None:
        """Add one's reaction; twice is once.

        Raises:
            ApiError: 10014 for what is no emoji, 50013.
        """
        channel = self._core.state.channels[message.channel_id]
        check_emoji(emoji)
        self._core.require(actor, channel, Permission.ADD_REACTIONS)
        users = message.reactions.setdefault(emoji, [])
        if actor.id in users:
            return
        users.append(actor.id)
        self._announce_reaction("MESSAGE_REACTION_ADD", "reaction.add", actor, message, emoji, actor.id)

    def unreact(self, actor: User, message: Message, emoji: str, user_id: int) -> None:
        """Take a reaction back; somebody else's needs permission to manage messages.

        Raises:
            ApiError: 10014, 50013.
        """
        channel = self._core.state.channels[message.channel_id]
        if user_id != actor.id:
            self._core.require(actor, channel, Permission.MANAGE_MESSAGES)
        users = message.reactions.get(emoji)
        if not users or user_id not in users:
            raise unknown("Emoji")
        users.remove(user_id)
        if not users:
            del message.reactions[emoji]
        self._announce_reaction("MESSAGE_REACTION_REMOVE", "reaction.remove", actor, message, emoji, user_id)

    def clear_reactions(self, actor: User, message: Message, emoji: str | None = None) -> None:
        """Remove all reactions, or all of one emoji.

        Raises:
            ApiError: 50013.
        """
        channel = self._core.state.channels[message.channel_id]
        self._core.require(actor, channel, Permission.MANAGE_MESSAGES)
        data = self._place(channel) | {"message_id": str(message.id)}
        if emoji is None:
            message.reactions.clear()
            name = "MESSAGE_REACTION_REMOVE_ALL"
        else:
            message.reactions.pop(emoji, None)
            name, data = "MESSAGE_REACTION_REMOVE_EMOJI", data | {"emoji": emoji_object(emoji)}
        self._core.publish(
            Event(name, lambda _: data, channel, None, Intent.GUILD_MESSAGE_REACTIONS, Intent.DIRECT_MESSAGE_REACTIONS)
        )

    def typing(self, actor: User, channel: Channel) -> None:
        """Show that somebody is writing, for ten seconds."""
        core = self._core
        data = self._place(channel) | {"user_id": str(actor.id), "timestamp": int(core.clock.now().timestamp())}
        if member := core.state.member(channel.guild_id, actor.id):
            data["member"] = core.scribe.member(member)
        core.record("typing", actor, channel.id, {"channel_id": str(channel.id)})
        core.publish(
            Event(
                "TYPING_START",
                lambda _: data,
                channel,
                None,
                Intent.GUILD_MESSAGE_TYPING,
                Intent.DIRECT_MESSAGE_TYPING,
            )
        )

    def open_dm(self, actor: User, other: User) -> Channel:
        """The DM of a pair, always the same one.

        Raises:
            ApiError: 50007 between two bots or with oneself.
        """
        core = self._core
        if actor.id == other.id or (actor.bot and other.bot):
            raise ApiError(400, 50007, "Cannot send messages to this user")
        key = dm_key(actor.id, other.id)
        if key in core.state.dms:
            return core.state.channels[core.state.dms[key]]
        channel = Channel(core.new_id(), ChannelType.DM, recipient_ids=[actor.id, other.id])
        core.state.channels[channel.id] = channel
        core.state.dms[key] = channel.id
        people = frozenset(uid for uid in channel.recipient_ids if not core.state.users[uid].bot)
        core.publish(Event("CHANNEL_CREATE", lambda viewer: core.scribe.channel(channel, viewer.user_id), only=people))
        return channel

    def _may_send(self, author: User, channel: Channel, draft: Draft) -> None:
        core = self._core
        if channel.is_dm:
            other = next(core.state.users[uid] for uid in channel.recipient_ids if uid != author.id)
            if not other.accepts_dms or not core.state.share_guild(author.id, other.id):
                raise ApiError(403, 50007, "Cannot send messages to this user")
            return
        if channel.is_thread:
            core.require(author, channel, Permission.SEND_MESSAGES_IN_THREADS)
            if channel.locked and not core.state.permissions(author.id, channel) & Permission.MANAGE_THREADS:
                raise ApiError(400, 50083, "Thread is archived")
        core.require(author, channel, Permission.SEND_MESSAGES)
        if draft.uploads:
            core.require(author, channel, Permission.ATTACH_FILES)

    def _refer(self, message: Message, channel: Channel, reference: Reference, draft: Draft) -> None:
        target = self._core.state.message(channel.id, reference.message_id)
        if target is None or target.ephemeral_for is not None:
            if reference.must_exist:
                raise invalid_form("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
            return
        message.type = MessageType.REPLY
        message.reference_id, message.reference_channel_id = target.id, channel.id
        rules = draft.allowed_mentions
        pings = rules is None or bool(rules.get("replied_user"))
        if pings and target.author_id not in message.mentions and target.author_id != message.author_id:
            message.mentions.append(target.author_id)

    @staticmethod
    def _extend(message: Message, extras: Extras) -> None:
        if extras.question:
            message.poll = Poll(extras.question, extras.answers)
        if (source := extras.forwarded) is not None:
            message.reference_id, message.reference_channel_id = source.id, source.channel_id
            message.flags |= MessageFlag.HAS_SNAPSHOT
            message.snapshot = Snapshot(
                source.id, source.channel_id, source.content, list(source.attachments), list(source.stickers)
            )

    def _mention(self, message: Message, channel: Channel, rules: Json | None, *, keep_reply: bool = False) -> None:
        state, content = self._core.state, _CODE.sub("", message.content)
        replied = state.message(channel.id, message.reference_id) if keep_reply and message.reference_id else None
        kept = [replied.author_id] if replied is not None and replied.author_id in message.mentions else []
        named = [int(uid) for uid in dict.fromkeys(_USER_MENTION.findall(content)) if int(uid) in state.users]
        roles = [int(role) for role in dict.fromkeys(_ROLE_MENTION.findall(content))]
        guild = state.guilds.get(channel.guild_id or 0)
        message.mentions = [uid for uid in named if _may_ping(rules, "users", uid)]
        message.mentions += [uid for uid in kept if uid not in message.mentions]
        message.mention_roles = [
            role for role in roles if guild and role in guild.roles and _may_ping(rules, "roles", role)
        ]
        may_ping_all = bool(state.permissions(message.author_id, channel) & Permission.MENTION_EVERYONE)
        message.mention_everyone = (
            guild is not None
            and may_ping_all
            and (rules is None or "everyone" in (rules.get("parse") or ()))
            and bool(_EVERYONE.search(content))
        )

    def _store(self, uploads: list[Upload]) -> list[Attachment]:
        stored = []
        for upload in uploads:
            name = re.sub(r"[^\w.()\-]", "_", PurePosixPath(upload.filename.replace("\\", "/")).name) or "file"
            attachment = Attachment(
                self._core.new_id(), name, len(upload.data), upload.content_type, upload.description
            )
            self._core.cdn.put(attachment.id, upload.data)
            stored.append(attachment)
        return stored

    @staticmethod
    def _kept(message: Message, draft: Draft) -> list[Attachment]:
        if draft.kept_attachments is None:
            return list(message.attachments)
        return [attachment for attachment in message.attachments if attachment.id in draft.kept_attachments]

    def _by_nonce(self, author: User, channel: Channel, draft: Draft) -> Message | None:
        if draft.nonce is None or not draft.enforce_nonce:
            return None
        found = self._nonces.get((author.id, channel.id, str(draft.nonce)))
        if found is None or self._core.clock.monotonic() - found[0] > NONCE_WINDOW_S:
            return None
        return self._core.state.message(channel.id, found[1])

    def _remember_nonce(self, message: Message, draft: Draft) -> None:
        if draft.nonce is None:
            return
        now = self._core.clock.monotonic()
        for key in [key for key, (at, _) in self._nonces.items() if now - at > NONCE_WINDOW_S]:
            del self._nonces[key]
        self._nonces[message.author_id, message.channel_id, str(draft.nonce)] = (now, message.id)

    def _event(self, name: str, message: Message) -> Event:
        scribe, channel = self._core.scribe, self._core.state.channels[message.channel_id]
        return Event(
            name,
            lambda viewer: scribe.message(message, viewer, event=True),
            channel,
            None,
            Intent.GUILD_MESSAGES,
            Intent.DIRECT_MESSAGES,
            self._only(message),
        )

    @staticmethod
    def _only(message: Message) -> frozenset[int] | None:
        return None if message.ephemeral_for is None else frozenset({message.ephemeral_for})

    def _announce_reaction(self, name: str, kind: str, actor: User, message: Message, emoji: str, user_id: int) -> None:
        core, channel = self._core, self._core.state.channels[message.channel_id]
        data = self._place(channel) | {
            "user_id": str(user_id),
            "message_id": str(message.id),
            "emoji": emoji_object(emoji),
            "burst": False,
            "type": 0,
        }
        if name == "MESSAGE_REACTION_ADD":
            data["message_author_id"] = str(message.author_id)
            if member := core.state.member(channel.guild_id, user_id):
                data["member"] = core.scribe.member(member)
        core.record(kind, actor, channel.id, data)
        core.publish(
            Event(
                name,
                lambda _: data,
                channel,
                None,
                Intent.GUILD_MESSAGE_REACTIONS,
                Intent.DIRECT_MESSAGE_REACTIONS,
                self._only(message),
            )
        )

    @staticmethod
    def _place(channel: Channel) -> Json:
        """``guild_id`` is left out in DMs, never null."""
        place: Json = {"channel_id": str(channel.id)}
        if channel.guild_id is not None:
            place["guild_id"] = str(channel.guild_id)
        return place


def check_emoji(emoji: str) -> None:
    """Refuse what is neither an emoji character nor ``name:id``.

    Raises:
        ApiError: 10014.
    """
    if _CUSTOM_EMOJI.fullmatch(emoji):
        return
    keycap = "\u20e3" in emoji
    if not emoji or len(emoji) > 32 or (emoji.isascii() and not keycap) or any(c.isalpha() for c in emoji):
        raise unknown("Emoji")


def answer_type(origin: InteractionOrigin) -> MessageType:
    """The type of a message that answers an interaction."""
    if origin.type != 2:
        return MessageType.DEFAULT
    return MessageType.SLASH_ANSWER if origin.name else MessageType.CONTEXT_MENU_ANSWER


def require_history(core: Core, actor: User, channel: Channel) -> None:
    """Refuse to show history without the permission to read it.

    Raises:
        ApiError: 50001 for the channel, 50013 for its history.
    """
    if not core.state.permissions(actor.id, channel) & Permission.READ_MESSAGE_HISTORY:
        raise missing_permissions()


def _may_ping(rules: Json | None, kind: str, target: int) -> bool:
    if rules is None or kind in (rules.get("parse") or ()):
        return True
    return str(target) in [str(value) for value in rules.get(kind) or ()]
