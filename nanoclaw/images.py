"""What a picture file is, told from its bytes: its type and size, and whether it is whole.

A picture that the model's API cannot read fails not only its own prompt but every later one of the conversation, which
holds it for ever. So nothing is shown that is not known to be sound.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

MAX_BYTES = 5 * 1024 * 1024 * 3 // 4
"""Largest picture shown. Source: the Messages API takes 5 MiB a picture, counted in base64."""
MAX_PIXELS_A_SIDE = 2000
"""Longest side shown. Source: the Messages API takes 8000 pixels, but only 2000 once a conversation has over 20."""

_PNG = b"\x89PNG\r\n\x1a\n"
_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset(range(0xD0, 0xD9)) | {0x01}


@dataclass(frozen=True, slots=True)
class Picture:
    """A sound picture; `media_type` is what its bytes say, whatever it was called."""

    media_type: str
    width: int
    height: int

    @property
    def is_showable(self) -> bool:
        """Whether the model's API takes it at this size."""
        return 0 < max(self.width, self.height) <= MAX_PIXELS_A_SIDE and min(self.width, self.height) > 0


def read_picture(data: bytes) -> Picture | None:
    """The picture that a file holds; None when it holds none of the four kinds, or not all of it."""
    for beginning, media_type, size_of in _KINDS:
        if data.startswith(beginning):
            try:
                size = size_of(data)
            except (IndexError, struct.error):
                return None
            return Picture(media_type, *size) if size else None
    return None


def _png(data: bytes) -> tuple[int, int] | None:
    place, size, has_data = len(_PNG), None, False
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[place + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            return None
        if kind == b"IHDR":
            size = struct.unpack_from(">II", data, place + 8)
        has_data |= kind == b"IDAT"
        if kind == b"IEND":
            return size if has_data else None
        place = end + 4
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    place, size = 2, None
    while data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF or marker in _BARE_MARKERS:
            place += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        if marker in _SIZE_MARKERS:
            height, width = struct.unpack_from(">HH", data, place + 5)
            size = (width, height)
        place += 2 + length
        if marker == 0xDA:  # the picture itself: the rest up to the end mark
            return size if data.rfind(b"\xff\xd9", place) != -1 else None
    return None


def _gif(data: bytes) -> tuple[int, int] | None:
    width, height = struct.unpack_from("<HH", data, 6)
    return (width, height) if data.rstrip(b"\0").endswith(b"\x3b") else None


def _webp(data: bytes) -> tuple[int, int] | None:
    (length,) = struct.unpack_from("<I", data, 4)
    if data[8:12] != b"WEBP" or length + 8 > len(data):
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


_KINDS: tuple[tuple[bytes, str, Callable[[bytes], tuple[int, int] | None]], ...] = (
    (_PNG, "image/png", _png),
    (b"\xff\xd8", "image/jpeg", _jpeg),
    (b"GIF87a", "image/gif", _gif),
    (b"GIF89a", "image/gif", _gif),
    (b"RIFF", "image/webp", _webp),
)
