"""Strangers at the door of port 18789, many at once, each misbehaving in a way of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

CLIENT = {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"}


def _hello(token: str, **more: object) -> str:
    params = {"minProtocol": 3, "maxProtocol": 3, "client": CLIENT, "auth": {"token": token}, **more}
    return json.dumps({"type": "req", "id": "1", "method": "connect", "params": params})


FRAMES = (
    "not json",
    "[" * 20_000,
    '{"type":"req"}',
    " " * 70_000,
    json.dumps({"type": "req", "id": "1", "method": "health"}),
    _hello("guess"),
    _hello("guess", scopes=["operator.admin"] * 500),
    _hello("\ud800"),
    _hello("guess", minProtocol=4, maxProtocol=9),
    _hello("guess", device={"id": "x", "publicKey": "x", "signature": "x", "signedAt": 0, "nonce": "x"}),
)
"""First frames, none of which lets anybody in."""


async def crowd(url: str, total: int, at_once: int, *, headers: dict[str, str] | None = None) -> Counter[str]:
    """Let `total` strangers come, at most `at_once` at a time; says how they were sent away."""
    ends: Counter[str] = Counter()
    room = asyncio.Semaphore(at_once)

    async def stranger(number: int) -> None:
        async with room:
            ends[await _one(url, number, headers or {})] += 1

    async with asyncio.TaskGroup() as group:
        for number in range(total):
            group.create_task(stranger(number))
    return ends


async def _one(url: str, number: int, headers: dict[str, str]) -> str:
    options = {"compression": None, "proxy": None, "ping_interval": None, "open_timeout": 30, "close_timeout": 5}
    try:
        socket = await connect(url, additional_headers=headers, **options)  # type: ignore[arg-type] # its many options
    except (InvalidHandshake, OSError):
        return "turned away"
    try:
        if number % (len(FRAMES) + 2) == len(FRAMES):
            socket.transport.abort()  # gone without a word
            return "left"
        if number % (len(FRAMES) + 2) == len(FRAMES) + 1:
            return "left"
        with contextlib.suppress(ConnectionClosed):
            await socket.send(FRAMES[number % (len(FRAMES) + 2)])
        return await _ended(socket)
    finally:
        await socket.close()


async def _ended(socket: ClientConnection) -> str:
    try:
        async with asyncio.timeout(30):
            while True:
                answer = json.loads(await socket.recv())
                if answer.get("ok"):
                    return "let in"
    except ConnectionClosed as closed:
        return str(closed.rcvd.code) if closed.rcvd else "cut"
    except TimeoutError:
        return "stuck"
