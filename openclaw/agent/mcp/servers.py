"""Keeps the operator's MCP servers connected, and their tools in the registry while they are."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from openclaw.agent.mcp.policy import McpPolicy, McpServerPolicy
from openclaw.agent.mcp.transport import Streams, http_streams, process_streams
from openclaw.agent.output import clean_output
from openclaw.agent.tool_policy import covers
from openclaw.agent.tools import Tool, ToolContext, ToolRegistry
from shared.config.paths import Paths
from shared.containment.egress import EgressProxy
from shared.containment.models import CommandSpec
from shared.containment.run import SYSTEM_FOLDERS
from shared.errors import Invalid, Unavailable
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.providers import ToolSpec

_log = get_logger(__name__)

_CONNECT_S: Final = 30.0
_RETRY_S: Final = (1.0, 5.0, 30.0, 120.0, 300.0)
_DAY_S: Final = 86_400.0
_MOST_TOOLS: Final = 64
_DESCRIPTION_CHARS: Final = 1000
_SCHEMA_CHARS: Final = 16_000
_RESULT_CHARS: Final = 200_000
_NAME_CHARS: Final = 64
_NO_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


class McpServers:
    """All servers of one tenant.

    Args:
        proxy: the way out of servers that may speak HTTP.
    """

    def __init__(
        self, tenant: str, paths: Paths, policy: McpPolicy, registry: ToolRegistry, proxy: EgressProxy
    ) -> None:
        self._tasks = TaskPool("mcp")
        self.servers = [
            McpServer(name, server, registry, command_spec(name, server, tenant, paths, proxy))
            for name, server in policy.servers.items()
            if server.enabled
        ]

    def start(self) -> None:
        """Connect, in the background; a server that does not answer is tried again."""
        for server in self.servers:
            self._tasks.start(server.run(), name=server.name)

    async def close(self) -> None:
        """Disconnect; started servers end."""
        await self._tasks.close()


def command_spec(
    name: str, policy: McpServerPolicy, tenant: str, paths: Paths, proxy: EgressProxy
) -> CommandSpec | None:
    """How a server's process is contained; None for one that is reached over HTTP."""
    if not policy.command:
        return None
    home = paths.empty_home(tenant)
    env = {"PATH": _PATH, "LANG": "C.UTF-8", "HOME": str(home), **policy.env}
    scratch = str(paths.mcp_folder(tenant, name))
    return CommandSpec(
        program=policy.command[0],
        argv=policy.command,  # the whole path first: interpreters look for their own files beside it
        env={**env, **proxy.environment} if policy.network else env,
        scratch=scratch,
        cwd=scratch,
        readable=(*SYSTEM_FOLDERS, str(home), *policy.readable),
        connect_port=proxy.port if policy.network else None,
        timeout_s=_DAY_S,
    )


