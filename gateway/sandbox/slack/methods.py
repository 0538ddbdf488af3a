"""The methods of the Web API: who may call them, with what, and what they do."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.slack.errors import ApiError
from gateway.sandbox.slack.models import App, Channel, Json, Message, User
from gateway.sandbox.slack.world import TEAM, World

TEXT_LIMIT = 4_000
"""`chat.update` refuses more. `chat.postMessage` would make several messages of it, which here is refused too."""

_DEFAULT_PAGE, _LARGEST_PAGE = 100, 999


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose token a call came with: an app's bot, an app itself (`user` is None then), or a person."""

    app: App | None
    user: User | None
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        arguments: texts as they came; values of a JSON body as they are.
        open_socket: makes an address for Socket Mode.
    """

    world: World
    caller: Caller
    arguments: Mapping[str, Any]
    open_socket: Callable[[App], str]

    @property
    def user(self) -> User:
        """Who calls."""
        if self.caller.user is None:
            raise ApiError("not_allowed_token_type")
        return self.caller.user

    def text(self, name: str) -> str:
        """An argument, empty when it is not given."""
        value = self.arguments.get(name)
        return value if isinstance(value, str) else ""

    def flag(self, name: str) -> bool:
        """A boolean argument."""
        return self.arguments.get(name) in (True, "true", "True", "1", 1)

    def number(self, name: str, default: int) -> int:
        """A number.

        Raises:
            ApiError: ``invalid_arguments``.
        """
        value = self.arguments.get(name, default)
        if not str(value).isdecimal():
            raise ApiError("invalid_arguments")
        return int(value)

    def channel(self, *, member: bool = True) -> Channel:
        """The channel meant.

        Raises:
            ApiError: it does not exist for the caller, or the caller is not in it.
        """
        channel = self.world.channels.get(self.text("channel"))
        is_member = channel is not None and self.user.id in channel.members
        if channel is None or (channel.is_private and not is_member):
            raise ApiError("channel_not_found")
        if member and not is_member:
            raise ApiError("not_in_channel")
        return channel


Work = Callable[[Call], Json]


@dataclass(frozen=True, slots=True)
class Method:
    """One method.

    Attributes:
        scope: what a bot token needs for it; ``history`` stands for the one of the channel's kind.
        required: arguments without which it is refused.
        optional: all others it knows; one it does not know is refused, so that a misspelt one is found.
        token: ``bot`` (or a person's), or ``app``.
    """

    name: str
    work: Work
    scope: str = ""
    required: Sequence[str] = ()
    optional: Sequence[str] = ()
    token: str = "bot"  # noqa: S105 - a kind of token

    def check(self, call: Call) -> None:
        """Refuse what Slack would refuse before looking at the workspace.

        Raises:
            ApiError: wrong kind of token, missing scope, missing or unknown arguments.
        """
        is_app_token = call.caller.user is None
        if is_app_token != (self.token == "app"):  # noqa: S105
            raise ApiError("not_allowed_token_type")
        for scope in self._scopes(call):
            if scope not in call.caller.scopes and (is_app_token or call.caller.app is not None):
                extra = {"needed": scope, "provided": ",".join(call.caller.scopes)}
                raise ApiError("missing_scope", extra=extra)
        known = {*self.required, *self.optional, "token"}
        unknown = sorted(set(call.arguments) - known)
        missing = [name for name in self.required if call.arguments.get(name) in (None, "")]
        if unknown or missing:
            words = [f"[ERROR] unknown argument: {name}" for name in unknown]
            words += [f"[ERROR] missing required field: {name}" for name in missing]
            raise ApiError("invalid_arguments", extra={"response_metadata": {"messages": words}})

    def _scopes(self, call: Call) -> list[str]:
        if self.scope != "history":
            return [self.scope] if self.scope else []
        channel = call.world.channels.get(call.text("channel"))
        return ["groups:history" if channel is not None and channel.is_private else "channels:history"]


def _auth_test(call: Call) -> Json:
    user = call.user
    about: Json = {"url": "https://sandbox.slack.example/", "team": "Sandbox", "user": user.name}
    about |= {"team_id": TEAM, "user_id": user.id, "is_enterprise_install": False}
    return about | ({"bot_id": user.bot_id} if user.bot_id else {})


def _connections_open(call: Call) -> Json:
    app = call.caller.app
    if app is None or not app.socket_mode:
        raise ApiError("forbidden")
    return {"url": call.open_socket(app)}


def _post_message(call: Call) -> Json:
    channel, text = call.channel(), _checked_text(call)
    if channel.is_archived:
        raise ApiError("is_archived")
    message = call.world.say(call.user, channel, text, thread=call.text("thread_ts"), metadata=_metadata(call))
    return {"channel": channel.id, "ts": message.ts, "message": message.as_json(TEAM)}


def _update(call: Call) -> Json:
    channel, text = call.channel(), _checked_text(call)
    message = call.world.message(channel, call.text("ts"))
    if message.user is not call.user:
        raise ApiError("cant_update_message")
    message = call.world.edit(channel, message.ts, text)
    if (metadata := _metadata(call)) is not None:
        message.metadata = metadata
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message.as_json(TEAM)}


def _delete(call: Call) -> Json:
    channel = call.channel()
    message = call.world.message(channel, call.text("ts"))
    if message.user is not call.user:
        raise ApiError("cant_delete_message")
    call.world.delete(channel, message.ts)
    return {"channel": channel.id, "ts": message.ts}


def _checked_text(call: Call) -> str:
    text = call.text("text")
    if not text.strip():
        raise ApiError("no_text")
    if len(text) > TEXT_LIMIT:
        raise ApiError("msg_too_long")
    return text


def _metadata(call: Call) -> Json | None:
    value = call.arguments.get("metadata")
    if value in (None, ""):
        return None
    try:
        value = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        value = None
    sound = value if isinstance(value, dict) else {}
    if not isinstance(sound.get("event_type"), str) or not isinstance(sound.get("event_payload"), dict):
        raise ApiError("invalid_metadata_format")
    return sound


def _history(call: Call) -> Json:
    channel = call.channel()
    shown = [m for m in channel.messages.values() if not m.is_reply or m.subtype == "thread_broadcast"]
    return _page(call, [message for message in reversed(shown) if _within(call, message)])


def _replies(call: Call) -> Json:
    channel, root = call.channel(), call.text("ts")
    if root not in channel.messages:
        raise ApiError("thread_not_found")
    answers = [m for m in channel.messages.values() if m.thread_ts == root and m.ts != root and _within(call, m)]
    return _page(call, [channel.messages[root], *answers])


def _within(call: Call, message: Message) -> bool:
    oldest, latest = call.text("oldest") or "0", call.text("latest") or "9999999999"
    at = float(message.ts)
    if call.flag("inclusive"):
        return float(oldest) <= at <= float(latest)
    return float(oldest) < at < float(latest)


def _page(call: Call, messages: Sequence[Message]) -> Json:
    limit = min(max(1, call.number("limit", _DEFAULT_PAGE)), _LARGEST_PAGE)
    start = 0
    if cursor := call.text("cursor"):
        try:
            start = int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
        except ValueError:
            raise ApiError("invalid_cursor") from None
    has_more = start + limit < len(messages)
    following = base64.b64encode(f"next:{start + limit}".encode()).decode() if has_more else ""
    metadata = call.flag("include_all_metadata")
    return {
        "messages": [message.as_json(TEAM, metadata=metadata) for message in messages[start : start + limit]],
        "has_more": has_more,
        "response_metadata": {"next_cursor": following},
    }


def _channel_info(call: Call) -> Json:
    return {"channel": call.channel(member=False).as_json()}


def _user_info(call: Call) -> Json:
    user = call.world.users.get(call.text("user"))
    if user is None:
        raise ApiError("user_not_found")
    return {"user": user.as_json(TEAM)}


def _react(call: Call) -> Json:
    message = call.world.message(call.channel(), call.text("timestamp"))
    users = message.reactions.setdefault(call.text("name"), [])
    if call.user.id in users:
        raise ApiError("already_reacted")
    users.append(call.user.id)
    return {}


_POST = ("thread_ts", "metadata", "parse", "link_names", "mrkdwn", "unfurl_links", "unfurl_media", "reply_broadcast")
_READ = ("cursor", "inclusive", "latest", "limit", "oldest", "include_all_metadata")

METHODS = {
    method.name: method
    for method in (
        Method("auth.test", _auth_test),
        Method("apps.connections.open", _connections_open, "connections:write", token="app"),  # noqa: S106
        Method("chat.postMessage", _post_message, "chat:write", ("channel",), ("text", *_POST)),
        Method("chat.update", _update, "chat:write", ("channel", "ts"), ("text", "metadata", "parse", "link_names")),
        Method("chat.delete", _delete, "chat:write", ("channel", "ts")),
        Method("conversations.history", _history, "history", ("channel",), _READ),
        Method("conversations.replies", _replies, "history", ("channel", "ts"), _READ),
        Method("conversations.info", _channel_info, "channels:read", ("channel",)),
        Method("users.info", _user_info, "users:read", ("user",)),
        Method("reactions.add", _react, "reactions:write", ("channel", "timestamp", "name")),
    )
}
