"""What a workspace consists of, and how Slack writes it as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

BOT_SCOPES = ("app_mentions:read", "channels:history", "chat:write", "users:read")
"""What an app gets here unless told otherwise: the scopes of the operator's policy."""

EVENTS = ("message.channels", "app_mention")

_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^<>]*)?>")
_URL = re.compile(r"(?<![<|])\bhttps?://[^\s<>|]+")
_SHORT_NAMES = {"👍": ":+1:", "✅": ":white_check_mark:", "🎉": ":tada:"}


def as_stored(text: str) -> str:
    """A text as Slack keeps it: some emoji by name, web addresses marked as links."""
    for emoji, name in _SHORT_NAMES.items():
        text = text.replace(emoji, name)
    return _URL.sub(lambda match: f"<{match[0]}>", text)


@dataclass(slots=True)
class User:
    """An account; `bot_id` is set for an app's."""

    id: str
    name: str
    real_name: str
    bot_id: str = ""
    app_id: str = ""

    def as_json(self, team: str) -> Json:
        """As `users.info` shows it."""
        profile = {"display_name": "" if self.bot_id else self.real_name, "real_name": self.real_name}
        if self.bot_id:
            profile |= {"bot_id": self.bot_id, "api_app_id": self.app_id}
        return {
            "id": self.id,
            "team_id": team,
            "name": self.name,
            "deleted": False,
            "real_name": self.real_name,
            "profile": profile,
            "is_bot": bool(self.bot_id),
        }


@dataclass(slots=True)
class App:
    """An app installed in the workspace.

    Attributes:
        scopes: of its bot token.
        app_scopes: of its app-level token.
        events: what it subscribed to.
    """

    id: str
    user: User
    bot_token: str
    app_token: str
    scopes: tuple[str, ...] = BOT_SCOPES
    app_scopes: tuple[str, ...] = ("connections:write",)
    events: tuple[str, ...] = EVENTS
    socket_mode: bool = True


@dataclass(slots=True)
class Message:
    """One message.

    Attributes:
        thread_ts: the message it answers, or its own `ts` once it was answered; empty otherwise.
        latest_reply: time stamp of the newest answer.
    """

    ts: str
    user: User
    text: str
    thread_ts: str = ""
    subtype: str = ""
    edited_ts: str = ""
    metadata: Json | None = None
    files: tuple[Json, ...] = ()
    reply_count: int = 0
    latest_reply: str = ""
    reactions: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_reply(self) -> bool:
        """It stands in a thread."""
        return bool(self.thread_ts) and self.thread_ts != self.ts

    @property
    def mentions(self) -> set[str]:
        """Ids of the accounts it mentions."""
        return set(_MENTION.findall(self.text))

    def as_json(self, team: str, *, metadata: bool = False) -> Json:
        """As histories and events show it."""
        value: Json = {"type": "message", "user": self.user.id, "ts": self.ts, "text": self.text, "team": team}
        if self.user.bot_id:
            value |= {"bot_id": self.user.bot_id, "app_id": self.user.app_id}
        for name, content in (("subtype", self.subtype), ("thread_ts", self.thread_ts)):
            if content:
                value[name] = content
        if self.edited_ts:
            value["edited"] = {"user": self.user.id, "ts": self.edited_ts}
        if self.files:
            value["files"] = list(self.files)
        if self.reply_count:
            value |= {"reply_count": self.reply_count, "latest_reply": self.latest_reply}
        if self.reactions:
            value["reactions"] = [
                {"name": name, "users": users, "count": len(users)} for name, users in self.reactions.items()
            ]
        if metadata and self.metadata is not None:
            value["metadata"] = self.metadata
        return value


@dataclass(slots=True)
class Channel:
    """A channel and what was written there, by time stamp."""

    id: str
    name: str
    is_private: bool = False
    is_archived: bool = False
    members: set[str] = field(default_factory=set)
    messages: dict[str, Message] = field(default_factory=dict)

    def as_json(self) -> Json:
        """As `conversations.info` shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "is_channel": not self.is_private,
            "is_private": self.is_private,
            "is_archived": self.is_archived,
        }
