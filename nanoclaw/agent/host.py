"""What we serve to one group's agent over its own stream: tools, and a hook before its memory is shortened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import GatewayError
from shared.obs.log import get_logger

if TYPE_CHECKING:
    from claude_agent_sdk import ClaudeAgentOptions, McpSdkServerConfig
    from claude_agent_sdk.types import HookContext, HookInput, SyncHookJSONOutput

_log = get_logger(__name__)
_HOOK_TIMEOUT_S = 60.0

OnCompaction = Callable[[str], Awaitable[str]]
"""Keeps a conversation (given by its id) before it is shortened; returns where, for the log."""


@dataclass(frozen=True, slots=True)
class AgentHost:
    """The host of one group's agent.

    Attributes:
        server_name: name of the MCP server.
        server: makes it; called once for each session.
        on_compaction: called before the command line shortens the conversation.
    """

    server_name: str
    server: Callable[[], McpSdkServerConfig]
    on_compaction: OnCompaction

    def options(self) -> ClaudeAgentOptions:
        """The SDK's options for a session with this host.

        There must be exactly one hook: a worker taken over from an earlier process of ours calls it by a number that
        the SDK counted up from 0 when that process introduced itself.
        """
        from claude_agent_sdk import ClaudeAgentOptions, HookMatcher

        return ClaudeAgentOptions(
            mcp_servers={self.server_name: self.server()},
            hooks={"PreCompact": [HookMatcher(hooks=[self._before_compaction], timeout=_HOOK_TIMEOUT_S)]},
            # What people write is text, never a slash command or a file reference for the command line.
            verbatim_prompts=True,
        )

    async def _before_compaction(
        self,
        data: HookInput,
        tool_use_id: str | None,  # noqa: ARG002 - the SDK's signature
        context: HookContext,  # noqa: ARG002 - as above
    ) -> SyncHookJSONOutput:
        """Keep the conversation; whatever goes wrong, the compaction goes on, since the agent could not."""
        facts: dict[str, Any] = dict(data)
        session_id = str(facts.get("session_id", ""))
        try:
            kept = await self.on_compaction(session_id)
        except (GatewayError, OSError) as error:
            _log.warning("conversation.not_archived", session=session_id[:64], reason=str(error))
        else:
            _log.info("conversation.archived", session=session_id[:64], file=kept, trigger=facts.get("trigger"))
        return {}
