"""Input for a worker arrives although connections break: what was not confirmed is sent again, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, unix_serve

from shared.errors import NotFound
from shared.gatewayclient import WorkerEvent, WorkerStream

TAKEN = WorkerEvent(event="taken").model_dump_json()


class Server:
    """A gateway that confirms as many messages as it is told to, and then breaks the connection once."""

    def __init__(self, *confirm: int) -> None:
        self.confirm = list(confirm)
        self.got: list[list[bytes]] = []

    async def __call__(self, socket: ServerConnection) -> None:
        confirm = self.confirm.pop(0) if self.confirm else 1000
        got: list[bytes] = []
        self.got.append(got)
        async for message in socket:
            got.append(bytes(message))
            if len(got) <= confirm:
                await socket.send(TAKEN)
            else:
                await asyncio.sleep(0.01)  # let what was sent behind it arrive, and be lost
                return


@asynccontextmanager
async def serving(folder: Path, handler) -> AsyncIterator[WorkerStream]:
    path = folder / "gw.sock"
    async with unix_serve(handler, str(path)):
        stream = WorkerStream(path, "/v1/workers/w1/stdio", {})
        yield stream
        await stream.close()


async def read(stream: WorkerStream) -> None:
    async for _ in stream:
        pass


async def test_what_was_not_confirmed_is_sent_again_on_the_next_connection_in_order(tmp_path: Path) -> None:
    server = Server(1, 0)
    async with serving(tmp_path, server) as stream:
        reading = asyncio.get_running_loop().create_task(read(stream))
        for data in (b"a\n", b"b\n", b"c\n"):
            await stream.write(data)
        async with asyncio.timeout(10):
            while len(server.got) < 3 or server.got[2] != [b"b\n", b"c\n"]:
                await asyncio.sleep(0.01)
        await stream.write(b"d\n")
        async with asyncio.timeout(10):
            while server.got[2] != [b"b\n", b"c\n", b"d\n"]:
                await asyncio.sleep(0.01)
        reading.cancel()
    assert server.got[0][0] == b"a\n"


async def test_confirmed_input_is_not_sent_again(tmp_path: Path) -> None:
    server = Server(2)
    async with serving(tmp_path, server) as stream:
        reading = asyncio.get_running_loop().create_task(read(stream))
        await stream.write(b"a\n")
        await stream.write(b"b\n")
        await asyncio.sleep(0.05)
        await stream.write(b"c\n")
        async with asyncio.timeout(10):
            while len(server.got) < 2 or server.got[1] != [b"c\n"]:
                await asyncio.sleep(0.01)
        reading.cancel()


async def test_input_whose_sender_was_told_that_it_failed_is_not_sent_later(tmp_path: Path) -> None:
    async def gone(_connection, _request):
        from websockets.datastructures import Headers
        from websockets.http11 import Response

        return Response(404, "Not Found", Headers())

    path = tmp_path / "gw.sock"
    async with unix_serve(Server(), str(path), process_request=gone):
        stream = WorkerStream(path, "/v1/workers/w1/stdio", {})
        with pytest.raises(NotFound):
            await stream.write(b"lost\n")
    server = Server()
    path.unlink(missing_ok=True)
    async with unix_serve(server, str(path)):
        await stream.write(b"next\n")
        async with asyncio.timeout(10):
            while not server.got or not server.got[0]:
                await asyncio.sleep(0.01)
        await stream.close()
    assert server.got == [[b"next\n"]]
