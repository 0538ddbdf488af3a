"""Looks at an answer while it passes: where events end, and what they say about usage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gateway.modelproxy.dialects import Dialect
from shared.json_values import count, mapping, object_of

_MAX_HELD_BYTES = 1 << 20


class WholeEvents:
    """Lets whole events through and holds back a begun one, so that a cut stream never ends inside an event."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What may be passed on now; an event of absurd size is passed in pieces rather than kept."""
        data = self._held + chunk if self._held else chunk
        end = max(_end(data, b"\n\n"), _end(data, b"\r\n\r\n"))
        if end == 0 and len(data) > _MAX_HELD_BYTES:
            end = len(data)
        self._held = data[end:]
        return data[:end]

    def rest(self) -> bytes:
        """What was held back when the stream ended well."""
        rest, self._held = self._held, b""
        return rest


def _end(data: bytes, mark: bytes) -> int:
    found = data.rfind(mark)
    return found + len(mark) if found >= 0 else 0


_END_MARKS: Mapping[Dialect, tuple[bytes, ...]] = {
    "anthropic": (b"message_stop", b"event: error"),
    # Not all who speak it say [DONE]; all give a reason for the end, or an error in its place.
    "openai": (b"data: [DONE]", b'"finish_reason":"', b'"finish_reason": "', b'data: {"error"'),
    "responses": (b"response.completed", b"response.incomplete", b"response.failed", b"response.done", b"event: error"),
}


class EndMark:
    """Whether a stream has told its end. One that stops without is cut, however orderly its connection closed.

    Args:
        dialect: of the stream.

    Attributes:
        seen: it has.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._marks = _END_MARKS[dialect]
        self.seen = False

    def feed(self, block: bytes) -> None:
        """Look at whole events."""
        if not self.seen:
            self.seen = any(mark in block for mark in self._marks)


_STRING = rb'": ?"((?:[^"\\]++|\\.)*+)"'
_SAID: Mapping[Dialect, re.Pattern[bytes]] = {
    "anthropic": re.compile(rb'"(?:text|partial_json|thinking)' + _STRING),
    "openai": re.compile(rb'"(?:content|arguments|reasoning_content|reasoning_text)' + _STRING),
    # Its later events say the same words again, as a whole.
    "responses": re.compile(rb'"delta' + _STRING),
}


def said_bytes(block: bytes, dialect: Dialect) -> int:
    """How many bytes of whole events are the model's own words: text, thoughts, arguments of tools."""
    return sum(len(words) for words in _SAID[dialect].findall(block))


class UsageMeter:
    """Reads token counts from whole events or a whole JSON answer, in any of the three formats.

    Attributes:
        input_tokens: cached ones included.
        is_final: the provider has said what the whole answer came to, and not only how it began.
    """

    def __init__(self) -> None:
        self.input_tokens = 0
        self.output_tokens = 0
        self.cached_tokens = 0
        self.is_final = False

    def feed_events(self, block: bytes) -> None:
        """Look at whole events; those without the word are not parsed."""
        if b'"usage"' not in block:
            return
        for line in block.splitlines():
            if line.startswith(b"data:") and b'"usage"' in line:
                self.feed_json(line[5:])

    def feed_json(self, raw: bytes) -> Mapping[str, Any]:
        """Look at one JSON object, and give it back parsed; an empty one when it is none."""
        body = object_of(raw) or {}
        for holder in (body, body.get("message"), body.get("response")):
            if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
                self._take(holder["usage"])
                self.is_final = self.is_final or holder is not body.get("message")
        return body

    def _take(self, usage: Mapping[str, Any]) -> None:
        if "prompt_tokens" in usage:
            self.input_tokens = count(usage.get("prompt_tokens"))
            self.output_tokens = count(usage.get("completion_tokens"))
            self.cached_tokens = count(mapping(usage.get("prompt_tokens_details")).get("cached_tokens"))
            return
        if "input_tokens_details" in usage or "total_tokens" in usage:
            self.input_tokens = count(usage.get("input_tokens"))
            self.output_tokens = count(usage.get("output_tokens"))
            self.cached_tokens = count(mapping(usage.get("input_tokens_details")).get("cached_tokens"))
            return
        # Anthropic counts cached input apart, says the input first and the output at the end.
        if "input_tokens" in usage:
            self.cached_tokens = count(usage.get("cache_read_input_tokens"))
            created = count(usage.get("cache_creation_input_tokens"))
            self.input_tokens = count(usage.get("input_tokens")) + self.cached_tokens + created
        self.output_tokens = max(self.output_tokens, count(usage.get("output_tokens")))
