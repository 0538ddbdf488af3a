"""Chat completions answers as Anthropic Messages answers. Source: reference notes on copilot-api, section 1.12."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.modelproxy.dialects import anthropic_error_type
from shared.errors import UpstreamError
from shared.http.sse import SseParser, encode_sse
from shared.ids import new_id
from shared.json_values import count, mapping, object_of

Json = dict[str, Any]

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_DONE = "[DONE]"
_UNREADABLE = "arguments_not_json"


def whole_answer(raw: bytes, model: str) -> bytes:
    """A complete answer.

    Args:
        raw: the provider's body.
        model: as the caller spelled it.

    Raises:
        UpstreamError: it is not a chat completion.
    """
    body = object_of(raw) or {}
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise UpstreamError("the provider's answer is not a chat completion", status=200, code="upstream.answer")
    content: list[Json] = []
    calls: list[Json] = []
    finish: object = None
    for choice in choices:
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            continue
        finish = choice.get("finish_reason") or finish
        text = message.get("content") or message.get("refusal")
        if isinstance(text, str) and text:
            content.append({"type": "text", "text": text})
        calls += [_tool_use(call) for call in message.get("tool_calls") or [] if isinstance(call, dict)]
    answer = {
        "id": str(body.get("id") or new_id("msg")),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content + calls,
        "stop_reason": _stop_reason(finish, called=bool(calls)),
        "stop_sequence": None,
        "usage": usage_of(body.get("usage")),
    }
    return json.dumps(answer, ensure_ascii=False).encode()


def error_answer_of(status: int, raw: bytes) -> bytes:
    """A provider's refusal in Anthropic's shape; its words are kept, its wrapping is not."""
    error = (object_of(raw) or {}).get("error")
    said = error.get("message") if isinstance(error, dict) else error
    text = said if isinstance(said, str) and said else raw.decode("utf-8", "replace").strip()
    if not text or text.startswith("<"):
        text = f"the provider answered {status}"
    body = {"type": "error", "error": {"type": anthropic_error_type(status), "message": text[:2000]}}
    return json.dumps(body, ensure_ascii=False).encode()


def usage_of(usage: object) -> Json:
    """Token counts as Anthropic says them: cached input is counted apart."""
    fields = mapping(usage)
    details = mapping(fields.get("prompt_tokens_details"))
    cached = count(details.get("cached_tokens"))
    result: Json = {
        "input_tokens": max(0, count(fields.get("prompt_tokens")) - cached),
        "output_tokens": count(fields.get("completion_tokens")),
    }
    if "cached_tokens" in details:
        result["cache_read_input_tokens"] = cached
    return result


class StreamTranslator:
    """Turns chunks of a chat completion into a Messages event stream, whatever pieces they come in.

    The end is held back until the provider's own end, because usage often follows the last chunk with a choice.

    Args:
        model: as the caller spelled it.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._parser = SseParser()
        self._id = ""
        self._started = False
        self._ended = False
        self._finish: object = None
        self._usage: object = None
        self._index = -1
        self._open: str | int | None = None  # "text", or the number of the tool call whose block is open
        self._held_text = ""
        self._calls: dict[int, Json] = {}

    def feed(self, chunk: bytes) -> bytes:
        """Take the provider's next bytes, give the caller's.

        Raises:
            UpstreamError: the stream says that it failed, or is no event stream.
        """
        out: list[bytes] = []
        for event in self._parser.feed(chunk):
            if event.data == _DONE:
                out += self._end()
            else:
                out += self._chunk(event.data)
        return b"".join(out)

    def rest(self) -> bytes:
        """What is left to say after an orderly end of the provider's stream.

        Raises:
            UpstreamError: the provider's stream ended before its answer did.
        """
        if self._ended:
            return b""
        if self._finish is None:
            raise UpstreamError("the provider's stream ended before its answer did", status=200, code="upstream.cut")
        return b"".join(self._end())

    def _chunk(self, data: str) -> list[bytes]:
        chunk = object_of(data) or {}
        if error := chunk.get("error"):
            said = error.get("message") if isinstance(error, dict) else error
            raise UpstreamError(f"the provider broke off: {str(said)[:300]}", status=200, code="upstream.stream")
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        self._id = self._id or str(chunk.get("id") or "")
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict) or self._ended:
            return []
        out = self._start()
        choice = choices[0]
        delta = choice.get("delta")
        if isinstance(delta, dict):
            out += self._delta(delta)
        if choice.get("finish_reason"):
            self._finish = choice["finish_reason"]
        return out

    def _delta(self, delta: Mapping[str, Any]) -> list[bytes]:
        out: list[bytes] = []
        for text in (delta.get("content"), delta.get("refusal")):
            if not isinstance(text, str) or not text:
                continue
            if isinstance(self._open, int) and not _is_whole(self._calls[self._open]):
                self._held_text += text
                continue
            out += self._text(text)
        calls = delta.get("tool_calls")
        for at, call in enumerate(calls if isinstance(calls, list) else []):
            if isinstance(call, dict):
                number = call.get("index")
                out += self._call(number if isinstance(number, int) else at, call)
        return out

    def _text(self, text: str) -> list[bytes]:
        out = [] if self._open == "text" else self._open_block("text", {"type": "text", "text": ""})
        return [*out, self._delta_event({"type": "text_delta", "text": text})]

    def _call(self, number: int, call: Mapping[str, Any]) -> list[bytes]:
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        begun = self._calls.setdefault(number, {"id": "", "name": "", "args": "", "open": False})
        begun["id"] = begun["id"] or str(call.get("id") or "")
        begun["name"] = begun["name"] or str(function.get("name") or "")
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            begun["args"] += arguments
        # Blocks may not overlap: a call whose pieces mix with another's unfinished one is kept for the end.
        others = isinstance(self._open, int) and self._open != number and not _is_whole(self._calls[self._open])
        if others or begun["open"] is None or not begun["name"]:
            return []
        out: list[bytes] = []
        if not begun["open"]:
            out += self._open_call(number, begun)
        elif isinstance(arguments, str) and arguments:
            out.append(self._delta_event({"type": "input_json_delta", "partial_json": arguments}))
        return out

    def _open_call(self, number: int, call: Json) -> list[bytes]:
        call["open"] = True
        block = {"type": "tool_use", "id": call["id"] or new_id("call"), "name": call["name"], "input": {}}
        out = self._open_block(number, block)
        if call["args"]:
            out.append(self._delta_event({"type": "input_json_delta", "partial_json": call["args"]}))
        return out

    def _open_block(self, what: str | int, block: Json) -> list[bytes]:
        out = self._close_block()
        self._index += 1
        self._open = what
        out.append(_event("content_block_start", {"index": self._index, "content_block": block}))
        return out

    def _close_block(self) -> list[bytes]:
        if self._open is None:
            return []
        if isinstance(self._open, int):
            self._calls[self._open]["open"] = None  # closed for good
        self._open = None
        return [_event("content_block_stop", {"index": self._index})]

    def _delta_event(self, delta: Json) -> bytes:
        return _event("content_block_delta", {"index": self._index, "delta": delta})

    def _start(self) -> list[bytes]:
        if self._started:
            return []
        self._started = True
        message: Json = {
            "id": self._id or new_id("msg"),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage_of(self._usage), "output_tokens": 0},
        }
        return [_event("message_start", {"message": message})]

    def _end(self) -> list[bytes]:
        if self._ended:
            return []
        out = self._start()
        out += self._close_block()
        if self._held_text:
            out += self._text(self._held_text)
            out += self._close_block()
        for number, call in self._calls.items():
            if call["open"] is False and call["name"]:
                out += self._open_call(number, call)
                out += self._close_block()
        self._ended = True
        reason = _stop_reason(self._finish, called=any(call["name"] for call in self._calls.values()))
        delta = {"stop_reason": reason, "stop_sequence": None}
        out.append(_event("message_delta", {"delta": delta, "usage": usage_of(self._usage)}))
        out.append(_event("message_stop", {}))
        return out


def _is_whole(call: Json) -> bool:
    try:
        json.loads(call["args"])
    except (ValueError, RecursionError):
        return False
    return True


def _tool_use(call: Mapping[str, Any]) -> Json:
    function = mapping(call.get("function"))
    arguments = function.get("arguments")
    parsed = (object_of(arguments) if isinstance(arguments, str) else None) or {}
    if not parsed and isinstance(arguments, str) and arguments.strip() not in {"", "{}"}:
        # The model wrote broken JSON. The tool's own check refuses it and the model tries again; a 500 would end it.
        parsed = {_UNREADABLE: arguments}
    return {
        "type": "tool_use",
        "id": str(call.get("id") or new_id("call")),
        "name": str(function.get("name", "")),
        "input": parsed,
    }


def _stop_reason(finish: object, *, called: bool) -> str:
    # Some models end a turn of tool calls with a plain stop.
    if called and finish in {"stop", None}:
        return "tool_use"
    return _STOP_REASONS.get(str(finish), "end_turn")


def _event(name: str, fields: Json) -> bytes:
    return encode_sse(json.dumps({"type": name, **fields}, ensure_ascii=False, separators=(",", ":")), event=name)
