"""The chat completions format as the Copilot API takes it. Source: OpenAI API reference; reference notes on Copilot."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.json_values import count, mapping
from shared.providers.events import (
    Completed,
    ProviderEvent,
    ReasoningDelta,
    StopReason,
    TextDelta,
    ToolCall,
    ToolSpec,
    Usage,
)
from shared.providers.failures import failure_of
from shared.providers.reading import cut, read_events

Message = Mapping[str, Any]

_STOPS: dict[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


def user_message(text: str) -> dict[str, Any]:
    """A person's message."""
    return {"role": "user", "content": text}


def assistant_message(text: str, calls: Iterable[ToolCall] = ()) -> dict[str, Any]:
    """An earlier reply with the tool calls it made."""
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    tool_calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}
        for call in calls
    ]
    if tool_calls:
        message["tool_calls"] = tool_calls
    return message


def tool_message(call_id: str, output: str) -> dict[str, Any]:
    """What a tool said."""
    return {"role": "tool", "tool_call_id": call_id, "content": output}


def build_request(
    model: str,
    instructions: str,
    messages: Iterable[Message],
    tools: Iterable[ToolSpec] = (),
    *,
    max_tokens: int | None = None,
    temperature: float | None = None,
) -> dict[str, Any]:
    """Build a streamed request body.

    Args:
        model: model id without provider.
        instructions: the system prompt; empty for none.
        messages: the conversation, oldest first.
        tools: what the model may call.
        max_tokens: longest reply; None for the model's own limit.
        temperature: None for the model's default.
    """
    system = [{"role": "system", "content": instructions}] if instructions else []
    body: dict[str, Any] = {
        "model": model,
        "messages": [*system, *messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    offered = [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
        }
        for tool in tools
    ]
    if offered:
        body["tools"] = offered
    if max_tokens is not None:
        body["max_tokens"] = max_tokens
    if temperature is not None:
        body["temperature"] = temperature
    return body


def parse_events(chunks: AsyncIterable[bytes]) -> AsyncIterator[ProviderEvent]:
    """Parse a 200 answer's body; every failure, a broken connection included, is a `Failed` at the end."""
    return read_events(chunks, _Parser())


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: str = ""


class _Parser:
    def __init__(self) -> None:
        self._calls: dict[tuple[int, int], _Call] = {}
        self._text: list[str] = []
        self._stop: StopReason | None = None
        self._usage = Usage()

    def take(self, chunk: Mapping[str, Any]) -> list[ProviderEvent]:
        if chunk.get("error"):
            return [failure_of(chunk["error"])]
        if isinstance(chunk.get("usage"), dict):
            self._usage = _usage(chunk["usage"])
        events: list[ProviderEvent] = []
        for choice in _list(chunk.get("choices")):
            events += self._choice(mapping(choice))
        return events

    def _choice(self, choice: Mapping[str, Any]) -> list[ProviderEvent]:
        delta = mapping(choice.get("delta"))
        events: list[ProviderEvent] = []
        if isinstance(thought := delta.get("reasoning_text"), str) and thought:
            events.append(ReasoningDelta(thought))
        if isinstance(text := delta.get("content"), str) and text:
            self._text.append(text)
            events.append(TextDelta(text))
        for position, part in enumerate(_list(delta.get("tool_calls"))):
            self._call(choice.get("index", 0), mapping(part), position)
        if finish := choice.get("finish_reason"):
            self._stop = _STOPS.get(str(finish), "stop")
        return events

    def _call(self, choice: object, part: Mapping[str, Any], position: int) -> None:
        index = part.get("index", position)
        key = (choice if isinstance(choice, int) else 0, index if isinstance(index, int) else position)
        call = self._calls.setdefault(key, _Call())
        function = mapping(part.get("function"))
        call.id = str(part.get("id") or call.id)
        call.name = str(function.get("name") or call.name)
        call.arguments += str(function.get("arguments") or "")

    def finish(self) -> list[ProviderEvent]:
        if self._stop is None:
            return cut()
        calls = [ToolCall(call.id, call.name, call.arguments) for _, call in sorted(self._calls.items())]
        stop: StopReason = "tool_calls" if calls and self._stop == "stop" else self._stop
        return [*calls, Completed(self._usage, stop, (assistant_message("".join(self._text), calls),))]


def _usage(fields: Mapping[str, Any]) -> Usage:
    return Usage(
        input_tokens=count(fields.get("prompt_tokens")),
        output_tokens=count(fields.get("completion_tokens")),
        cached_tokens=count(mapping(fields.get("prompt_tokens_details")).get("cached_tokens")),
        reasoning_tokens=count(mapping(fields.get("completion_tokens_details")).get("reasoning_tokens")),
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
