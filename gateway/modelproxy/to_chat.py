"""An Anthropic Messages request as a chat completions request. Source: reference notes on copilot-api, section 1.11."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from shared.errors import Invalid

Json = dict[str, Any]

_SAME = ("temperature", "top_p", "stream")
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_FAILED = "The tool failed: "


def chat_request(body: Mapping[str, Any], model_of: Callable[[str], str]) -> Json:
    """The request to send.

    Args:
        body: of a Messages request.
        model_of: turns the caller's model id into the provider's.

    Raises:
        Invalid: it is not a Messages request, or holds what chat completions cannot carry; the detail names the place.
    """
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str) or not model:
        raise _wrong("model", "must be a model's id")
    if not isinstance(messages, list) or not messages:
        raise _wrong("messages", "must be a list with at least one message")
    result: Json = {"model": model_of(model), "messages": [*_system(body.get("system"))]}
    for at, message in enumerate(messages):
        result["messages"] += _message(message, f"messages.{at}")
    if body.get("max_tokens") is not None:
        result["max_tokens"] = body["max_tokens"]
    result |= {name: body[name] for name in _SAME if body.get(name) is not None}
    if body.get("stream"):
        # Without it the usage of a streamed answer is never said.
        result["stream_options"] = {"include_usage": True}
    if body.get("stop_sequences"):
        result["stop"] = body["stop_sequences"]
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("user_id"), str):
        result["user"] = metadata["user_id"]
    _add_tools(result, body)
    return result


def _add_tools(result: Json, body: Mapping[str, Any]) -> None:
    given = body.get("tools")
    if given is None:
        return
    if not isinstance(given, list):
        raise _wrong("tools", "must be a list")
    # A tool that Anthropic's own servers would run (web search, for one) has no schema: the model must not be told
    # that it can call it, since nobody would answer.
    tools = [_tool(tool, at) for at, tool in enumerate(given) if not _runs_at_anthropic(tool)]
    if not tools:
        return
    result["tools"] = tools
    choice = body.get("tool_choice")
    if not isinstance(choice, dict):
        return
    kind = choice.get("type")
    if kind in _CHOICES:
        result["tool_choice"] = _CHOICES[kind]
    elif kind == "tool" and any(tool["function"]["name"] == choice.get("name") for tool in tools):
        result["tool_choice"] = {"type": "function", "function": {"name": choice["name"]}}
    if choice.get("disable_parallel_tool_use"):
        result["parallel_tool_calls"] = False


def _runs_at_anthropic(tool: object) -> bool:
    return isinstance(tool, dict) and tool.get("type", "custom") != "custom" and "input_schema" not in tool


def _tool(tool: object, at: int) -> Json:
    if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
        raise _wrong(f"tools.{at}", "must be an object with a name")
    schema = tool.get("input_schema")
    function: Json = {
        "name": tool["name"],
        "parameters": schema if isinstance(schema, dict) else {"type": "object", "properties": {}},
    }
    if isinstance(tool.get("description"), str):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def _system(system: object) -> Iterator[Json]:
    if isinstance(system, str) and system:
        yield {"role": "system", "content": system}
    elif isinstance(system, list):
        text = _joined(_texts(system))
        if text:
            yield {"role": "system", "content": text}


def _message(message: object, place: str) -> list[Json]:
    if not isinstance(message, dict):
        raise _wrong(place, "must be an object")
    role, content = message.get("role"), message.get("content")
    if role not in {"user", "assistant", "system"}:
        raise _wrong(f"{place}.role", "must be user or assistant")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise _wrong(f"{place}.content", "must be text or a list of content blocks")
    if role == "assistant":
        return [_assistant(content, place)]
    if role == "system":
        return list(_system(content))
    return _user(content, place)


def _user(blocks: Sequence[Json], place: str) -> list[Json]:
    messages: list[Json] = []
    rest: list[Json] = []
    for at, block in enumerate(blocks):
        where = f"{place}.content.{at}"
        if block.get("type") == "tool_result":
            # Results come first and next to the calls they answer; pictures in them follow as the person's.
            result, pictures = _tool_result(block, where)
            messages.append(result)
            rest += pictures
        else:
            rest += _parts(block, where)
    if rest:
        messages.append({"role": "user", "content": _content(rest)})
    return messages or [{"role": "user", "content": ""}]


def _tool_result(block: Json, where: str) -> tuple[Json, list[Json]]:
    call_id = block.get("tool_use_id")
    if not isinstance(call_id, str):
        raise _wrong(f"{where}.tool_use_id", "must be the id of a tool call")
    given = block.get("content")
    parts: list[Json] = []
    if isinstance(given, str):
        parts = [{"type": "text", "text": given}]
    elif isinstance(given, list):
        for at, inner in enumerate(given):
            if not isinstance(inner, dict):
                raise _wrong(f"{where}.content.{at}", "must be a content block")
            parts += _parts(inner, f"{where}.content.{at}")
    text = _joined([part["text"] for part in parts if part["type"] == "text"])
    pictures = [part for part in parts if part["type"] == "image_url"]
    if block.get("is_error"):
        # Chat completions have no field for it, and a model that is not told takes the failure for an answer.
        text = _FAILED + (text or "no reason was given")
    if pictures and not text:
        text = "The tool's picture follows."
    return {"role": "tool", "tool_call_id": call_id, "content": text}, pictures


def _parts(block: Json, where: str) -> list[Json]:
    match block.get("type"):
        case "text":
            return [{"type": "text", "text": str(block.get("text", ""))}]
        case "thinking":
            return [{"type": "text", "text": str(block.get("thinking", ""))}]
        case "redacted_thinking":
            return []
        case "image":
            return [{"type": "image_url", "image_url": {"url": _picture(block.get("source"), where)}}]
        case "document":
            return [{"type": "text", "text": _document(block, where)}]
        case "search_result":
            texts = _joined(_texts(block.get("content") or []))
            return [
                {"type": "text", "text": _joined([str(block.get("title", "")), str(block.get("source", "")), texts])}
            ]
        case other:
            raise _wrong(where, f"a block of type {str(other)[:40]!r} cannot be sent to this model")


def _picture(source: object, where: str) -> str:
    if isinstance(source, dict):
        if source.get("type") == "base64" and isinstance(source.get("data"), str):
            return f"data:{source.get('media_type', 'image/png')};base64,{source['data']}"
        if source.get("type") == "url" and isinstance(source.get("url"), str):
            return str(source["url"])
    raise _wrong(f"{where}.source", "must be a base64 or url picture; uploaded files are not known here")


def _document(block: Json, where: str) -> str:
    source = block.get("source")
    title = str(block.get("title") or "")
    if isinstance(source, dict):
        if source.get("type") == "text" and isinstance(source.get("data"), str):
            return _joined([title, source["data"]])
        if source.get("type") == "content":
            inner = source.get("content")
            text = inner if isinstance(inner, str) else _joined(_texts(inner or []))
            return _joined([title, text])
    raise _wrong(f"{where}.source", "only documents of plain text can be sent to this model")


def _assistant(blocks: Sequence[Json], place: str) -> Json:
    calls: list[Json] = []
    texts: list[str] = []
    for at, block in enumerate(blocks):
        if block.get("type") == "tool_use":
            if not isinstance(block.get("id"), str) or not isinstance(block.get("name"), str):
                raise _wrong(f"{place}.content.{at}", "a tool call needs an id and a name")
            arguments = json.dumps(block.get("input") or {}, ensure_ascii=False)
            function = {"name": block["name"], "arguments": arguments}
            calls.append({"id": block["id"], "type": "function", "function": function})
        elif block.get("type") == "text":
            texts.append(str(block.get("text", "")))
        # Earlier thinking is signed for Anthropic; as plain words it would only be repeated by the model.
    message: Json = {"role": "assistant", "content": _joined(texts) or None}
    if calls:
        message["tool_calls"] = calls
    elif message["content"] is None:
        message["content"] = ""
    return message


def _content(parts: Sequence[Json]) -> str | list[Json]:
    if any(part["type"] == "image_url" for part in parts):
        return list(parts)
    return _joined([part["text"] for part in parts])


def _texts(blocks: object) -> list[str]:
    if not isinstance(blocks, list):
        return []
    return [str(block.get("text", "")) for block in blocks if isinstance(block, dict) and block.get("type") == "text"]


def _joined(texts: Sequence[str]) -> str:
    return "\n\n".join(text for text in texts if text)


def _wrong(place: str, why: str) -> Invalid:
    return Invalid(f"{place}: {why}", code="model.body")
