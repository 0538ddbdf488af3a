"""``POST /tools/invoke``: one tool of the agent's, called by a program. Source: protocol reference §15."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from openclaw.agent.tools import ToolContext, ToolRegistry
from openclaw.api.errors import NOT_FOUND
from openclaw.sessions import MAIN_SESSION, canonical_key
from shared.ids import new_id
from shared.providers import ToolCall

MAX_BYTES: Final = 2 << 20


class InvokeRequest(BaseModel):
    """A call.

    Attributes:
        action: put into the arguments as ``action``, unless they have one.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    tool: Annotated[str, Field(min_length=1, max_length=100)]
    action: str | None = None
    args: dict[str, Any] = {}
    session_key: str | None = Field(default=None, alias="sessionKey")


async def invoke(request: InvokeRequest, tools: ToolRegistry, offered: Collection[str]) -> tuple[int, dict[str, Any]]:
    """Run the tool when it is offered; returns the status and the answer.

    Raises:
        Invalid: the session key is none.
    """
    if request.tool not in offered or request.tool not in {tool.spec.name for tool in tools.tools}:
        return 404, _failed(NOT_FOUND, f"Tool not available: {request.tool}")
    key = canonical_key(request.session_key) if request.session_key else MAIN_SESSION
    args = ({"action": request.action} if request.action else {}) | request.args
    call = ToolCall(new_id("call"), request.tool, json.dumps(args))
    result = await tools.run(call, ToolContext(new_id("run"), key))
    if result.is_error:
        return 400, _failed("tool_error", result.text)
    return 200, {"ok": True, "result": {"content": [{"type": "text", "text": result.text}]}}


def _failed(kind: str, message: str) -> dict[str, Any]:
    return {"ok": False, "error": {"type": kind, "message": message}}
