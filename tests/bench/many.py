"""NanoClaw with many groups and many messages: side by side, and in order."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from gateway.sandbox.run import Sandbox
from shared.lifecycle.control import call
from tests.bench.floors import engine_host
from tests.bench.talk import workers

_CONTAINER_LIMIT_S = 300.0


class Rooms:
    """Channels of the emulated server, and the owner who writes in them."""

    def __init__(self, sandbox: Sandbox, count: int, *, name: str) -> None:
        assert sandbox.discord is not None
        self._sandbox = sandbox
        self._world, cast = sandbox.discord.emulator.world, sandbox.discord.cast
        guild = self._world.state.guilds[int(cast.guild_id)]
        self._bot = int(cast.bots["nanoclaw"])
        owner = self._world.find_user("owner")
        assert owner is not None
        self._owner = owner
        self.ids = [self._world.add_channel(guild, f"{name}-{number}").id for number in range(count)]

    async def say(self, channel: int, text: str, *, calls: bool = True) -> None:
        """Write in a channel, calling the bot or not."""
        await self._world.say(self._owner, channel, f"<@{self._bot}> {text}" if calls else text)


async def tenant_status(sandbox: Sandbox) -> dict[str, Any]:
    """How NanoClaw is doing."""
    status: dict[str, Any] = await asyncio.to_thread(
        call, sandbox.paths.control_socket("nanoclaw"), "status", timeout_s=60.0
    )
    return status


async def until_answered(sandbox: Sandbox, messages: int) -> None:
    """Wait until so many messages in all are settled, and nothing waits any more."""
    async with asyncio.timeout(_CONTAINER_LIMIT_S):
        while True:
            inbox = (await tenant_status(sandbox))["inbox"]
            if inbox.get("done", 0) >= messages and not inbox.get("new") and not inbox.get("claimed"):
                return
            await asyncio.sleep(0.1)


async def side_by_side_ms(sandbox: Sandbox, rooms: Rooms, *, rounds: int) -> tuple[list[float], list[float]]:
    """All rooms ask at once: times to each room's first model request, in the first round and in the later ones."""
    first: list[float] = []
    later: list[float] = []
    settled = (await tenant_status(sandbox))["inbox"].get("done", 0)
    for number in range(rounds):
        before, start = len(sandbox.models.requests), time.monotonic()
        for room in rooms.ids:
            await rooms.say(room, f"together {number} {time.monotonic_ns()}")
        settled += len(rooms.ids)
        await until_answered(sandbox, settled)
        asked = [request.at_monotonic for request in sandbox.models.requests[before:]]
        (later if number else first).extend((at - start) * 1000 for at in sorted(asked)[: len(rooms.ids)])
        await asyncio.sleep(1.1)  # under the channels' rate limits
    return first, later


async def drained_s(sandbox: Sandbox, rooms: Rooms, *, each: int) -> tuple[float, bool]:
    """Seconds until `each` messages of every room, written at once, are answered; and whether in order."""
    settled = (await tenant_status(sandbox))["inbox"].get("done", 0)
    before, start = len(sandbox.models.requests), time.monotonic()
    for number in range(each):
        for index, room in enumerate(rooms.ids):
            await rooms.say(room, f"drain room{index:02} message{number:02}")
    await until_answered(sandbox, settled + each * len(rooms.ids))
    took = time.monotonic() - start
    asked = [json.dumps(request.body, ensure_ascii=False) for request in sandbox.models.requests[before:]]
    return took, all(_is_in_order(asked, index, each) for index in range(len(rooms.ids)))


def _is_in_order(asked: Sequence[str], room: int, each: int) -> bool:
    """Whether a room's messages reached the model for the first time one after the other."""
    first_seen = []
    for number in range(each):
        text = f"drain room{room:02} message{number:02}"
        place = next(((i, body.index(text)) for i, body in enumerate(asked) if text in body), None)
        if place is None:
            return False
        first_seen.append(place)
    return first_seen == sorted(first_seen)


async def worker_memory_mb(sandbox: Sandbox) -> list[float]:
    """Memory of each running worker of this sandbox as the engine accounts for it; one that just ended is left out."""
    return await asyncio.to_thread(
        _memory_mb, engine_host(sandbox), [one["container"] for one in await workers(sandbox)]
    )


def _memory_mb(host: str, names: Sequence[str]) -> list[float]:
    found = []
    for name in names:
        shown = subprocess.run(
            ["docker", "-H", host, "stats", "--no-stream", "--format", "{{.MemUsage}}", name],
            check=False,
            capture_output=True,
            text=True,
        )
        if shown.returncode == 0 and (used := shown.stdout.partition("/")[0].strip()):
            found.append(_megabytes(used))
    return found


def _megabytes(text: str) -> float:
    units = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0, "B": 1 / 1048576}
    unit = next(unit for unit in units if text.endswith(unit))
    return float(text.removesuffix(unit)) * units[unit] * 1.048576
