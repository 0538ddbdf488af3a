"""Reads requests of the three formats into one `Conversation`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gateway.sandbox.script import Conversation, Turn
from shared.json_values import mapping


def from_messages(body: Mapping[str, Any]) -> Conversation:
    """An Anthropic Messages request.

    Claude Code puts reminders beside the person's text, and a message of role ``system`` after it.
    """
    system = [_text(body.get("system"))]
    turns: list[Turn] = []
    for message in _objects(body.get("messages")):
        content = message.get("content")
        if message.get("role") == "system":
            system.append(_text(content))
        elif message.get("role") == "assistant":
            calls = {_str(b, "id"): _str(b, "name") for b in _objects(content) if b.get("type") == "tool_use"}
            turns.append(Turn("assistant", _text(content), calls))
        else:
            results = [block for block in _objects(content) if block.get("type") == "tool_result"]
            turns += [
                Turn("tool", _text(block.get("content")), call_id=_str(block, "tool_use_id")) for block in results
            ]
            if text := _text(content):
                turns.append(Turn("user", text))
    tools = tuple(_str(tool, "name") for tool in _objects(body.get("tools")))
    return Conversation("claude", _str(body, "model"), _joined(system), tuple(turns), tools)


def from_chat(body: Mapping[str, Any]) -> Conversation:
    """A chat completions request."""
    system: list[str] = []
    turns: list[Turn] = []
    for message in _objects(body.get("messages")):
        role, text = _str(message, "role"), _text(message.get("content"))
        if role in {"system", "developer"}:
            system.append(text)
        elif role == "assistant":
            calls = {
                _str(c, "id"): _str(mapping(c.get("function")), "name") for c in _objects(message.get("tool_calls"))
            }
            turns.append(Turn("assistant", text, calls))
        elif role == "tool":
            turns.append(Turn("tool", text, call_id=_str(message, "tool_call_id")))
        else:
            turns.append(Turn("user", text))
    tools = tuple(_str(mapping(tool.get("function")), "name") for tool in _objects(body.get("tools")))
    return Conversation("copilot", _str(body, "model"), _joined(system), tuple(turns), tools)


def from_responses(body: Mapping[str, Any]) -> Conversation:
    """A Responses request."""
    turns = tuple(_item_turns(_objects(body.get("input"))))
    tools = tuple(_str(tool, "name") for tool in _objects(body.get("tools")) if tool.get("type") == "function")
    return Conversation("codex", _str(body, "model"), _str(body, "instructions"), turns, tools)


def _item_turns(items: Iterable[Mapping[str, Any]]) -> Iterator[Turn]:
    for item in items:
        kind = item.get("type", "message")
        if kind == "function_call":
            yield Turn("assistant", "", {_str(item, "call_id"): _str(item, "name")})
        elif kind == "function_call_output":
            yield Turn("tool", _text(item.get("output")), call_id=_str(item, "call_id"))
        elif kind == "message" and (role := _str(item, "role")) in {"user", "assistant"}:
            yield Turn("user" if role == "user" else "assistant", _text(item.get("content")))


def token_count(*texts: str) -> int:
    """About what a tokeniser would count: four characters each."""
    return max(1, sum(len(text) for text in texts) // 4)


def conversation_tokens(conversation: Conversation) -> int:
    """The size of what was asked."""
    return token_count(conversation.system, *(turn.text for turn in conversation.turns))


def _text(content: object) -> str:
    """Text of a content field: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in _objects(content) if isinstance(part.get("text"), str))


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(text for text in texts if text)


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _str(fields: Mapping[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""
