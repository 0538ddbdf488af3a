"""Kind and size of a picture, read from its first bytes; a file's name and a server's content type are not believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ImageFormat = Literal["jpeg", "png", "gif", "webp", "mpo", "unknown"]

_SOF = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
_WITHOUT_LENGTH = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
_APP2, _SOS = 0xE2, 0xDA
_IHDR_END = 24


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What a picture is.

    Attributes:
        width: in pixels; 0 when the header does not say.
        height: in pixels; 0 when the header does not say.
        size: of the whole file in bytes.
    """

    format: ImageFormat
    width: int
    height: int
    size: int


def read_image(data: bytes, *, size: int | None = None) -> ImageFacts:
    """Look at a picture's header.

    Args:
        data: the file, or its beginning.
        size: of the whole file in bytes; the length of `data` when None.
    """
    total = len(data) if size is None else size
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= _IHDR_END and data[12:16] == b"IHDR":
        return ImageFacts("png", int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"), total)
    if data.startswith(b"\xff\xd8"):
        return _read_jpeg(data, total)
    if data[:6] in {b"GIF87a", b"GIF89a"} and len(data) >= 10:
        return ImageFacts("gif", int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little"), total)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ImageFacts("webp", 0, 0, total)
    return ImageFacts("unknown", 0, 0, total)


def _read_jpeg(data: bytes, total: int) -> ImageFacts:
    """Walk the segments up to the frame header; one that says MPF holds several pictures."""
    at, kind = 2, "jpeg"
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        if marker == _SOS:
            break
        if marker == _APP2 and data[at + 4 : at + 8] == b"MPF\0":
            kind = "mpo"
        if marker in _SOF:
            height, width = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 7 : at + 9], "big")
            return ImageFacts("mpo" if kind == "mpo" else "jpeg", width, height, total)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return ImageFacts("unknown", 0, 0, total)
