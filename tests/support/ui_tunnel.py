"""A Cloudflare tunnel before a local server: visitors come from this machine, headers say where they really are.

As at the edge, its own headers replace what a visitor forged, but for ``X-Forwarded-For``, to which it appends
(edge notes §1.2).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

VISITOR = "203.0.113.7"


def edge_headers(visitor: str = VISITOR) -> dict[str, str]:
    """What the edge adds."""
    return {
        "X-Forwarded-For": visitor,
        "X-Forwarded-Proto": "https",
        "CF-Connecting-IP": visitor,
        "CF-Visitor": '{"scheme":"https"}',
        "CF-Ray": "8a1b2c3d4e5f6071-ICN",
        "CF-IPCountry": "KR",
        "CDN-Loop": "cloudflare; loops=1",
    }


def through_edge(head: bytes, added: Mapping[str, str]) -> bytes:
    """A request's head as the origin sees it."""
    line, *rows = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    mine = {name.lower(): (name, value) for name, value in added.items()}
    kept = []
    for row in rows:
        name, _, value = row.partition(":")
        if name.lower() == "x-forwarded-for" and "x-forwarded-for" in mine:
            spelled, visitor = mine["x-forwarded-for"]
            mine["x-forwarded-for"] = (spelled, f"{value.strip()}, {visitor}")
        elif name.lower() not in mine:
            kept.append(row)
    kept += [f"{name}: {value}" for name, value in mine.values()]
    return ("\r\n".join([line, *kept]) + "\r\n\r\n").encode("latin-1")


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


@contextlib.asynccontextmanager
async def tunnel(port: int, more: Mapping[str, str] | None = None) -> AsyncIterator[int]:
    """Yields the port on which visitors arrive.

    Args:
        port: of the server behind.
        more: further headers of the edge's, such as an Access assertion.
    """
    added = {**edge_headers(), **(more or {})}

    async def visitor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
            up_writer.write(through_edge(head, added))
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, up_writer))
                group.create_task(_pump(up_reader, writer))

    server = await asyncio.start_server(visitor, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
