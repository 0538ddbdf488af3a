"""Reading discord.py's objects into the facts that `translate` works on."""

from __future__ import annotations

from collections.abc import Iterable

import discord

from shared.channels.base import Attachment, ChatKind
from shared.channels.discord.translate import Facts, Me

_WRITTEN = frozenset(
    {
        discord.MessageType.default,
        discord.MessageType.reply,
        discord.MessageType.chat_input_command,
        discord.MessageType.context_menu_command,
    }
)


def read_message(message: discord.Message) -> Facts:
    """The facts of a message, however little of its surroundings is cached."""
    kind = kind_of(message.channel)
    answered = message.reference.resolved if message.reference else None
    if not isinstance(answered, discord.Message):
        answered = None  # deleted, or not sent along
    mentioned: list[discord.User | discord.Member] = list(message.mentions)
    return Facts(
        id=str(message.id),
        channel_id=str(message.channel.id),
        channel_name=message.author.display_name if kind == "dm" else getattr(message.channel, "name", None) or "",
        kind=kind,
        author_id=str(message.author.id),
        author_name=message.author.display_name,
        author_is_bot=message.author.bot,
        is_webhook=message.webhook_id is not None,
        is_system=message.type not in _WRITTEN,
        content=_content(message),
        sent_at=message.created_at,
        guild_id=_guild_id(message.channel),
        parent_id=str(getattr(message.channel, "parent_id", None) or "") if kind == "thread" else "",
        mentioned_users=frozenset(str(user.id) for user in mentioned),
        mentioned_roles=frozenset(str(role) for role in message.raw_role_mentions),
        names={str(user.id): user.display_name for user in mentioned},
        role_names={str(role.id): role.name for role in message.role_mentions},
        channel_names={str(channel.id): channel.name for channel in message.channel_mentions},
        reply_author_id=str(answered.author.id) if answered else "",
        reply_author_name=answered.author.display_name if answered else "",
        reply_text=answered.content if answered else "",
        attachments=tuple(read_attachments(message.attachments)),
    )


def read_me(client: discord.Client, guild: discord.Guild | None) -> Me:
    """Who the bot is in a guild, or in a direct message."""
    user = client.user
    if user is None:
        raise RuntimeError("the client is not logged in")
    role = guild.self_role if guild else None
    name = guild.me.display_name if guild and guild.me else user.display_name
    return Me(str(user.id), name, str(role.id) if role else "")


def kind_of(channel: object) -> ChatKind:
    """What kind of chat a channel is; one that is not cached still knows whether it belongs to a guild."""
    if isinstance(channel, discord.Thread):
        return "thread"
    return "guild" if _guild_id(channel) else "dm"


def read_attachments(attachments: Iterable[discord.Attachment]) -> Iterable[Attachment]:
    """The files of a message."""
    for attachment in attachments:
        yield Attachment(
            id=str(attachment.id),
            name=attachment.filename,
            content_type=attachment.content_type or "application/octet-stream",
            size_bytes=attachment.size,
            url=attachment.url,
        )


def _guild_id(channel: object) -> str:
    guild = getattr(channel, "guild", None)
    guild_id = getattr(guild, "id", None) or getattr(channel, "guild_id", None)
    return str(guild_id or "")


def _content(message: discord.Message) -> str:
    """What was written; of a forwarded message, what it forwards."""
    if message.content or not message.message_snapshots:
        return message.content
    return "\n".join(f"[forwarded] {snapshot.content}" for snapshot in message.message_snapshots)
