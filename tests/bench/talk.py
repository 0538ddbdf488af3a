"""Talking to NanoClaw in the sandbox and taking the time to the first model request, with its agent in every state."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from gateway.sandbox.run import Sandbox
from shared.lifecycle.control import call

PAUSE_AFTER_S = 1.5
"""Longer than the resident row waits between two messages, short enough to wait for."""
_LIMIT_S = 30.0


async def first_model_request_ms(sandbox: Sandbox, text: str, *, channel: str = "general") -> tuple[float, float]:
    """Say something to NanoClaw; time to the first model request, and to the answer in the channel."""
    assert sandbox.discord is not None
    world, cast = sandbox.discord.emulator.world, sandbox.discord.cast
    owner = world.find_user("owner")
    assert owner is not None
    room = world.add_channel(world.state.guilds[int(cast.guild_id)], channel)
    before, position = len(sandbox.models.requests), world.log_position
    start = time.monotonic()
    await world.say(owner, room.id, f"<@{cast.bots['nanoclaw']}> {text}")
    while len(sandbox.models.requests) == before:
        await asyncio.sleep(0.0005)
    request = (sandbox.models.requests[before].at_monotonic - start) * 1000
    await world.wait_for(lambda record: text in json.dumps(record.data, ensure_ascii=False), 60.0, after=position)
    return request, (time.monotonic() - start) * 1000


async def workers(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What the gateway says of its workers."""
    status = await asyncio.to_thread(call, sandbox.paths.control_socket("gateway"), "status")
    return list(status["workers"])


async def until(sandbox: Sandbox, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until some worker is as wanted."""
    async with asyncio.timeout(_LIMIT_S):
        while not any(wanted(worker) for worker in await workers(sandbox)):
            await asyncio.sleep(0.1)


async def paused_ms(sandbox: Sandbox, samples: int) -> list[float]:
    """Messages to a resident agent that the gateway has paused meanwhile."""
    times = []
    for number in range(samples):
        await until(sandbox, lambda worker: worker["state"] == "paused")
        request, _ = await first_model_request_ms(sandbox, f"paused {number} {time.monotonic_ns()}")
        times.append(request)
    return times


async def standby_ms(sandbox: Sandbox, samples: int) -> list[float]:
    """First messages to an agent started ahead, which is there because its group spoke lately."""
    times = []
    for number in range(samples):
        await until(sandbox, lambda worker: worker["standby"] and worker["state"] == "paused")
        (ready, *_) = [worker["group"] for worker in await workers(sandbox) if worker["standby"]]
        other = "lab" if ready == "general" else "general"
        request, _ = await first_model_request_ms(sandbox, f"ahead {number} {time.monotonic_ns()}", channel=ready)
        times.append(request)
        await asyncio.to_thread(call, sandbox.paths.control_socket("nanoclaw"), "workers.stop_all", timeout_s=60.0)
        # Somebody speaks elsewhere; when that is answered, the group just stopped is likely to speak next.
        await first_model_request_ms(sandbox, f"elsewhere {number} {time.monotonic_ns()}", channel=other)
    return times
