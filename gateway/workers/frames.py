"""Bytes into frames and lines: pure, so that any chopping of the input gives the same result."""

from __future__ import annotations

from shared.errors import UpstreamError
from shared.gatewayclient.stream import MAX_LINE_BYTES

STDOUT = 1
STDERR = 2
_HEADER = 8
_FRAME_LIMIT = 16 * 1024 * 1024  # the engine itself was seen to send at most 32 KiB


class FrameDecoder:
    """Splits the engine's attach stream: 1 byte stream number, 3 zero bytes, 4 bytes big-endian length, payload."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Complete frames that `data` finishes, as (stream number, payload).

        Raises:
            UpstreamError: what came is not such a stream.
        """
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _HEADER:
            head = self._buffer[start : start + _HEADER]
            length = int.from_bytes(head[4:], "big")
            if head[0] > STDERR or head[1:4] != b"\0\0\0" or length > _FRAME_LIMIT:
                raise UpstreamError("the engine's output stream is not framed as expected", code="engine.protocol")
            end = start + _HEADER + length
            if len(self._buffer) < end:
                break
            frames.append((head[0], bytes(self._buffer[start + _HEADER : end])))
            start = end
        del self._buffer[:start]
        return frames


def clip(line: bytes) -> bytes:
    """A line as it is passed on: empty when no reader could take it, so that its number is kept."""
    return line if len(line) <= MAX_LINE_BYTES else b""


class LineSplitter:
    """Collects bytes into lines without their newline; of a line that is too long (`clip`) nothing is kept.

    Attributes:
        dropped: how many lines were too long.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.dropped = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Lines that `data` completes."""
        first, *rest = data.split(b"\n")
        self._add(first)
        if not rest:
            return []
        *middle, last = rest
        lines = [self._end(), *map(clip, middle)]
        self._add(last)
        return lines

    def flush(self) -> bytes:
        """What came after the last newline; the splitter is empty afterwards."""
        return self._end()

    def _add(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MAX_LINE_BYTES:
            self._parts.clear()
        else:
            self._parts.append(part)

    def _end(self) -> bytes:
        line = b"".join(self._parts)
        self.dropped += self._size > MAX_LINE_BYTES
        self._parts, self._size = [], 0
        return line
