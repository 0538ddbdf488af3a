"""Joining a talking worker, with an engine whose log and live output arrive in an order the test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.workers.engine import Container
from gateway.workers.frames import STDOUT
from gateway.workers.lines import Line
from gateway.workers.stream import WorkerStream
from shared.gatewayclient.models import WorkerEvent

LINES = [b"line %d" % number for number in range(1, 21)]


class TalkingEngine:
    """An engine with one container: it answers log questions from a list and then hands out live pieces."""

    def __init__(self, log_lengths: Sequence[int], live: Sequence[bytes]) -> None:
        self._log_lengths = list(log_lengths)
        self._live = list(live)
        self._running = True

    async def logs(self, container_id: str) -> bytes:
        length = self._log_lengths.pop(0) if len(self._log_lengths) > 1 else self._log_lengths[0]
        return b"".join(line + b"\n" for line in LINES[:length])

    async def error_logs(self, container_id: str) -> str:
        return ""

    async def inspect(self, container_id: str) -> Container:
        return Container(id="c", name="c", labels={}, status="running" if self._running else "exited")

    async def attach(self, container_id: str) -> Any:
        return self

    async def read(self) -> list[tuple[int, bytes]]:
        await asyncio.sleep(0)
        if self._live:
            return [(STDOUT, self._live.pop(0))]
        self._running = False
        return []

    async def close(self) -> None:
        return


def pieces(first: int, size: int = 3) -> list[bytes]:
    """Live output from a line on, a few lines at a time."""
    return [b"".join(line + b"\n" for line in LINES[at : at + size]) for at in range(first - 1, len(LINES), size)]


@pytest.mark.parametrize(
    ("log_lengths", "live"),
    [
        pytest.param([4, 4, 7, 20], pieces(5), id="log and live side by side"),
        pytest.param([4, 15, 20], pieces(6), id="log ahead of what was read live"),
        pytest.param([4, 20, 20], pieces(6, 1), id="log far ahead, live in single lines"),
        pytest.param([4, 4, 4, 4, 6, 20], pieces(5, 2), id="log behind live"),
        pytest.param([4, 6, 8, 20], [b"ne 6\nline 7\n", *pieces(8)], id="live begins within a line"),
        pytest.param([0, 0, 20], pieces(1, 20), id="nothing said before"),
    ],
)
async def test_every_line_comes_once_with_its_number(log_lengths, live) -> None:
    stream = WorkerStream(TalkingEngine(log_lengths, live), "c", ring_bytes=10_000)  # type: ignore[arg-type]
    await stream.run(None)
    stream.finish(WorkerEvent(event="exit"))
    items: list[Line | WorkerEvent] = [item async for item in stream.follow(0)]
    assert items[:-1] == list(enumerate(LINES, start=1))
