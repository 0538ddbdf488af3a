"""Offers each group its tools as an MCP server that lives in our process, and answers every call in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nanoclaw.agent.tools.base import JsonObject, Place, Tool, ToolCall, ToolSet
from nanoclaw.groups import Group
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Conflict, GatewayError, Invalid
from shared.lifecycle.faultpoints import fault_point
from shared.obs.log import get_logger

if TYPE_CHECKING:
    from claude_agent_sdk import McpSdkServerConfig, SdkMcpTool

_log = get_logger(__name__)

SERVER_NAME = "nanoclaw"
"""Under this name the command line knows the server; it calls a tool ``mcp__nanoclaw__<tool>``."""


class ToolServer:
    """The tools of all sets, by group.

    Args:
        sets: adding one here is all it takes to offer its tools.
        place_of: where in its run a group's agent is now, see `nanoclaw.runs.Runs.place`.
        group_of: the registered group of a folder, None when it was removed meanwhile.
    """

    def __init__(
        self,
        sets: Sequence[ToolSet],
        *,
        place_of: Callable[[Group, str], Place],
        group_of: Callable[[str], Group | None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._sets = sets
        self._place_of = place_of
        self._group_of = group_of
        self._clock = clock

    def offered(self, group: Group) -> list[Tool]:
        """The tools a group may use, in the order of the sets."""
        return [tool for tools in self._sets for tool in tools.offered(group)]

    def fingerprint(self, group: Group) -> str:
        """Changes when what a group is offered does: a live agent heard of its tools once, at its start."""
        facts = [[tool.name, tool.description, tool.schema] for tool in self.offered(group)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def server(self, group: Group) -> McpSdkServerConfig:
        """The MCP server of a group."""
        from claude_agent_sdk import create_sdk_mcp_server

        return create_sdk_mcp_server(SERVER_NAME, tools=[self._sdk_tool(group, tool) for tool in self.offered(group)])

    def _sdk_tool(self, group: Group, offered: Tool) -> SdkMcpTool[Any]:
        from claude_agent_sdk import ToolAnnotations, tool

        @tool(offered.name, offered.description, offered.schema, ToolAnnotations(readOnlyHint=offered.read_only))
        async def answer(arguments: dict[str, Any]) -> dict[str, Any]:
            return await self.call(group.folder, offered.name, arguments)

        return answer

    async def call(self, folder: str, name: str, arguments: JsonObject) -> dict[str, Any]:
        """Answer one call; never raises for what an agent can do.

        Args:
            folder: of the group whose agent calls.
            name: the tool.
            arguments: checked against its schema.
        """
        began = self._clock.monotonic()
        outcome, run_id = "cut", ""
        try:
            group = self._group_of(folder)
            if group is None:
                raise Conflict("this chat is not registered any more: nothing can be done for it")
            # Looked up now, since an operator may have changed what the group may do.
            tool = next((tool for tool in self.offered(group) if tool.name == name), None)
            if tool is None:
                raise Conflict(f"the tool {name} is not available to this group any more")
            _check(tool, arguments)
            place = self._place_of(group, name)
            run_id = place.run_id
            said = await tool.handler(ToolCall(group, place, arguments))
            fault_point("run.tool_done")
        except GatewayError as error:
            outcome = "refused"
            return _answer(error.detail, is_error=True)
        except Exception:  # noqa: BLE001 - a defect of ours is told as one, and the agent goes on
            outcome = "failed"
            _log.exception("agent.tool_failed", tool=name, group=folder, run_id=run_id)
            run = f" (run {run_id})" if run_id else ""
            return _answer(f"this failed for a reason of our own{run}: tell the operator", is_error=True)
        else:
            outcome = "done"
            return _answer(said)
        finally:
            _log.info(
                "agent.tool_called",
                tool=name,
                group=folder,
                run_id=run_id,
                outcome=outcome,
                ms=round((self._clock.monotonic() - began) * 1000, 1),
            )


def _check(tool: Tool, arguments: JsonObject) -> None:
    """The MCP layer has checked them already, against the tool as it was when the agent started."""
    from jsonschema import Draft202012Validator

    problem = next(iter(Draft202012Validator(tool.schema).iter_errors(dict(arguments))), None)
    if problem is not None:
        place = ".".join(str(part) for part in problem.absolute_path)
        raise Invalid(f"the arguments do not fit: {place + ': ' if place else ''}{problem.message[:300]}")


def _answer(text: str, *, is_error: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "is_error": is_error}
