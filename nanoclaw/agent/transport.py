"""The Agent SDK's transport over a worker's byte stream.

The SDK says that its `Transport` class may change between releases: the version is pinned, everything that depends
on it is in this file, and a test runs it against the real command line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from claude_agent_sdk import ProcessError, Transport

from nanoclaw.agent.stdio import ByteLines
from shared.errors import GatewayError
from shared.gatewayclient import WorkerEvent
from shared.obs.log import get_logger

_log = get_logger(__name__)
_CLOSE_DEADLINE_S = 5.0
_STDERR_LINES = 20
_OWN_REQUEST = "clawgate-greeting"


class WorkerTransport(Transport):
    """Carries the SDK's JSON lines to and from a worker; starts and ends nothing.

    Args:
        stream: the worker's stdio.
        greet: for a worker taken over from an earlier process of ours, the name of the MCP server it already knows.
            It will not introduce itself again, so the transport does that in its place.

    Attributes:
        exit: how the worker ended, once it has.
        stderr: its last lines of standard error.
    """

    def __init__(self, stream: ByteLines, *, greet: str = "") -> None:
        self._stream = stream
        self._greet = greet
        self._ready = False
        self._spoken = 0
        self.exit: WorkerEvent | None = None
        self.stderr: deque[str] = deque(maxlen=_STDERR_LINES)

    async def connect(self) -> None:
        """Nothing to do: the worker runs already, and the stream connects itself."""
        self._ready = True

    async def write(self, data: str) -> None:
        """Send one JSON line; answers to our own introduction are not for the worker."""
        if self._greet and _OWN_REQUEST in data and _answers_own_request(data):
            return
        self._spoken += 1
        await self._stream.write(data.encode())

    async def settle(self, *, quiet_s: float, limit_s: float) -> None:
        """Wait until neither side has said anything for `quiet_s` seconds, but no longer than `limit_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                spoken = -1
                while spoken != self._spoken:
                    spoken = self._spoken
                    await asyncio.sleep(quiet_s)

    async def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        """JSON lines of the worker until it ends.

        Raises:
            ProcessError: the worker ended; nothing more will come. The SDK hands this to whoever waits.
        """
        if self._greet:
            for message in _introduction(self._greet):
                yield message
        async for item in self._stream:
            if isinstance(item, WorkerEvent):
                if item.event == "stderr":
                    self.stderr.extend(item.text.splitlines())
                    continue
                self.exit = item
                break
            self._spoken += 1
            if (parsed := _parse(item[1])) is not None:
                yield parsed
        self._ready = False
        if self.exit is not None:
            raise ProcessError("the worker ended", exit_code=self.exit.code, stderr="\n".join(self.stderr))

    async def close(self) -> None:
        """Detach from the worker. Bounded, as the SDK's contract asks."""
        self._ready = False
        with contextlib.suppress(TimeoutError, GatewayError, OSError):
            async with asyncio.timeout(_CLOSE_DEADLINE_S):
                await self._stream.close()

    def is_ready(self) -> bool:
        """Whether the worker can be written to."""
        return self._ready

    async def end_input(self) -> None:
        """Stdin stays open: the gateway decides when a worker ends."""


def _introduction(server: str) -> list[dict[str, Any]]:
    """The handshake of an MCP client, as the command line would send it."""
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "clawgate", "version": "1"}}
    calls: list[dict[str, Any]] = [
        {"jsonrpc": "2.0", "id": _OWN_REQUEST, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
    ]
    return [
        {
            "type": "control_request",
            "request_id": f"{_OWN_REQUEST}-{number}",
            "request": {"subtype": "mcp_message", "server_name": server, "message": call},
        }
        for number, call in enumerate(calls)
    ]


def _answers_own_request(data: str) -> bool:
    message = json.loads(data)
    if message.get("type") != "control_response":
        return False
    return str(message["response"].get("request_id", "")).startswith(_OWN_REQUEST)


def _parse(line: bytes) -> dict[str, Any] | None:
    """One stdout line as a message; what is not JSON (a library's stray print) is dropped with a note."""
    if not line.strip():
        return None
    try:
        message = json.loads(line)
    except ValueError:
        _log.warning("agent.line_dropped", bytes=len(line))
        return None
    return message if isinstance(message, dict) else None
