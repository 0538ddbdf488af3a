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
        author_roles=roles_of(message.author),
        is_webhook=message.webhook_id is not None,
        notice="" if message.type in _WRITTEN else message.type.name,
        content=_content(message),
        sent_at=message.created_at,
        guild_id=_guild_id(message.channel),
        parent_id=parent_of(message.channel)[0],
        parent_name=parent_of(message.channel)[1],
        mentioned_users=frozenset(str(user.id) for user in mentioned),
        mentioned_roles=frozenset(str(role) for role in message.raw_role_mentions),
        names={str(user.id): user.display_name for user in mentioned},
        role_names={str(role.id): role.name for role in message.role_mentions},
        channel_names={str(channel.id): channel.name for channel in message.channel_mentions},
        reply_author_id=str(answered.author.id) if answered else "",
        reply_author_name=answered.author.display_name if answered else "",
        reply_text=answered.content if answered else "",
        attachments=tuple(_files(message)),
    )


def read_me(client: discord.Client, guild: discord.Guild | None, *, called: str = "") -> Me:
    """Who the bot is in a guild, or in a direct message; `called` is what its mentions become."""
    user = client.user
    if user is None:
        raise RuntimeError("the client is not logged in")
    role = guild.self_role if guild else None
    name = guild.me.display_name if guild and guild.me else user.display_name
    return Me(str(user.id), name, str(role.id) if role else "", called)


def roles_of(author: object) -> tuple[str, ...]:
    """Ids of somebody's roles in the guild, without the one that everybody has; nothing for a plain user."""
    if not isinstance(author, discord.Member):
        return ()
    return tuple(str(role.id) for role in author.roles if role.id != author.guild.id)


def kind_of(channel: object) -> ChatKind:
    """What kind of chat a channel is; one that is not cached still knows whether it belongs to a guild."""
    if isinstance(channel, discord.Thread):
        return "thread"
    return "guild" if _guild_id(channel) else "dm"


def parent_of(channel: object) -> tuple[str, str]:
    """Id and name of the channel a thread belongs to; empty for anything else, the name also when it is not cached."""
    if not isinstance(channel, discord.Thread):
        return "", ""
    return str(channel.parent_id), channel.parent.name if channel.parent else ""


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


def _files(message: discord.Message) -> Iterable[Attachment]:
    """The files of a message, and of what it forwards."""
    yield from read_attachments(message.attachments)
    for snapshot in message.message_snapshots:
        yield from read_attachments(snapshot.attachments)


def _content(message: discord.Message) -> str:
    """What was written, and in words what a message can be besides text."""
    lines = [message.content]
    for snapshot in message.message_snapshots:
        lines.append(f"[forwarded] {snapshot.content}".rstrip())
        lines += _stickers(snapshot.stickers)
    lines += _stickers(message.stickers)
    if message.poll is not None:
        answers = " / ".join(answer.text or "?" for answer in message.poll.answers)
        lines.append(f"[Poll: {message.poll.question} — {answers}]")
    return "\n".join(line for line in lines if line)


def _stickers(stickers: Iterable[discord.StickerItem]) -> Iterable[str]:
    return (f"[Sticker: {sticker.name}]" for sticker in stickers)
