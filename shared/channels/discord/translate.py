"""What a Discord message means to a tenant: pure, and independent of discord.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.channels.base import Attachment, ChatId, ChatKind, InboundMessage, Sender
from shared.channels.text import CODE, outside_code, without_last
from shared.errors import Invalid

PREFIX = "dc:"

_USER = re.compile(r"<@!?(\d+)>")
_ROLE = re.compile(r"<@&(\d+)>")
_CHANNEL = re.compile(r"<#(\d+)>")
_EMOJI = re.compile(r"<a?:(\w+):\d+>")


@dataclass(frozen=True, slots=True)
class Facts:
    """A Discord message, reduced to what matters here. Ids are decimal text.

    Attributes:
        content: what was written, and in words what else the message is: forwarded, a sticker, a poll.
        author_roles: ids of the author's roles in the guild; empty where Discord did not say, as in histories.
        notice: kind of a notice of Discord's: a join, a pin; empty for what a person wrote.
        names: display names of mentioned users by id.
        reply_author_id: who wrote the message this one answers, empty when it answers none or that one is gone.
    """

    id: str
    channel_id: str
    channel_name: str
    kind: ChatKind
    author_id: str
    author_name: str
    content: str
    sent_at: datetime
    author_is_bot: bool = False
    author_roles: tuple[str, ...] = ()
    is_webhook: bool = False
    notice: str = ""
    guild_id: str = ""
    parent_id: str = ""
    parent_name: str = ""
    mentioned_users: frozenset[str] = frozenset()
    mentioned_roles: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    role_names: Mapping[str, str] = field(default_factory=dict)
    channel_names: Mapping[str, str] = field(default_factory=dict)
    reply_author_id: str = ""
    reply_author_name: str = ""
    reply_text: str = ""
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Me:
    """Who the bot is, where the message was written.

    Attributes:
        role_id: the role Discord manages for the bot in that guild; people pick it by mistake. Empty in a DM.
        called: what a mention of the bot becomes, after an ``@`` and at the start of the text; empty takes it out.
    """

    id: str
    name: str
    role_id: str = ""
    called: str = ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A message that is none of the tenant's business, and why."""

    reason: str


def chat_of(channel_id: object) -> ChatId:
    """The chat address of a Discord channel."""
    return f"{PREFIX}{channel_id}"


def channel_of(chat: ChatId) -> int:
    """The Discord channel of a chat address.

    Raises:
        Invalid: it is not an address on Discord.
    """
    number = chat.removeprefix(PREFIX)
    if not chat.startswith(PREFIX) or not (number.isascii() and number.isdecimal()):
        raise Invalid(f"{chat!r} is not the address of a chat on Discord, such as dc:123")
    return int(number)


def translate(facts: Facts, me: Me, *, answer_bots: bool = False, notices: bool = False) -> InboundMessage | Skipped:
    """Turn a Discord message into an inbound message, or say why it is skipped.

    Addressed is: a direct message, a mention of the bot or of its own role, a reply to the bot. Bots and webhooks
    are skipped unless `answer_bots`: two bots in one guild must not talk to each other for ever. Discord's own notices
    are skipped unless `notices`; their text is nobody's.
    """
    if facts.author_id == me.id:
        return Skipped("our own message")
    if facts.notice and not notices:
        return Skipped("a notice of Discord's")
    if not answer_bots and (facts.author_is_bot or facts.is_webhook):
        return Skipped("written by a bot or a webhook")
    addressed = (
        facts.kind == "dm"
        or me.id in facts.mentioned_users
        or bool(me.role_id and me.role_id in facts.mentioned_roles)
        or facts.reply_author_id == me.id
    )
    return InboundMessage(
        chat=chat_of(facts.channel_id),
        chat_name=facts.channel_name,
        chat_kind=facts.kind,
        id=facts.id,
        sender=Sender(
            facts.author_id,
            facts.author_name,
            is_bot=facts.author_is_bot or facts.is_webhook,
            roles=facts.author_roles,
        ),
        text="" if facts.notice else _readable(facts, me),
        addressed=addressed and not facts.notice,
        sent_at=facts.sent_at,
        guild=facts.guild_id,
        parent=chat_of(facts.parent_id) if facts.parent_id else "",
        parent_name=facts.parent_name,
        reply_to=_named(facts.reply_text, facts, me),
        reply_to_sender=facts.reply_author_name,
        attachments=facts.attachments,
        notice=facts.notice,
    )


def _readable(facts: Facts, me: Me) -> str:
    """The text with names in place of ids, and without the bot's mention at either end.

    Where the bot is `called` something, a mention anywhere puts that in front, so that a trigger at the start finds
    it (policy N2). What stands in code is text, not a mention: Discord does not read it as one either.
    """
    mine = rf"(?:<@!?{re.escape(me.id)}>" + (rf"|<@&{re.escape(me.role_id)}>" if me.role_id else "") + ")"
    text = re.sub(rf"^\s*(?:{mine}\s*)+[,:]?\s*", "", facts.content)
    text = without_last(text, re.compile(mine))
    # What is only quoted, as in a forwarded message, is no mention to Discord.
    is_called = me.id in facts.mentioned_users or me.role_id in facts.mentioned_roles
    is_mentioned = is_called and re.search(mine, CODE.sub("", facts.content)) is not None
    text = _named(text, facts, me).strip()
    call = f"@{me.called}"
    if me.called and is_mentioned and not text.lower().startswith(call.lower()):
        return f"{call} {text}".strip()
    return text


def _named(text: str, facts: Facts, me: Me) -> str:
    names = {**facts.names, me.id: me.called or me.name}
    roles = {**facts.role_names, me.role_id: me.called or me.name}

    def named(piece: str) -> str:
        piece = _USER.sub(lambda match: f"@{names.get(match[1], 'unknown-user')}", piece)
        piece = _ROLE.sub(lambda match: f"@{roles.get(match[1], 'unknown-role')}", piece)
        piece = _CHANNEL.sub(lambda match: f"#{facts.channel_names.get(match[1], 'unknown-channel')}", piece)
        return _EMOJI.sub(lambda match: f":{match[1]}:", piece)

    return outside_code(text, named)
