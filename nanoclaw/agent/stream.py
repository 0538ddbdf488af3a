"""The agent's output in our words: SDK messages become a few small events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from claude_agent_sdk import Message, ResultMessage

_FIRST_ERROR_STATUS = 400


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A few more characters of the text being written."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A finished piece of text: the final answer, or words before a tool call."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """The agent calls a tool."""

    name: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """The command line repeats a failed model call by itself."""

    attempt: int
    status: int


@dataclass(frozen=True, slots=True)
class LimitReached:
    """The subscription's limit: `resets_at` is Unix seconds, 0 when unknown."""

    resets_at: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a turn cost; in a `translate`d result `cost_usd` is still the whole conversation's."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Done:
    """The turn is over.

    Attributes:
        text: the final answer, or the error's prose.
        is_error: no answer came out; the result's own subtype may still say success.
        status: HTTP status of the failing model call, 0 when that was not the reason.
        session_id: the conversation to continue next time; changes after a reset.
    """

    text: str
    session_id: str
    is_error: bool = False
    status: int = 0
    reason: str = ""
    usage: Usage = Usage()

    @property
    def is_aborted(self) -> bool:
        """The turn was interrupted (protocol: ``terminal_reason`` ``aborted_streaming`` or ``aborted_tools``)."""
        return self.is_error and self.reason.startswith("aborted")


AgentEvent: TypeAlias = TextDelta | Text | ToolUse | Retrying | LimitReached | Done


def translate(message: Message) -> list[AgentEvent]:
    """Events of one SDK message of the main conversation; what sub-agents say is not for the chat."""
    from claude_agent_sdk import AssistantMessage, RateLimitEvent, ResultMessage, StreamEvent, SystemMessage

    match message:
        case ResultMessage():
            return [_done(message)]
        case StreamEvent() if message.parent_tool_use_id is None:
            delta = message.event.get("delta") or {}
            is_text = message.event.get("type") == "content_block_delta" and delta.get("type") == "text_delta"
            return [TextDelta(str(delta.get("text", "")))] if is_text else []
        case AssistantMessage() if message.parent_tool_use_id is None and message.error is None:
            return _blocks(message.content)
        case RateLimitEvent() if message.rate_limit_info.status == "rejected":
            return [LimitReached(int(message.rate_limit_info.resets_at or 0))]
        case SystemMessage(subtype="api_retry"):
            data = message.data
            return [Retrying(_number(data.get("attempt")), _number(data.get("error_status") or data.get("status")))]
        case _:
            return []


def _blocks(blocks: Sequence[object]) -> list[AgentEvent]:
    from claude_agent_sdk import TextBlock, ToolUseBlock

    events: list[AgentEvent] = []
    for block in blocks:
        if isinstance(block, TextBlock) and block.text:
            events.append(Text(block.text))
        elif isinstance(block, ToolUseBlock):
            events.append(ToolUse(block.name))
    return events


def _done(message: ResultMessage) -> Done:
    usage = message.usage or {}
    cached = _number(usage.get("cache_read_input_tokens")) + _number(usage.get("cache_creation_input_tokens"))
    text = message.result or "; ".join(message.errors or ())
    status = message.api_error_status or 0
    return Done(
        text=text,
        session_id=message.session_id,
        is_error=message.is_error or status >= _FIRST_ERROR_STATUS,  # some refusals come as a success with prose
        status=status,
        reason=message.terminal_reason or message.subtype,
        usage=Usage(
            input_tokens=_number(usage.get("input_tokens")) + cached,
            output_tokens=_number(usage.get("output_tokens")),
            cost_usd=float(message.total_cost_usd or 0.0),
        ),
    )


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
