"""Tools the agent may call: one registry from name to function. A tool's failure is told to the model, not to people.

What is offered to a model, what ``tools.catalog`` lists and what may run all come from here.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from openclaw.agent.policy import ToolsPolicy
from openclaw.agent.tool_policy import is_offered
from openclaw.sessions import is_private
from shared.errors import GatewayError, Invalid
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.providers import ToolCall, ToolSpec

_log = get_logger(__name__)

_TAIL_SHARE: Final = 4
_CANCEL_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class ToolContext:
    """On whose behalf a tool runs.

    Attributes:
        chat: the chat that is answered; empty for the Control UI.
        outside: the conversation holds words from outside, which anybody may have written.
    """

    run_id: str
    session_key: str
    chat: str = ""
    outside: bool = False

    @property
    def is_private(self) -> bool:
        """The session is the owner's own, and not one of a channel, a guest or a helper agent."""
        return is_private(self.session_key)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is told.

    Attributes:
        outside: it holds words that anybody may have written.
    """

    text: str
    is_error: bool = False
    outside: bool = False


class FromOutside(str):
    """A tool's result that holds words which anybody may have written, though the tool's results do not always."""

    __slots__ = ()


ToolFunction = Callable[[dict[str, Any], ToolContext], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        group: the heading it is listed under in the catalogue, and its name in ``group:name``.
        private: offered in the owner's own sessions alone: it reaches what others must not see.
        outside: its results hold words that anybody may have written.
        timeout_s: longest run; None takes the policy's.
    """

    spec: ToolSpec
    function: ToolFunction
    label: str
    group: str
    private: bool = False
    outside: bool = False
    timeout_s: float | None = None
    source: Literal["core", "mcp"] = "core"


class Arguments(BaseModel):
    """What a tool takes; the model writes camelCase."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


A = TypeVar("A", bound=BaseModel)


def make_tool(
    name: str,
    description: str,
    arguments: type[A],
    function: Callable[[A, ToolContext], Awaitable[str]],
    *,
    label: str,
    group: str,
    private: bool = False,
    outside: bool = False,
    timeout_s: float | None = None,
) -> Tool:
    """A tool whose schema and checks come from one model of its arguments."""

    async def run(given: dict[str, Any], context: ToolContext) -> str:
        return await function(parse_arguments(arguments, given, name), context)

    spec = ToolSpec(name, description, _schema(arguments))
    return Tool(spec, run, label, group, private=private, outside=outside, timeout_s=timeout_s)


def parse_arguments(arguments: type[A], given: dict[str, Any], name: str) -> A:
    """The arguments of a call.

    Raises:
        Invalid: they do not fit; the detail names the first place, for the model.
    """
    try:
        return arguments.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "arguments"
        raise Invalid(f"{name}: {place}: {first['msg']}", code="tool.arguments") from None


def _schema(arguments: type[BaseModel]) -> dict[str, Any]:
    schema = arguments.model_json_schema(by_alias=True)
    for field in (schema, *schema.get("properties", {}).values()):
        field.pop("title", None)
    schema.pop("description", None)
    return schema


Keep = Callable[[str, str, str], Awaitable[str]]
"""Keeps a long result: session key, a name for it, its text; returns where the agent can read it."""


class ToolRegistry:
    """The tools there are.

    Args:
        policy: which are offered, and their bounds.
        keep: where results go that are too long; left out, the rest is dropped and said to be.
    """

    def __init__(self, tools: Iterable[Tool] = (), policy: ToolsPolicy | None = None, keep: Keep | None = None) -> None:
        self.policy = policy or ToolsPolicy()
        self._keep = keep
        self._tools: dict[str, Tool] = {}
        self._tasks = TaskPool("tools")
        self.add(*tools)

    def add(self, *tools: Tool) -> None:
        """Register tools; a name that is taken is replaced."""
        self._tools.update((tool.spec.name, tool) for tool in tools)

    def remove(self, *names: str) -> None:
        """Forget tools; fine when they are gone already."""
        for name in names:
            self._tools.pop(name, None)

    @property
    def tools(self) -> list[Tool]:
        """All tools that policy lets the agent have, wherever it speaks."""
        return [tool for tool in self._tools.values() if is_offered(tool.spec.name, tool.group, self.policy)]

    def get(self, name: str) -> Tool | None:
        """A tool that policy lets the agent have."""
        return next((tool for tool in self.tools if tool.spec.name == name), None)

    def offered(self, session_key: str) -> list[Tool]:
        """The tools of one session."""
        owner = is_private(session_key)
        return [tool for tool in self.tools if owner or not tool.private]

    def specs(self, session_key: str) -> list[ToolSpec]:
        """The tools of one session as a model is offered them."""
        return [tool.spec for tool in self.offered(session_key)]

    async def run(self, call: ToolCall, context: ToolContext) -> ToolResult:
        """Run a call; whatever goes wrong becomes text for the model."""
        offered = {tool.spec.name: tool for tool in self.offered(context.session_key)}
        tool = offered.get(call.name)
        if tool is None:
            return ToolResult(_unknown(call.name, offered), is_error=True)
        try:
            text = await self._within(tool, tool.function(call.parsed(), context))
            outside = tool.outside or isinstance(text, FromOutside)
            return ToolResult(await self._bounded(call, context, str(text)), outside=outside)
        except GatewayError as error:
            return ToolResult(await self._bounded(call, context, error.detail), is_error=True)
        except Exception:  # noqa: BLE001 - a tool may fail in any way; the model is told, the run goes on
            _log.exception("tool.failed", tool=call.name, run_id=context.run_id)
            return ToolResult("the tool failed with an internal error", is_error=True)

    async def _within(self, tool: Tool, work: Awaitable[str]) -> str:
        """Wait for a tool within its time; one that does not even end when cancelled is left behind."""
        limit_s = tool.timeout_s or self.policy.timeout_s
        task = self._tasks.start(_awaited(work), name=tool.spec.name, watched=True)
        try:
            await asyncio.wait({task}, timeout=limit_s)
        except asyncio.CancelledError:
            await _end(task)
            raise
        if not task.done():
            await _end(task)
            raise Invalid(f"{tool.spec.name} did not end within {limit_s:g} s and was stopped", code="tool.timeout")
        return task.result()

    async def _bounded(self, call: ToolCall, context: ToolContext, text: str) -> str:
        limit = self.policy.result_chars
        if len(text) <= limit:
            return text
        where = ""
        if self._keep is not None:
            try:
                where = await self._keep(context.session_key, f"{context.run_id}-{call.id}", text)
            except (OSError, GatewayError) as error:
                _log.warning("tool.result_not_kept", tool=call.name, run_id=context.run_id, reason=str(error))
        rest = f"the whole result is in {where}: read it in parts with the read tool" if where else "they are not kept"
        tail = limit // _TAIL_SHARE
        left_out = len(text) - limit
        return f"{text[: limit - tail]}\n[… {left_out} characters left out; {rest} …]\n{text[-tail:]}"

    async def close(self) -> None:
        """End what still runs."""
        await self._tasks.close()


async def _awaited(work: Awaitable[str]) -> str:
    return await work


async def _end(task: asyncio.Task[str]) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=_CANCEL_S)
    if task.done() and not task.cancelled():
        task.exception()  # looked at, so that asyncio does not complain


def _unknown(name: str, offered: Iterable[str]) -> str:
    names = sorted(offered)
    near = difflib.get_close_matches(name, names, 3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(names) or 'none'}"
    return f"there is no tool named {name[:80]!r} here; {hint}"
