"""What became of messages, for ``openclaw channels log``: every one ends in an answer or in a recorded reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.channels.inbox import Inbox
from shared.channels.store.inbox import InboxItem
from shared.errors import Invalid
from shared.lifecycle.control import Operation

_MOST: Final = 1000
_WORDS: Final = {
    "new": "waits",
    "claimed": "is being answered",
    "context": "kept as context",
    "done": "answered",
    "ignored": "ignored",
    "dead": "given up",
}


def channel_log_operations(inbox: Inbox) -> Mapping[str, Operation]:
    """The operation of the control socket."""

    async def log(params: dict[str, Any]) -> list[dict[str, Any]]:
        limit, chat = params.get("limit", 50), params.get("chat", "")
        if not isinstance(limit, int) or not 1 <= limit <= _MOST or not isinstance(chat, str):
            raise Invalid(f"limit is a number from 1 to {_MOST}, chat a text", code="channels.log")
        return [as_json(item) for item in await inbox.recent(limit, chat=chat)]

    return {"channels.log": log}


def as_json(item: InboxItem) -> dict[str, Any]:
    """A message's fate; not its text, which is nobody's business here."""
    message = item.message
    return {
        "at": item.received_at.isoformat(timespec="milliseconds"),
        "chat": message.chat,
        "chatName": message.chat_name,
        "kind": message.chat_kind,
        "guild": message.guild or None,
        "message": message.id,
        "sender": message.sender.id,
        "senderName": message.sender.name,
        "addressed": message.addressed,
        "state": item.state,
        "fate": _WORDS.get(item.state, item.state),
        "reason": item.reason,
        "runId": item.run_id or None,
        "attempts": item.attempts,
    }
