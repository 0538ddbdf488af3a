"""The two ways to an MCP server: a contained process's input and output, and streamable HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openclaw.agent.mcp.policy import McpServerPolicy
from shared.containment.models import CommandSpec
from shared.containment.run import Contained, start_contained
from shared.errors import Unavailable
from shared.http.client import http_client
from shared.obs.log import get_logger

_log = get_logger(__name__)

LINE_BYTES = 1 << 20
_STDERR_BYTES = 8192
_WAITING = 16
Streams = tuple[Any, Any]
"""What a session reads from and writes to: the package's own memory streams."""


@asynccontextmanager
async def process_streams(name: str, spec: CommandSpec) -> AsyncIterator[Streams]:
    """Start a server contained, and speak lines of JSON with it inside the block."""
    import anyio

    contained = await start_contained(
        spec, with_input=True, output_limit_bytes=_STDERR_BYTES, line_limit_bytes=LINE_BYTES
    )
    to_session, from_server = anyio.create_memory_object_stream[Any](_WAITING)
    to_server, from_session = anyio.create_memory_object_stream[Any](_WAITING)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_reads(contained, to_session)),
            group.create_task(_writes(contained, from_session)),
            group.create_task(_ends(name, contained)),
        ]
        try:
            yield from_server, to_server
        finally:
            for task in tasks:
                task.cancel()
            for stream in (to_session, from_server, to_server, from_session):
                stream.close()


async def _ends(name: str, contained: Contained) -> None:
    """Raises when the process has ended, which ends the block."""
    outcome = await contained.finish(reads_lines=True)
    told = outcome.stderr.decode(errors="replace")[-500:]
    _log.warning("mcp.ended", server=name, exit_code=outcome.exit_code, problem=outcome.problem, stderr=told)
    raise Unavailable(
        f"its process ended with exit code {outcome.exit_code} {outcome.problem}".strip(), code="mcp.down"
    )


async def _reads(contained: Contained, to_session: Any) -> None:  # noqa: ANN401 - see `Streams`
    import pydantic
    from mcp.shared.message import SessionMessage
    from mcp.types import JSONRPCMessage

    try:
        while line := await contained.lines.readline():
            try:
                message = JSONRPCMessage.model_validate_json(line)
            except pydantic.ValidationError:
                continue  # something it printed that is no message
            await to_session.send(SessionMessage(message))
    except ValueError:
        _log.warning("mcp.line_too_long", bytes=LINE_BYTES)
    finally:
        to_session.close()  # the session hears of the end


async def _writes(contained: Contained, from_session: Any) -> None:  # noqa: ANN401 - see `Streams`
    async for message in from_session:
        line = message.message.model_dump_json(by_alias=True, exclude_none=True)
        if not await contained.write(line.encode() + b"\n"):
            return


@asynccontextmanager
async def http_streams(policy: McpServerPolicy) -> AsyncIterator[Streams]:
    """Speak with a server over streamable HTTP inside the block."""
    from mcp.client.streamable_http import streamable_http_client

    async with (
        http_client(timeout_s=policy.timeout_s) as client,
        streamable_http_client(policy.url, http_client=client) as (read, write, _session_id),
    ):
        yield read, write
