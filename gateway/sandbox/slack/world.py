"""The workspace: people, apps, channels, and everything anybody can do there."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from gateway.sandbox.slack.errors import ApiError
from gateway.sandbox.slack.models import BOT_SCOPES, App, Channel, Json, Message, User, as_stored
from shared.clock import SYSTEM_CLOCK, Clock

Listener = Callable[[App, Json], None]
"""Told every event of an app, as it stands in an envelope's ``payload.event``."""

TEAM = "T0SANDBOX"


class World:
    """A workspace in memory; nothing of it outlives the process.

    Ids follow from the order in which things are made, so that the same set-up has the same ids every time.

    Args:
        clock: dates messages.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self.clock = clock
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.apps: dict[str, App] = {}
        self.people_tokens: dict[str, User] = {}
        self.revoked: set[str] = set()
        self._listeners: list[Listener] = []
        self._last_ts = 0.0

    # --- making ------------------------------------------------------------------------------------------------------

    def add_user(self, name: str, *, real_name: str = "") -> User:
        """A person, with a token of their own (`token_of`)."""
        user = User(f"U{len(self.users):08d}", name, real_name or name)
        self.users[user.id] = user
        self.people_tokens[f"xoxp-{secrets.token_hex(16)}"] = user
        return user

    def add_app(self, name: str, *, scopes: Iterable[str] = BOT_SCOPES, real_name: str = "") -> App:
        """An installed app with its bot user and both tokens."""
        number = len(self.apps)
        user = User(
            f"U{len(self.users):08d}", name, real_name or name, bot_id=f"B{number:08d}", app_id=f"A{number:08d}"
        )
        self.users[user.id] = user
        app = App(
            user.app_id,
            user,
            bot_token=f"xoxb-{number}-{secrets.token_hex(16)}",
            app_token=f"xapp-1-{user.app_id}-{secrets.token_hex(16)}",
            scopes=tuple(scopes),
        )
        self.apps[app.id] = app
        return app

    def add_channel(self, name: str, *members: User, is_private: bool = False) -> Channel:
        """A channel with members; an app hears and writes only where its user is one."""
        channel = Channel(f"C{len(self.channels):08d}", name, is_private, members={user.id for user in members})
        self.channels[channel.id] = channel
        return channel

    def token_of(self, user: User) -> str:
        """A person's token: with it the Web API acts as that person."""
        return next(token for token, owner in self.people_tokens.items() if owner is user)

    def listen(self, listener: Listener) -> None:
        """Tell somebody about every event."""
        self._listeners.append(listener)

    # --- doing -------------------------------------------------------------------------------------------------------

    def say(
        self,
        user: User,
        channel: Channel,
        text: str,
        *,
        thread: str = "",
        subtype: str = "",
        metadata: Json | None = None,
        files: tuple[Json, ...] = (),
    ) -> Message:
        """Write a message; `thread` is the time stamp of the message to answer.

        Raises:
            ApiError: ``thread_not_found``.
        """
        message = Message(
            self._new_ts(),
            user,
            as_stored(text),
            thread_ts=thread,
            subtype=subtype or ("file_share" if files else ""),
            metadata=metadata,
            files=files,
        )
        if thread:
            self._hang_on(channel, message)
        channel.messages[message.ts] = message
        self._publish_message(channel, message)
        return message

    def _hang_on(self, channel: Channel, message: Message) -> None:
        root = channel.messages.get(message.thread_ts)
        if root is None or root.is_reply:
            raise ApiError("thread_not_found")
        root.thread_ts, root.latest_reply = root.ts, message.ts
        root.reply_count += 1

    def edit(self, channel: Channel, ts: str, text: str) -> Message:
        """Change a message's text.

        Raises:
            ApiError: ``message_not_found``.
        """
        message = self.message(channel, ts)
        before = message.as_json(TEAM)
        message.text, message.edited_ts = as_stored(text), self._new_ts()
        self._publish_change(channel, message, before)
        return message

    def unfurl(self, channel: Channel, ts: str) -> None:
        """Slack itself changes a message, as it does when it adds a preview of a link."""
        message = self.message(channel, ts)
        before = message.as_json(TEAM)
        self._publish_change(channel, message, before)

    def delete(self, channel: Channel, ts: str) -> None:
        """Take a message away; one that was answered leaves a tombstone.

        Raises:
            ApiError: ``message_not_found``.
        """
        message = self.message(channel, ts)
        before = message.as_json(TEAM)
        if message.reply_count:
            left = replace(message, text="This message was deleted.", subtype="tombstone", metadata=None)
            channel.messages[ts] = left
            self._publish_change(channel, left, before)
            return
        del channel.messages[ts]
        event = {
            "type": "message",
            "subtype": "message_deleted",
            "hidden": True,
            "channel": channel.id,
            "deleted_ts": ts,
            "previous_message": before,
        }
        self._publish(channel, event)

    def message(self, channel: Channel, ts: str) -> Message:
        """A message.

        Raises:
            ApiError: ``message_not_found``.
        """
        message = channel.messages.get(ts)
        if message is None or message.subtype == "tombstone":
            raise ApiError("message_not_found")
        return message

    def texts(self, channel: Channel, user: User) -> list[str]:
        """What somebody's messages in a channel say now, in order."""
        return [message.text for message in channel.messages.values() if message.user is user]

    # --- telling -----------------------------------------------------------------------------------------------------

    def _publish_message(self, channel: Channel, message: Message) -> None:
        more: dict[str, Any] = {"channel": channel.id, "event_ts": message.ts}
        if message.is_reply:
            more["parent_user_id"] = channel.messages[message.thread_ts].user.id
        event = message.as_json(TEAM) | more
        self._publish(channel, event)
        for app in self._members(channel):
            if app.user.id in message.mentions and message.user is not app.user and _hears(app, "app_mention"):
                mention = {name: value for name, value in event.items() if name not in ("subtype", "parent_user_id")}
                self._tell(app, mention | {"type": "app_mention"})

    def _publish_change(self, channel: Channel, message: Message, before: Json) -> None:
        event = {
            "type": "message",
            "subtype": "message_changed",
            "hidden": True,
            "channel": channel.id,
            "message": message.as_json(TEAM),
            "previous_message": before,
        }
        self._publish(channel, event)

    def _publish(self, channel: Channel, event: Json) -> None:
        stamp = self._new_ts()
        event = {"ts": stamp, "event_ts": stamp, **event}
        for app in self._members(channel):
            if not channel.is_private and _hears(app, "message.channels"):
                self._tell(app, {**event, "channel_type": "channel"})

    def _members(self, channel: Channel) -> list[App]:
        return [app for app in self.apps.values() if app.user.id in channel.members]

    def _tell(self, app: App, event: Json) -> None:
        for listener in self._listeners:
            listener(app, event)

    def _new_ts(self) -> str:
        self._last_ts = max(self.clock.now().timestamp(), self._last_ts + 0.000_002)
        return f"{self._last_ts:.6f}"


_EVENT_SCOPES = {"message.channels": "channels:history", "app_mention": "app_mentions:read"}


def _hears(app: App, event: str) -> bool:
    return event in app.events and _EVENT_SCOPES[event] in app.scopes
