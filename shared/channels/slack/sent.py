"""Knowing what was sent: Slack enforces no nonce, so each message carries one as metadata, and is looked for.

Source: `chat.postMessage` takes ``metadata``; `conversations.history` and `conversations.replies` give it back with
``include_all_metadata`` to every app that may read the channel. It is kept when the text is edited.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from shared.channels.base import MessageId

_EVENT = "clawgate_message"
_MOST = 2_000
_DIGEST_CHARS = 32


def metadata_of(nonce: str, text: str) -> dict[str, Any]:
    """What is attached to a message: its nonce, and a digest of its text as it was asked for."""
    return {"event_type": _EVENT, "event_payload": {"nonce": nonce, "text": _digest(text)}}


def has_nonce(entry: Mapping[str, Any], nonce: str) -> bool:
    """Whether an entry of a history is the message made with a nonce."""
    return _payload(entry).get("nonce") == nonce


def has_text(entry: Mapping[str, Any], text: str) -> bool:
    """Whether an entry of a history was made with a text. Slack rewrites texts, so they cannot be compared."""
    return _payload(entry).get("text") == _digest(text)


def _payload(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = entry.get("metadata")
    if not isinstance(metadata, Mapping) or metadata.get("event_type") != _EVENT:
        return {}
    payload = metadata.get("event_payload")
    return payload if isinstance(payload, Mapping) else {}


def _digest(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:_DIGEST_CHARS]


class SentMessages:
    """The nonces of this process: which message each made, and which may have made one."""

    def __init__(self) -> None:
        self._made: dict[str, MessageId] = {}
        self._doubted: dict[str, None] = {}

    def made_by(self, nonce: str) -> MessageId:
        """The message a nonce made, empty when none is known."""
        return self._made.get(nonce, "")

    def is_doubted(self, nonce: str) -> bool:
        """Whether a try with the nonce ended without an answer."""
        return nonce in self._doubted

    def doubt(self, nonce: str) -> None:
        """A try begins: until it is answered nobody knows whether it made the message."""
        self._doubted[nonce] = None
        _keep_newest(self._doubted)

    def clear(self, nonce: str) -> None:
        """The platform refused the try: it made nothing."""
        self._doubted.pop(nonce, None)

    def note(self, nonce: str, message: MessageId) -> MessageId:
        """The nonce made this message."""
        self.clear(nonce)
        self._made[nonce] = message
        _keep_newest(self._made)
        return message


def _keep_newest(entries: dict[str, Any]) -> None:
    while len(entries) > _MOST:
        del entries[next(iter(entries))]
