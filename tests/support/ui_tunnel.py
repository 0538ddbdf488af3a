"""A tunnel in front of a local server: visitors come from this machine, and a header says where they really are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

VISITOR = "203.0.113.7"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


@contextlib.asynccontextmanager
async def tunnel(port: int) -> AsyncIterator[int]:
    """Yields the port on which visitors arrive."""

    async def visitor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            line = await reader.readuntil(b"\r\n")
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
            up_writer.write(line + f"X-Forwarded-For: {VISITOR}\r\n".encode())
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, up_writer))
                group.create_task(_pump(up_reader, writer))

    server = await asyncio.start_server(visitor, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
