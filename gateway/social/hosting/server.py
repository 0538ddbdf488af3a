"""The files' own listener: one route, no login, and nothing to learn from a wrong address."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gateway.social.hosting.links import read_link
from gateway.social.hosting.models import TYPES
from gateway.social.hosting.service import MediaHost
from shared.obs.log import get_logger

_log = get_logger(__name__)

_CHUNK = 256 << 10
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
_ROBOTS = b"User-agent: *\nAllow: /m/\nDisallow: /\n"
_ALWAYS = (
    (b"cache-control", b"private, no-store"),
    (b"x-robots-tag", b"noindex"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-disposition", b"inline"),
)


def media_app(host: MediaHost) -> Any:  # noqa: ANN401 - an ASGI application
    """``GET`` and ``HEAD`` of the addresses that `MediaHost` hands out, with ranges."""

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401, ARG001 - ASGI
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if path == "/robots.txt":
            await _whole(send, 200, _ROBOTS, method)
            return
        link = read_link(path) if method in {"GET", "HEAD"} and not scope["query_string"] else None
        media = await host.admit(link) if link is not None else None
        if media is None:
            await _whole(send, 404, b"", method)
            return
        wanted = dict(scope["headers"]).get(b"range", b"").decode("latin-1")
        part = _part(wanted, media.size)
        # The signature is not logged: whoever reads a log must not be able to fetch.
        _log.info("social.media_fetched", media=media.media_id, method=method, range=wanted[:40])
        if part is None:
            await _start(send, 416, [(b"content-range", f"bytes */{media.size}".encode()), (b"content-length", b"0")])
            await send({"type": "http.response.body", "body": b""})
            return
        first, last = part
        headers = [
            (b"content-type", TYPES[media.extension].encode()),
            (b"content-length", str(last - first + 1).encode()),
            (b"accept-ranges", b"bytes"),
            (b"etag", f'"{media.sha256[:32]}"'.encode()),
        ]
        if wanted:
            headers.append((b"content-range", f"bytes {first}-{last}/{media.size}".encode()))
        await _start(send, 206 if wanted else 200, headers)
        if method == "GET":
            async for piece in _read(host.file(media), first, last):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def _part(wanted: str, size: int) -> tuple[int, int] | None:
    """First and last byte of what is asked for; None when there is no such part."""
    if not wanted:
        return 0, size - 1
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        first, last = max(0, size - int(found[2])), size - 1
    else:
        first, last = int(found[1]), min(size - 1, int(found[2]) if found[2] else size - 1)
    return (first, last) if first <= last else None


async def _read(path: Path, first: int, last: int) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, first)
        left = last - first + 1
        while left and (piece := await asyncio.to_thread(file.read, min(_CHUNK, left))):
            left -= len(piece)
            yield piece
    finally:
        await asyncio.to_thread(file.close)


async def _start(send: Any, status: int, headers: list[tuple[bytes, bytes]]) -> None:  # noqa: ANN401 - ASGI
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_ALWAYS]})


async def _whole(send: Any, status: int, body: bytes, method: str) -> None:  # noqa: ANN401 - ASGI
    await _start(send, status, [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())])
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else body})
