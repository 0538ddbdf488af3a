"""What a Slack message means to a tenant: pure, from the JSON of an event or of a channel's history."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.channels.base import Attachment, ChatKind, InboundMessage, Sender
from shared.channels.slack.addresses import Place, message_id, moment_of
from shared.channels.slack.mrkdwn import from_mrkdwn
from shared.channels.text import without_last
from shared.errors import Invalid

_WRITTEN = frozenset({"", "file_share", "thread_broadcast", "me_message", "bot_message"})
"""Subtypes of what somebody wrote; all others are notices, such as who joined."""

_TS = re.compile(r"\d{10}\.\d{6}")
_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^<>]*)?>")


@dataclass(frozen=True, slots=True)
class Me:
    """Who the app is in its workspace.

    Attributes:
        id: of the app's user, which is what people mention.
        bot_id: what its own messages are marked with.
        called: what a mention of the app becomes, after an ``@`` and at the start of the text; empty takes it out.
    """

    id: str
    name: str
    bot_id: str = ""
    team: str = ""
    called: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A Slack message, reduced to what matters here.

    Attributes:
        thread_ts: the message its thread hangs on; its own `ts` when others hang on it; empty otherwise.
        thread_author: who wrote that message, when the event says so.
        edited_ts: of the author's latest change, empty for none.
    """

    channel: str
    ts: str
    text: str
    user: str = ""
    bot_id: str = ""
    subtype: str = ""
    thread_ts: str = ""
    thread_author: str = ""
    edited_ts: str = ""
    attachments: tuple[Attachment, ...] = ()

    @property
    def id(self) -> str:
        """The message's id."""
        return message_id(self.channel, self.ts)

    @property
    def place(self) -> Place:
        """Where it was written."""
        return Place(self.channel, self.thread_ts if self.thread_ts != self.ts else "")

    @property
    def people(self) -> frozenset[str]:
        """Ids of everybody whose name is needed to read it."""
        return frozenset({self.user, *_MENTION.findall(self.text)} - {""})


@dataclass(frozen=True, slots=True)
class Names:
    """Names by id, as far as they are known."""

    people: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A message that is none of the tenant's business, and why."""

    reason: str


def read_message(data: Mapping[str, Any], channel: str = "") -> Facts:
    """The facts of a message.

    Args:
        data: the event, or an entry of a channel's history.
        channel: where a history was read; events say it themselves.

    Raises:
        Invalid: a field that cannot be missing is, or is of another type.
    """
    text = data.get("text") or ""
    facts = Facts(
        channel=channel or _string(data, "channel"),
        ts=_string(data, "ts"),
        text=text if isinstance(text, str) else "",
        user=_string(data, "user"),
        bot_id=_string(data, "bot_id"),
        subtype=_string(data, "subtype"),
        thread_ts=_string(data, "thread_ts"),
        thread_author=_string(data, "parent_user_id"),
        edited_ts=_string(data.get("edited") or {}, "ts"),
        attachments=tuple(_files(data.get("files"))),
    )
    if not facts.channel or not _TS.fullmatch(facts.ts) or (facts.thread_ts and not _TS.fullmatch(facts.thread_ts)):
        raise Invalid("a message of Slack's without a channel or a time stamp")
    return facts


def _string(data: object, name: str) -> str:
    value = data.get(name) if isinstance(data, Mapping) else None
    return value if isinstance(value, str) else ""


def _files(files: object) -> list[Attachment]:
    return [
        Attachment(
            id=_string(file, "id"),
            name=_string(file, "name") or _string(file, "title") or "file",
            content_type=_string(file, "mimetype") or "application/octet-stream",
            size_bytes=file["size"] if isinstance(file.get("size"), int) else 0,
            url=_string(file, "url_private"),
        )
        for file in (files if isinstance(files, list) else [])
        if isinstance(file, Mapping)
    ]


def translate(facts: Facts, me: Me, names: Names) -> InboundMessage | Skipped:
    """Turn a Slack message into an inbound message, or say why it is skipped.

    Addressed is: a direct message, a mention of the app, an answer in a thread that hangs on a message of the app.
    Bots are skipped: two of them in one channel must not talk to each other for ever.
    """
    if (facts.user and facts.user == me.id) or (facts.bot_id and facts.bot_id == me.bot_id):
        return Skipped("our own message")
    if facts.subtype not in _WRITTEN:
        return Skipped(f"a notice of Slack's ({facts.subtype})")
    if facts.bot_id or not facts.user:
        return Skipped("written by a bot or a webhook")
    place = facts.place
    is_direct = facts.channel.startswith("D")
    in_our_thread = bool(place.thread) and facts.thread_author == me.id
    people = {**names.people, me.id: me.called or me.name}
    sender = names.people.get(facts.user, facts.user)
    return InboundMessage(
        chat=place.chat,
        chat_name=_chat_name(place, names, sender),
        chat_kind=_kind(place),
        id=facts.id,
        sender=Sender(facts.user, sender),
        text=_readable(facts, me, people, names.channels),
        addressed=is_direct or in_our_thread or me.id in _MENTION.findall(facts.text),
        sent_at=moment_of(facts.ts),
        guild="" if is_direct else me.team,
        parent=Place(place.channel).chat if place.thread else "",
        parent_name=names.channels.get(place.channel, place.channel) if place.thread else "",
        attachments=facts.attachments,
    )


def _kind(place: Place) -> ChatKind:
    if place.thread:
        return "thread"
    return "dm" if place.channel.startswith("D") else "guild"


def _chat_name(place: Place, names: Names, sender: str) -> str:
    if place.channel.startswith("D"):
        return sender
    name = names.channels.get(place.channel, place.channel)
    return f"{name} thread" if place.thread else name


def _readable(facts: Facts, me: Me, people: Mapping[str, str], channels: Mapping[str, str]) -> str:
    """The text with names in place of ids, and without the app's mention at either end.

    Where the app is `called` something, a mention anywhere puts that in front, so that a trigger at the start finds it
    (policy N2).
    """
    mine = rf"<@{re.escape(me.id)}(?:\|[^<>]*)?>"
    text = re.sub(rf"^\s*(?:{mine}\s*)+[,:]?\s*", "", facts.text)
    text = without_last(text, re.compile(mine))
    text = from_mrkdwn(text, people, channels).strip()
    call = f"@{me.called}"
    if me.called and me.id in _MENTION.findall(facts.text) and not text.lower().startswith(call.lower()):
        return f"{call} {text}".strip()
    return text
