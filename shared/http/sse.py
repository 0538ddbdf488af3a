"""Server-sent events, parsed from bytes as they arrive. Source: the WHATWG HTML standard, section 9.2."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from shared.errors import UpstreamError

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event.

    Attributes:
        event: its name; ``message`` when the sender gave none.
        data: its lines joined by newlines.
    """

    event: str
    data: str


class SseParser:
    """Feed bytes in any pieces, get whole events.

    Args:
        max_line_bytes: longest line.
        max_event_bytes: most data of one event.
    """

    def __init__(self, *, max_line_bytes: int = 8 << 20, max_event_bytes: int = 16 << 20) -> None:
        self._max_line_bytes = max_line_bytes
        self._max_event_bytes = max_event_bytes
        self._partial = bytearray()
        self._at_start = True
        self._skip_newline = False
        self._name = ""
        self._data: list[str] = []
        self._data_bytes = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Take the next bytes.

        Raises:
            UpstreamError: a line or an event is larger than allowed.
        """
        if self._skip_newline and chunk:
            # The last piece ended in CR: a LF now belongs to it.
            self._skip_newline = False
            if chunk[:1] == b"\n":
                chunk = chunk[1:]
        if chunk[-1:] == b"\r":
            self._skip_newline = True
        # Splitting only what is new keeps the work linear when one line comes in many pieces.
        lines = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        events: list[SseEvent] = []
        for line in lines[:-1]:
            self._extend(line)
            whole = bytes(self._partial)
            self._partial.clear()
            if event := self._line(whole):
                events.append(event)
        self._extend(lines[-1])
        return events

    def _extend(self, piece: bytes) -> None:
        if len(self._partial) + len(piece) > self._max_line_bytes:
            raise UpstreamError(f"an event stream's line is longer than {self._max_line_bytes} bytes", code="sse.line")
        self._partial += piece

    def _line(self, line: bytes) -> SseEvent | None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data_bytes += len(value) + 1
            if self._data_bytes > self._max_event_bytes:
                raise UpstreamError(f"an event is larger than {self._max_event_bytes} bytes", code="sse.event")
            self._data.append(value.decode("utf-8", "replace"))
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> SseEvent | None:
        name, data = self._name, self._data
        self._name, self._data, self._data_bytes = "", [], 0
        return SseEvent(name or "message", "\n".join(data)) if data else None


async def iter_sse(chunks: AsyncIterable[bytes], *, max_line_bytes: int = 8 << 20) -> AsyncIterator[SseEvent]:
    """The events of a body; an event without its closing blank line is dropped, as the standard says.

    Raises:
        UpstreamError: a line or an event is larger than allowed.
    """
    parser = SseParser(max_line_bytes=max_line_bytes)
    async for chunk in chunks:
        for event in parser.feed(chunk):
            yield event


def encode_sse(data: str, *, event: str = "") -> bytes:
    """One event as bytes."""
    head = f"event: {event}\n" if event else ""
    return (head + "".join(f"data: {line}\n" for line in data.split("\n")) + "\n").encode()
