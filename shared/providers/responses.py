"""The Responses format as the Codex backend takes it. Source: reference notes on chatgpt.com/backend-api/codex."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
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
from shared.providers.reading import cut, read_events, text_of

Item = Mapping[str, Any]


def user_item(text: str) -> dict[str, Any]:
    """A person's message."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def assistant_item(text: str) -> dict[str, Any]:
    """An earlier reply, when the provider's own items were not kept."""
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def tool_call_item(call: ToolCall) -> dict[str, Any]:
    """An earlier tool call, when the provider's own items were not kept."""
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def tool_result_item(call_id: str, output: str) -> dict[str, Any]:
    """What a tool said."""
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def build_request(
    model: str,
    instructions: str,
    items: Iterable[Item],
    tools: Iterable[ToolSpec] = (),
    *,
    session_id: str = "",
    effort: str = "",
    verbosity: str = "medium",
) -> dict[str, Any]:
    """Build a request body.

    Args:
        model: model id without provider.
        instructions: the system prompt; the backend refuses an empty one.
        items: the conversation, oldest first.
        tools: what the model may call.
        session_id: groups requests for the provider's prompt cache.
        effort: reasoning effort, empty for the model's default.
        verbosity: how long answers are; empty for the model's default, as Copilot wants it.
    """
    body: dict[str, Any] = {
        "model": model,
        # The backend refuses anything else.
        "store": False,
        "stream": True,
        "instructions": instructions or "You are a helpful assistant.",
        "input": list(items),
        "tools": [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
                "strict": False,
            }
            for tool in tools
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        # Without storage the model's thinking comes back encrypted, to be sent along with the next request.
        "include": ["reasoning.encrypted_content"],
    }
    if verbosity:
        body["text"] = {"verbosity": verbosity}
    if effort:
        body["reasoning"] = {"effort": effort, "summary": "auto"}
    if session_id:
        body["prompt_cache_key"] = session_id
    return body


def parse_events(chunks: AsyncIterable[bytes]) -> AsyncIterator[ProviderEvent]:
    """Parse a 200 answer's body; every failure, a broken connection included, is a `Failed` at the end."""
    return read_events(chunks, _Parser())


class _Parser:
    def __init__(self) -> None:
        self._items: list[Item] = []
        self._told: set[str] = set()
        self._called = False

    def take(self, event: Mapping[str, Any]) -> list[ProviderEvent]:
        kind = str(event.get("type", ""))
        if kind in {"response.output_text.delta", "response.refusal.delta"}:
            self._told.add(str(event.get("output_index", event.get("item_id"))))
            return text_of(TextDelta, event.get("delta"))
        if kind == "response.reasoning_summary_text.delta":
            return text_of(ReasoningDelta, event.get("delta"))
        if kind == "response.output_item.done":
            return self._item(event)
        if kind in {"response.completed", "response.done", "response.incomplete"}:
            return [self._completed(mapping(event.get("response")))]
        if kind == "response.failed":
            return [failure_of(mapping(event.get("response")).get("error") or "the model failed")]
        if kind == "error":
            return [failure_of(event.get("error") or {key: value for key, value in event.items() if key != "type"})]
        return []

    def finish(self) -> list[ProviderEvent]:
        return cut()

    def _item(self, event: Mapping[str, Any]) -> list[ProviderEvent]:
        item = mapping(event.get("item"))
        self._items.append(item)
        if item.get("type") == "function_call":
            self._called = True
            return [ToolCall(str(item.get("call_id", "")), str(item.get("name", "")), str(item.get("arguments") or ""))]
        if item.get("type") == "message" and str(event.get("output_index", item.get("id"))) not in self._told:
            # Some answers carry the text only here.
            content = item.get("content")
            parts = content if isinstance(content, list) else []
            return text_of(TextDelta, "".join(str(mapping(part).get("text") or "") for part in parts))
        return []

    def _completed(self, response: Mapping[str, Any]) -> Completed:
        usage = mapping(response.get("usage"))
        stop: StopReason = "tool_calls" if self._called else "stop"
        if response.get("status") == "incomplete":
            reason = mapping(response.get("incomplete_details")).get("reason")
            stop = "content_filter" if reason == "content_filter" else "length"
        return Completed(
            Usage(
                input_tokens=count(usage.get("input_tokens")),
                output_tokens=count(usage.get("output_tokens")),
                cached_tokens=count(mapping(usage.get("input_tokens_details")).get("cached_tokens")),
                reasoning_tokens=count(mapping(usage.get("output_tokens_details")).get("reasoning_tokens")),
            ),
            stop,
            tuple(self._items),
        )
