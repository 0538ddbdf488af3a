"""Numbering of a talking worker's lines across readers that come and go, on a real engine."""

from __future__ import annotations

import asyncio
import secrets
import tracemalloc
from contextlib import suppress

import pytest

from gateway.workers.docker_engine import DockerEngine
from gateway.workers.reconcile import Checkpoint
from gateway.workers.stream import WorkerStream
from shared.gatewayclient.models import WorkerEvent
from tests.support.engine import shell_spec

pytestmark = pytest.mark.engine

CHATTY = (
    'i=0; while [ $i -lt 400 ]; do i=$((i+1)); printf "line %s " $i; printf "of many\\n";'
    " [ $((i % 7)) = 0 ] && sleep 0.01; done; cat"
)


def a_spec(tmp_path, script: str):
    return shell_spec(tmp_path, script, instance=f"t{secrets.token_hex(4)}", worker_id=secrets.token_hex(8))


async def numbers_until(stream: WorkerStream, last: int, after: int = 0) -> list[int]:
    numbers = []
    async for item in stream.follow(after):
        if isinstance(item, WorkerEvent):
            continue
        number, line = item
        assert line == b"line %d of many" % number
        numbers.append(number)
        if number == last:
            break
    return numbers


async def test_no_line_is_lost_or_doubled_when_readers_change_while_it_talks(docker_host, tmp_path) -> None:
    engine = DockerEngine(docker_host)
    container, attachment = await engine.start(a_spec(tmp_path, CHATTY), deadline_s=30)
    try:
        noted: Checkpoint | None = None
        for turn in range(4):
            stream = WorkerStream(engine, container.id, ring_bytes=2000)
            reading = asyncio.get_running_loop().create_task(stream.run(attachment, noted))
            goal = 400 if turn == 3 else 40 + 60 * turn
            assert await numbers_until(stream, goal) == list(range(1, goal + 1))
            noted = stream.checkpoint()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
            await stream.close()
            attachment = None
    finally:
        await engine.remove(container.id)
        await engine.close()


async def test_what_was_said_while_nobody_listened_is_read_later_with_the_exit(docker_host, tmp_path) -> None:
    engine = DockerEngine(docker_host)
    container, attachment = await engine.start(
        a_spec(tmp_path, "echo one; read go; echo two; echo three >&2; exit 5"), deadline_s=30
    )
    try:
        await attachment.write(b"go\n")
        await attachment.close()
        while (await engine.inspect(container.id)).running:
            await asyncio.sleep(0.02)
        stream = WorkerStream(engine, container.id, ring_bytes=2000)
        ended = await stream.run(None, Checkpoint())
        assert ended is not None
        assert ended.exit_code == 5
        stream.finish(WorkerEvent(event="exit", code=5))
        items = [item async for item in stream.follow(0)]
        assert items == [(1, b"one"), (2, b"two"), WorkerEvent(event="exit", code=5)]
        assert "three" in stream.stderr_tail
    finally:
        await engine.remove(container.id)
        await engine.close()


async def test_half_a_message_of_the_gateway_before_does_not_spoil_the_next(docker_host, tmp_path) -> None:
    engine = DockerEngine(docker_host)
    script = 'while read line; do echo "<$line>"; done'
    container, attachment = await engine.start(a_spec(tmp_path, script), deadline_s=30)
    try:
        await attachment.write(b"half a mess")
        await attachment.close()
        stream = WorkerStream(engine, container.id, ring_bytes=2000)
        reading = asyncio.get_running_loop().create_task(stream.run(None))
        await stream.write(b"a whole message\n")
        lines = []
        async for item in stream.follow(0):
            lines.append(item)
            if len(lines) == 2:
                break
        assert lines == [(1, b"<half a mess>"), (2, b"<a whole message>")]
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        await stream.close()
    finally:
        await engine.remove(container.id)
        await engine.close()


async def test_a_hundred_megabytes_without_a_newline_are_read_through_in_bounded_memory(docker_host, tmp_path) -> None:
    engine = DockerEngine(docker_host)
    script = "head -c 100000000 /dev/zero | tr '\\000' x; echo; echo after"
    container, attachment = await engine.start(a_spec(tmp_path, script), deadline_s=30)
    try:
        stream = WorkerStream(engine, container.id, ring_bytes=1024 * 1024)
        tracemalloc.start()
        await stream.run(attachment)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        stream.finish(WorkerEvent(event="exit"))
        lines = [item async for item in stream.follow(0) if not isinstance(item, WorkerEvent)]
        assert lines == [(1, b""), (2, b"after")]
        assert peak < 50_000_000
    finally:
        await engine.remove(container.id)
        await engine.close()
