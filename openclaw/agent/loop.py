"""One run of the agent: ask a model, run the tools it calls, ask again, until it has nothing more to call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from openclaw.agent.models import Models, NoModel, Restarted, model_id, provider_of
from openclaw.agent.tools import ToolContext, ToolRegistry, ToolResult
from openclaw.agent.turns import Turn
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.providers import Completed, TextDelta, ToolCall, Usage

Record = Callable[[dict[str, Any]], Awaitable[object]]
"""Makes a message of the conversation durable."""


@dataclass(slots=True)
class RunEvents:
    """What the loop tells while it works; each may be left out.

    Attributes:
        on_text: the whole text of the run so far.
        on_tool: a call, and its result once it is there.
    """

    on_text: Callable[[str], None] = field(default=lambda _text: None)
    on_tool: Callable[[ToolCall, ToolResult | None], None] = field(default=lambda _call, _result: None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run came to.

    Attributes:
        text: the whole text of the run.
        message: the last assistant message, not yet recorded.
        context_tokens: input of the last call: how full the model's window is.
    """

    text: str
    message: dict[str, Any]
    model: str
    usage: Usage
    context_tokens: int


class AgentLoop:
    """Runs the agent over a conversation.

    Args:
        max_rounds: model calls in one run.
    """

    def __init__(self, models: Models, tools: ToolRegistry, *, max_rounds: int, clock: Clock = SYSTEM_CLOCK) -> None:
        self.models = models
        self.tools = tools
        self._max_rounds = max_rounds
        self._clock = clock

    async def run(
        self,
        instructions: str,
        turns: Sequence[Turn],
        *,
        context: ToolContext,
        session_id: str,
        record: Record,
        events: RunEvents,
    ) -> Answer:
        """Answer the last turn.

        Raises:
            NoModel: no model answered, or the agent called tools without end.
        """
        conversation = list(turns)
        before = ""
        total = Usage()
        for _ in range(self._max_rounds):
            answer = await self._round(instructions, conversation, context, session_id, before, events)
            total = _sum(total, answer.usage)
            message = self._message(answer)
            text = _join(before, answer.text)
            if not answer.calls:
                return Answer(text, message, answer.model, total, answer.usage.input_tokens)
            await record(message)
            conversation.append(
                Turn("assistant", answer.text, answer.calls, native=answer.items, native_for=answer.model)
            )
            for call in answer.calls:
                events.on_tool(call, None)
                result = await self.tools.run(call, context)
                events.on_tool(call, result)
                await record(self._tool_message(call, result))
                conversation.append(Turn("tool", result.text, call_id=call.id))
            before = text
        raise NoModel(f"the agent called tools {self._max_rounds} times without an answer", code="model.rounds")

    async def _round(
        self,
        instructions: str,
        conversation: Sequence[Turn],
        context: ToolContext,
        session_id: str,
        before: str,
        events: RunEvents,
    ) -> _Round:
        answer = _Round("", "")
        stream = self.models.stream(
            instructions, conversation, self.tools.specs, run_id=context.run_id, session_id=session_id
        )
        async for model, event in stream:
            if isinstance(event, Restarted):
                answer = _Round(model, "")
            elif isinstance(event, TextDelta):
                answer = replace(answer, model=model, text=answer.text + event.text)
                events.on_text(_join(before, answer.text))
            elif isinstance(event, ToolCall):
                answer = replace(answer, model=model, calls=(*answer.calls, event))
            elif isinstance(event, Completed):
                answer = replace(answer, model=model, usage=event.usage, items=event.items)
        return answer

    def _message(self, answer: _Round) -> dict[str, Any]:
        content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
        content += [
            {"type": "toolCall", "id": call.id, "name": call.name, "arguments": call.arguments} for call in answer.calls
        ]
        return {
            "role": "assistant",
            "content": content,
            "timestamp": unix_ms(self._clock.now()),
            "provider": provider_of(answer.model),
            "model": model_id(answer.model),
            "usage": {"input": answer.usage.input_tokens, "output": answer.usage.output_tokens},
            "stopReason": "toolUse" if answer.calls else "stop",
        }

    def _tool_message(self, call: ToolCall, result: ToolResult) -> dict[str, Any]:
        return {
            "role": "toolResult",
            "toolCallId": call.id,
            "toolName": call.name,
            "content": [{"type": "text", "text": result.text}],
            "isError": result.is_error,
            "timestamp": unix_ms(self._clock.now()),
        }


@dataclass(frozen=True, slots=True)
class _Round:
    model: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    items: tuple[Any, ...] = ()


def _join(before: str, text: str) -> str:
    return f"{before}\n\n{text}" if before and text else before or text


def _sum(a: Usage, b: Usage) -> Usage:
    return Usage(
        a.input_tokens + b.input_tokens,
        a.output_tokens + b.output_tokens,
        a.cached_tokens + b.cached_tokens,
        a.reasoning_tokens + b.reasoning_tokens,
    )
