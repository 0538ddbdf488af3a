"""Tools the agent may call: a registry from name to function. A tool's failure is told to the model, not to people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from shared.errors import GatewayError
from shared.obs.log import get_logger
from shared.providers import ToolCall, ToolSpec

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ToolContext:
    """On whose behalf a tool runs.

    Attributes:
        chat: the chat that is answered; empty for the Control UI.
    """

    run_id: str
    session_key: str
    chat: str = ""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is told."""

    text: str
    is_error: bool = False


ToolFunction = Callable[[dict[str, Any], ToolContext], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        group: the heading it is listed under in the catalogue.
    """

    spec: ToolSpec
    function: ToolFunction
    label: str
    group: str


class ToolRegistry:
    """The tools there are."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools = {tool.spec.name: tool for tool in tools}

    @property
    def tools(self) -> list[Tool]:
        """All tools."""
        return list(self._tools.values())

    @property
    def specs(self) -> list[ToolSpec]:
        """All tools as a model is offered them."""
        return [tool.spec for tool in self._tools.values()]

    async def run(self, call: ToolCall, context: ToolContext) -> ToolResult:
        """Run a call; whatever goes wrong becomes text for the model."""
        tool = self._tools.get(call.name)
        if tool is None:
            return ToolResult(f"there is no tool named {call.name!r}", is_error=True)
        try:
            return ToolResult(await tool.function(call.parsed(), context))
        except GatewayError as error:
            return ToolResult(error.detail, is_error=True)
        except Exception:  # noqa: BLE001 - a tool may fail in any way; the model is told, the run goes on
            _log.exception("tool.failed", tool=call.name, run_id=context.run_id)
            return ToolResult("the tool failed with an internal error", is_error=True)
