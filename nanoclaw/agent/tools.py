"""Tools the agent calls that we answer, over the same byte stream as everything else.

A group can only reach its own chat: which one is fixed here, the agent cannot name another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from shared.errors import GatewayError

if TYPE_CHECKING:
    from claude_agent_sdk import McpSdkServerConfig, SdkMcpTool

SERVER_NAME = "nanoclaw"

Say = Callable[[str], Awaitable[None]]
"""Puts a text into the outbox of the group's chat; durable when it returns."""


def host_tools(say: Say, more: Sequence[SdkMcpTool[Any]] = ()) -> McpSdkServerConfig:
    """The MCP server of one group.

    Args:
        say: where `send_message` writes to.
        more: further tools of the group.
    """
    from claude_agent_sdk import create_sdk_mcp_server, tool

    @tool(
        "send_message",
        "Send a message to this chat now, before your final answer. Use it for progress of a longer job.",
        {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "required": ["text"]},
    )
    async def send_message(arguments: dict[str, Any]) -> dict[str, Any]:
        text = str(arguments["text"]).strip()
        if not text:
            return _answer("nothing was sent: the text is empty", is_error=True)
        try:
            await say(text)
        except GatewayError as error:
            return _answer(f"not sent: {error.detail}", is_error=True)
        return _answer("sent")

    return create_sdk_mcp_server(SERVER_NAME, tools=[send_message, *more])


def _answer(text: str, *, is_error: bool = False) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}], "is_error": is_error}
