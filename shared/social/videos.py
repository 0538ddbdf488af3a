"""Kind, size and length of a video, read from its boxes; a file's name and a server's content type are not believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal

VideoFormat = Literal["mp4", "mov", "unknown"]

_HEAD = 8
_LONG_HEAD = 16
_MOOV_LIMIT = 64 << 20
_MOST_BOXES = 10_000
_TKHD_SIZE_FROM_END = 8
_QUICKTIME = b"qt  "


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """What a video is.

    Attributes:
        width: in pixels; 0 when nothing says.
        height: in pixels; 0 when nothing says.
        duration_s: 0 when nothing says.
        size: of the whole file in bytes.
    """

    format: VideoFormat
    width: int
    height: int
    duration_s: float
    size: int


def is_video(head: bytes) -> bool:
    """Whether a file's first bytes are those of a video that the networks take."""
    return head[4:8] == b"ftyp"


def read_video(file: IO[bytes], size: int) -> VideoFacts:
    """Look at a video's boxes.

    Args:
        file: can seek.
        size: of the whole file in bytes.
    """
    brand, width, height, duration = b"", 0, 0, 0.0
    for kind, start, end in _boxes(file, size):
        if kind == b"ftyp":
            file.seek(start)
            brand = file.read(4)
        if kind == b"moov" and end - start <= _MOOV_LIMIT:
            file.seek(start)
            moov = file.read(end - start)
            duration = _duration(moov)
            width, height = _frame(moov)
    known: VideoFormat = "unknown" if not brand else "mov" if brand == _QUICKTIME else "mp4"
    return VideoFacts(known, width, height, duration, size)


def _boxes(file: IO[bytes], size: int) -> Iterator[tuple[bytes, int, int]]:
    at = 0
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(_LONG_HEAD)
        if len(head) < _HEAD:
            return
        length, start = int.from_bytes(head[:4], "big"), at + _HEAD
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), at + _LONG_HEAD
        end = size if length == 0 else at + length
        if end < start or end > size:
            return
        yield head[4:8], start, end
        at = end


def _inside(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + _HEAD <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if length < _HEAD or at + length > len(data):
            return
        yield data[at + 4 : at + 8], data[at + _HEAD : at + length]
        at += length


def _duration(moov: bytes) -> float:
    header = next((body for kind, body in _inside(moov) if kind == b"mvhd"), b"")
    if len(header) < 20:
        return 0.0
    if header[0] == 1:
        scale, length = int.from_bytes(header[20:24], "big"), int.from_bytes(header[24:32], "big")
    else:
        scale, length = int.from_bytes(header[12:16], "big"), int.from_bytes(header[16:20], "big")
    return length / scale if scale else 0.0


def _frame(moov: bytes) -> tuple[int, int]:
    """The largest track's size; sound has none."""
    found = (0, 0)
    for kind, track in _inside(moov):
        header = next((body for name, body in _inside(track) if name == b"tkhd"), b"") if kind == b"trak" else b""
        if len(header) >= 2 * _TKHD_SIZE_FROM_END:
            # 16.16 fixed point numbers at the end.
            size = int.from_bytes(header[-8:-6], "big"), int.from_bytes(header[-4:-2], "big")
            found = max(found, size)
    return found