class McpServer:
    """One server.

    Args:
        spec: how its process is contained; None when it is reached over HTTP.

    Attributes:
        problem: why it is not connected; empty while it is.
    """

    def __init__(self, name: str, policy: McpServerPolicy, registry: ToolRegistry, spec: CommandSpec | None) -> None:
        self.name = name
        self.problem = "not connected yet"
        self.connected = asyncio.Event()
        self._policy = policy
        self._registry = registry
        self._spec = spec
        self._session: Any = None

    async def run(self) -> None:
        """Be connected, for ever; never raises but when cancelled."""
        failures = 0
        while True:
            began_well = False
            try:
                await self._connected()
                began_well = True
            except Exception as error:  # noqa: BLE001 - a foreign program may fail in any way; others go on
                began_well = self.connected.is_set()
                self.problem = _first_words(error)
            finally:
                self.connected.clear()
                self._session = None
            failures = 0 if began_well else failures + 1
            delay_s = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
            _log.warning("mcp.lost", server=self.name, reason=self.problem, retry_s=delay_s)
            await asyncio.sleep(delay_s)

    async def _connected(self) -> None:
        from mcp import ClientSession

        names: list[str] = []
        async with self._streams() as (read, write), ClientSession(read, write) as session:
            async with asyncio.timeout(_CONNECT_S):
                await session.initialize()
                tools = self._tools((await session.list_tools()).tools)
            names = [tool.spec.name for tool in tools]
            self._session = session
            self._registry.add(*tools)
            self.problem = ""
            self.connected.set()
            _log.info("mcp.connected", server=self.name, tools=len(names))
            try:
                while True:
                    await asyncio.sleep(_PING_S)
                    await session.send_ping()
            finally:
                self._registry.remove(*names)

    def _streams(self) -> AbstractAsyncContextManager[Streams]:
        if self._spec is None:
            return http_streams(self._policy)
        Path(self._spec.scratch).mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(self._spec.env["HOME"]).mkdir(parents=True, exist_ok=True, mode=0o500)
        return process_streams(self.name, self._spec)

    # --- tools -------------------------------------------------------------------------

    def _tools(self, offered: Sequence[Any]) -> list[Tool]:
        """The server's tools as ours; names and texts are bounded, since whoever runs the server chose them."""
        tools: dict[str, Tool] = {}
        for each in offered:
            name = f"mcp_{self.name}_{_NO_NAME.sub('_', each.name)}"[:_NAME_CHARS]
            schema = each.inputSchema
            if not covers(self._policy.tools, each.name, "mcp") or name in tools or len(tools) >= _MOST_TOOLS:
                continue
            if len(json.dumps(schema)) > _SCHEMA_CHARS:
                _log.warning("mcp.tool_left_out", server=self.name, tool=name, reason="its schema is too large")
                continue
            words = clean_output((each.description or "").encode(errors="replace"))[:_DESCRIPTION_CHARS]
            tools[name] = Tool(
                ToolSpec(name, f"[from the MCP server {self.name}] {words}", schema),
                self._calling(each.name),
                f"{self.name}: {each.name}"[:80],
                "mcp",
                private=not self._policy.everywhere,
                outside=True,
                timeout_s=self._policy.timeout_s + 5,
                source="mcp",
            )
        return list(tools.values())

    def _calling(self, name: str) -> Any:  # noqa: ANN401 - a ToolFunction
        async def call(given: dict[str, Any], _context: ToolContext) -> str:
            session = self._session
            if session is None:
                raise Unavailable(f"the MCP server {self.name} is not connected: {self.problem}", code="mcp.down")
            from mcp.shared.exceptions import McpError

            limit = timedelta(seconds=self._policy.timeout_s)
            try:
                result = await session.call_tool(name, given, read_timeout_seconds=limit)
            except McpError as error:
                raise Invalid(
                    f"the MCP server {self.name} refused: {error.error.message[:500]}", code="mcp.refused"
                ) from None
            except RuntimeError as error:  # its answer does not fit its own schema
                raise Invalid(f"the MCP server {self.name}: {str(error)[:500]}", code="mcp.answer") from None
            text = result_text(result)
            if result.isError:
                raise Invalid(text or "the tool failed without saying why", code="mcp.failed")
            return text or "(no text)"

        return call


_PING_S: Final = 60.0


def result_text(result: Any) -> str:  # noqa: ANN401 - the package's CallToolResult
    """What a tool answered, as text: without controls, bounded; what is no text is named."""
    parts = []
    for block in result.content:
        text = getattr(block, "text", None) or getattr(getattr(block, "resource", None), "text", None)
        parts.append(text if isinstance(text, str) else f"[{block.type}, left out]")
    if not parts and result.structuredContent:
        parts.append(json.dumps(result.structuredContent, ensure_ascii=False))
    return clean_output("\n".join(parts)[:_RESULT_CHARS].encode(errors="replace"))


def _first_words(error: BaseException) -> str:
    """The first real reason within groups of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]
