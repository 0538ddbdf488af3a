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

from nanoclaw.agent.replay import Replay
from nanoclaw.agent.stdio import ByteLines
from shared.errors import GatewayError
from shared.gatewayclient import WorkerEvent
from shared.obs.log import get_logger

_log = get_logger(__name__)
_CLOSE_DEADLINE_S = 5.0
_STDERR_LINES = 20
_STDERR_CHARS = 2000
_OWN_REQUEST = "clawgate-greeting"
_CONTROL = '{"type": "control_'


class WorkerTransport(Transport):
    """Carries the SDK's JSON lines to and from a worker; starts and ends nothing.

    Args:
        stream: the worker's stdio.
        greet: for a worker taken over from an earlier process of ours, the name of the MCP server it already knows.
            It will not introduce itself again, so the transport does that in its place.
        replay: the stream begins in the past: everything up to the answer to our first request was said to the
            earlier process, see `Replay`. It is heard once `listen` was called.
        line: number of the last line before the stream.

    Attributes:
        exit: how the worker ended, once it has.
        stderr: its last lines of standard error.
        line: number of the last stdout line that was read.
        past: what the stream began with, when there was a replay.
    """

    def __init__(self, stream: ByteLines, *, greet: str = "", replay: bool = False, line: int = 0) -> None:
        self._stream = stream
        self._greet = greet
        self._ready = False
        self._spoken = 0
        self._first_request = ""
        self._serving: set[str] = set()
        self._dropped = 0
        self._present = asyncio.Event()
        self.past = Replay() if replay else None
        self.exit: WorkerEvent | None = None
        self.stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self.line = line

    @property
    def is_serving(self) -> bool:
        """The worker waits for an answer of ours, such as a tool's."""
        return bool(self._serving)

    def listen(self) -> None:
        """Let go on after the past: somebody is there who knows what in it was dealt with."""
        self._present.set()

    async def connect(self) -> None:
        """Nothing to do: the worker runs already, and the stream connects itself."""
        self._ready = True

    async def write(self, data: str) -> None:
        """Send one JSON line; answers to our own introduction are not for the worker."""
        if data.startswith(_CONTROL):
            message = json.loads(data)
            if message["type"] == "control_request":
                self._first_request = self._first_request or str(message["request_id"])
            elif (request_id := str(message["response"].get("request_id", ""))).startswith(_OWN_REQUEST):
                return
            else:
                self._serving.discard(request_id)
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
        past = self.past
        async for item in self._stream:
            if isinstance(item, WorkerEvent):
                if item.event == "stderr":
                    self.stderr.extend(item.text[-_STDERR_CHARS:].splitlines())
                    continue
                self.exit = item
                break
            self._spoken += 1
            self.line = item[0]
            if (parsed := self._parse(item[1])) is None:
                continue
            if past is None:
                yield self._noted(parsed)
            elif not self._is_first_answer(parsed):
                past.take(parsed)
            else:
                yield parsed
                await self._present.wait()
                for message in past.release():
                    yield self._noted(message)
                past = None
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

    def _is_first_answer(self, message: dict[str, Any]) -> bool:
        if message.get("type") != "control_response" or not self._first_request:
            return False
        request_id = message.get("response", {}).get("request_id", "")
        return bool(request_id == self._first_request)

    def _noted(self, message: dict[str, Any]) -> dict[str, Any]:
        match message.get("type"):
            case "control_request":
                self._serving.add(str(message.get("request_id")))
            case "control_cancel_request":
                self._serving.discard(str(message.get("request_id")))
        return message

    def _parse(self, line: bytes) -> dict[str, Any] | None:
        """One stdout line as a message; what is not JSON (a library's stray print) is dropped with a note."""
        if not line.strip():
            return None
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict):
            return message
        self._dropped += 1
        if is_worth_a_line(self._dropped):
            _log.warning("agent.line_dropped", bytes=len(line), so_far=self._dropped)
        return None


def is_worth_a_line(count: int) -> bool:
    """The 1st, 10th, 100th, …: a worker that prints garbage must not fill our log."""
    return str(count).rstrip("0") == "1"


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
