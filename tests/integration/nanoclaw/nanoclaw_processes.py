"""Starting the tenant as a process, with a stand-in for the gateway's socket."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

COMMAND = [sys.executable, "-c", "from nanoclaw.cli import main; main()"]
KEY = "a-tenant-key"


@asynccontextmanager
async def a_gateway_socket(paths, **startup):
    """Answers `startup` and an empty list of workers on the tenant's socket, to whoever has the key.

    Gives the list of what it was asked.
    """
    asked: list[str] = []

    async def serve(reader, writer):
        while head := await reader.readuntil(b"\r\n\r\n"):
            target = head.split()[1].decode()
            asked.append(target)
            body: object = []
            status = "200 OK"
            if f"Bearer {KEY}".encode() not in head:
                status = "401 Unauthorized"
                body = {"error": {"code": "auth.required", "detail": "the tenant key is not ours", "retryable": False}}
            elif target == "/v1/startup":
                body = {"tenant": "nanoclaw", "kind": "nanoclaw", **startup}
            data = json.dumps(body).encode()
            writer.write(f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n".encode())
            writer.write(f"content-length: {len(data)}\r\n\r\n".encode() + data)

    async def guarded(reader, writer):
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    socket = paths.tenant_socket("nanoclaw")
    socket.parent.mkdir(parents=True)
    server = await asyncio.start_unix_server(guarded, socket)
    try:
        yield asked
    finally:
        server.close()


async def start(paths, *arguments: str, key: str = KEY) -> asyncio.subprocess.Process:
    reading, writing = os.pipe()
    os.write(writing, key.encode())
    os.close(writing)
    environment = {
        "PATH": os.environ["PATH"],
        "CLAWGATE_STATE": str(paths.state),
        "CLAWGATE_RUNTIME": str(paths.runtime),
    }
    if key:
        environment["CLAWGATE_TENANT_KEY_FD"] = str(reading)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env=environment, pass_fds=(reading,), stdout=pipe, stderr=pipe
    )
    os.close(reading)
    return process


async def finish(process) -> tuple[int, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out.decode(), err.decode()


async def until(path: Path) -> None:
    async with asyncio.timeout(30):
        while not path.exists():
            await asyncio.sleep(0.02)
