"""The Messages format as the Copilot API takes it for Claude models. Source: Anthropic API reference, Messages."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared.errors import Invalid
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

Block = Mapping[str, Any]
Message = Mapping[str, Any]

_STOPS: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_ID = re.compile(r"[^A-Za-z0-9_-]")
_MAX_ID_CHARS = 64


def text_blocks(text: str) -> list[Block]:
    """What somebody says; none for no text, since an empty block is refused."""
    return [{"type": "text", "text": text}] if text.strip() else []


def tool_call_block(call: ToolCall) -> Block:
    """An earlier tool call; arguments that were not JSON are left out, for the result says what was wrong with them."""
    try:
        arguments = call.parsed()
    except Invalid:
        arguments = {}
    return {"type": "tool_use", "id": _call_id(call.id), "name": call.name, "input": arguments}


def tool_result_block(call_id: str, output: str) -> Block:
    """What a tool said."""
    return {"type": "tool_result", "tool_use_id": _call_id(call_id), "content": output or "(nothing)"}


def joined(turns: Iterable[tuple[str, list[Block]]]) -> Sequence[Message]:
    """Turns as messages: neighbours of one role become one message, as the results of one turn's calls must.

    Args:
        turns: role (``user`` or ``assistant``) and content of each, oldest first.
    """
    messages: list[dict[str, Any]] = []
    for role, blocks in turns:
        if not blocks:
            continue
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"] = [*messages[-1]["content"], *blocks]
        else:
            messages.append({"role": role, "content": list(blocks)})
    return messages


def build_request(
    model: str, instructions: str, messages: Iterable[Message], tools: Iterable[ToolSpec] = (), *, max_tokens: int = 0
) -> dict[str, Any]:
    """Build a streamed request body.

    Args:
        model: model id without provider.
        instructions: the system prompt; empty for none.
        messages: the conversation, oldest first, beginning with the user.
        tools: what the model may call.
        max_tokens: longest reply; 0 leaves it to the gateway, which knows the model's limit.
    """
    body: dict[str, Any] = {"model": model, "messages": list(messages), "stream": True}
    if instructions:
        body["system"] = instructions
    offered = [
        {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)} for tool in tools
    ]
    if offered:
        body["tools"] = offered
    if max_tokens:
        body["max_tokens"] = max_tokens
    return body


def parse_events(chunks: AsyncIterable[bytes]) -> AsyncIterator[ProviderEvent]:
    """Parse a 200 answer's body; every failure, a broken connection included, is a `Failed` at the end."""
    return read_events(chunks, _Parser())


class _Parser:
    def __init__(self) -> None:
        self._blocks: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._arguments = ""
        self._usage = Usage()
        self._stop: StopReason = "stop"

    def take(self, event: Mapping[str, Any]) -> list[ProviderEvent]:
        match event.get("type"):
            case "message_start":
                self._count(mapping(mapping(event.get("message")).get("usage")))
            case "content_block_start":
                self._open, self._arguments = dict(mapping(event.get("content_block"))), ""
                return text_of(TextDelta, self._open.get("text"))
            case "content_block_delta":
                return self._delta(mapping(event.get("delta")))
            case "content_block_stop":
                return self._close()
            case "message_delta":
                self._stop = _STOPS.get(str(mapping(event.get("delta")).get("stop_reason")), self._stop)
                self._count(mapping(event.get("usage")))
            case "message_stop":
                return [Completed(self._usage, self._stop, tuple(self._blocks))]
            case "error":
                return [failure_of(event.get("error") or "the model failed")]
        return []

    def finish(self) -> list[ProviderEvent]:
        return cut()

    def _delta(self, delta: Mapping[str, Any]) -> list[ProviderEvent]:
        if self._open is None:
            return []
        match delta.get("type"):
            case "text_delta":
                return self._append("text", delta.get("text"), TextDelta)
            case "thinking_delta":
                return self._append("thinking", delta.get("thinking"), ReasoningDelta)
            case "signature_delta":
                self._append("signature", delta.get("signature"), TextDelta)
            case "input_json_delta":
                self._arguments += str(delta.get("partial_json") or "")
        return []

    def _append(self, name: str, piece: object, kind: type[TextDelta] | type[ReasoningDelta]) -> list[ProviderEvent]:
        if self._open is not None and isinstance(piece, str):
            self._open[name] = str(self._open.get(name) or "") + piece
        return text_of(kind, piece)

    def _close(self) -> list[ProviderEvent]:
        block, self._open = self._open, None
        if block is None:
            return []
        if block.get("type") == "tool_use":
            given = block.get("input")
            arguments = self._arguments or (json.dumps(given) if given else "")
            call = ToolCall(str(block.get("id", "")), str(block.get("name", "")), arguments)
            self._blocks.append(dict(tool_call_block(call)))
            return [call]
        if block.get("type") != "text" or str(block.get("text") or "").strip():
            self._blocks.append(block)
        return []

    def _count(self, usage: Mapping[str, Any]) -> None:
        """The input is told at the beginning, cached parts of it apart; the output at the end."""
        if "input_tokens" in usage:
            cached = count(usage.get("cache_read_input_tokens"))
            created = count(usage.get("cache_creation_input_tokens"))
            total = count(usage.get("input_tokens")) + cached + created
            self._usage = replace(self._usage, input_tokens=total, cached_tokens=cached)
        said = max(self._usage.output_tokens, count(usage.get("output_tokens")))
        self._usage = replace(self._usage, output_tokens=said)


def _call_id(call_id: str) -> str:
    """Calls made by another provider's model have ids that this format refuses."""
    return _ID.sub("_", call_id)[:_MAX_ID_CHARS] or "call"
