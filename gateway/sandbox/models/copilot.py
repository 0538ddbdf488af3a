"""The Copilot API: chat completions, Responses, Messages, models, embeddings. Source: reference notes on Copilot."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

from gateway.sandbox.models.claude import messages_stream, messages_whole
from gateway.sandbox.models.codex import responses_stream
from gateway.sandbox.models.conversations import (
    conversation_tokens,
    from_chat,
    from_messages,
    from_responses,
    token_count,
)
from gateway.sandbox.models.github import DeviceFlow, api_operations, site_operations
from gateway.sandbox.models.tokens import Tokens
from gateway.sandbox.models.wire import Emulator, Operation, Reply, Request, event
from gateway.sandbox.script import Call, Conversation, Refuse, Say, Script, Stall, Step
from shared.ids import new_id

_MODELS = (
    "gpt-4o-mini",
    "gpt-4o",
    "gpt-4.1",
    "gpt-5-mini",
    "gpt-5",
    "gpt-5.1",
    "gpt-5.2",
    "gpt-5.1-codex",
    "gpt-5.1-codex-mini",
    "gpt-5.1-codex-max",
    "gpt-5.2-codex",
    "claude-haiku-4.5",
    "claude-sonnet-4",
    "claude-sonnet-4.5",
    "claude-sonnet-4.6",
    "claude-opus-4.5",
    "claude-opus-4.6",
    "gemini-2.5-pro",
    "gemini-3-pro-preview",
    "gemini-3-flash-preview",
    "gemini-3.1-pro-preview",
    "grok-code-fast-1",
)
_CHAT, _RESPONSES, _MESSAGES = "/chat/completions", "/responses", "/v1/messages"
_ONLY_MESSAGES = "claude-opus-4.6"
"""One model that speaks nothing else, as newer ones do."""
_EMBEDDING_MODEL = "text-embedding-3-small"
_REQUIRED_HEADERS = {"editor-version": "Editor-Version", "copilot-integration-id": "Copilot-Integration-Id"}
_DIMENSIONS = 16
_NOT_FOUND = Reply(404, b"404 page not found\n", "text/plain; charset=utf-8")
_VENDORS = {"gpt": "Azure OpenAI", "claude": "Anthropic", "gemini": "Google", "grok": "xAI"}


def copilot_api(script: Script, tokens: Tokens) -> Emulator:
    """The Copilot API."""
    return Emulator("copilot", copilot_operations(script, tokens), not_found=_NOT_FOUND)


def one_address(script: Script, tokens: Tokens, base: str, flow: DeviceFlow) -> Emulator:
    """GitHub's login, GitHub's API and the Copilot API behind one address, as ``--upstream-base`` expects them.

    Args:
        script: what the model says.
        tokens: who is signed in.
        base: that address, which the Copilot token names.
        flow: sign-ins under way.
    """
    operations = [*site_operations(flow), *api_operations(tokens, base), *copilot_operations(script, tokens)]
    return Emulator("copilot", operations, not_found=_NOT_FOUND)


def copilot_operations(script: Script, tokens: Tokens) -> list[Operation]:
    """What the Copilot API understands."""
    api = _Api(script, tokens)
    return [
        Operation("POST", _CHAT, "chat.completions", api.chat),
        Operation("POST", _RESPONSES, "responses", api.responses),
        Operation("POST", _MESSAGES, "messages", api.messages),
        Operation("GET", "/models", "models", api.models),
        Operation("POST", "/embeddings", "embeddings", api.embeddings),
    ]


class _Api:
    def __init__(self, script: Script, tokens: Tokens) -> None:
        self._script = script
        self._tokens = tokens

    async def models(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        return Reply.of({"object": "list", "data": [_model(name) for name in (*_MODELS, _EMBEDDING_MODEL)]})

    async def embeddings(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        body = request.json if isinstance(request.json, dict) else {}
        given = body.get("input")
        texts = [str(text) for text in given] if isinstance(given, list) else [str(given or "")]
        data = [{"object": "embedding", "index": at, "embedding": _vector(text)} for at, text in enumerate(texts)]
        usage = {"prompt_tokens": token_count(*texts), "total_tokens": token_count(*texts)}
        return Reply.of({"object": "list", "data": data, "model": body.get("model", _EMBEDDING_MODEL), "usage": usage})

    async def chat(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        body = request.json
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list) or not body["messages"]:
            return _error(400, "invalid_request_body", "the request body is not a chat completion request")
        if unsupported := _unsupported(body, _CHAT):
            return unsupported
        conversation = from_chat(body)
        steps = self._script.answer(conversation)
        if isinstance(steps[0], Refuse):
            return _refusal(steps[0])
        headers = {"x-request-id": new_id("req"), "x-github-request-id": new_id("gh")}
        if body.get("stream"):
            options = body.get("stream_options")
            with_usage = isinstance(options, dict) and options.get("include_usage") is True
            stream = _stream(conversation, steps, with_usage=with_usage)
            return Reply(200, content_type="text/event-stream", headers=headers, stream=stream)
        return Reply.of(await _whole(conversation, steps), headers=headers)

    async def responses(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        body = request.json
        if not isinstance(body, dict) or not isinstance(body.get("input"), list) or body.get("stream") is not True:
            return _error(400, "invalid_request_body", "the request body is not a streamed responses request")
        if unsupported := _unsupported(body, _RESPONSES):
            return unsupported
        conversation = replace(from_responses(body), upstream="copilot")
        steps = self._script.answer(conversation)
        if isinstance(steps[0], Refuse):
            return _refusal(steps[0])
        headers = {"x-request-id": new_id("req"), "x-github-request-id": new_id("gh")}
        stream = responses_stream(conversation, steps)
        return Reply(200, content_type="text/event-stream", headers=headers, stream=stream)

    async def messages(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        body = request.json
        if not isinstance(body, dict) or not body.get("max_tokens") or not isinstance(body.get("messages"), list):
            return _error(400, "invalid_request_body", "the request body is not a messages request")
        if "anthropic-version" not in request.headers:
            return _error(400, "invalid_request_body", "anthropic-version: header is required")
        if unsupported := _unsupported(body, _MESSAGES):
            return unsupported
        conversation = replace(from_messages(body), upstream="copilot")
        steps = self._script.answer(conversation)
        if isinstance(steps[0], Refuse):
            return _refusal(steps[0])
        headers = {"x-request-id": new_id("req"), "x-github-request-id": new_id("gh")}
        if body.get("stream"):
            stream = messages_stream(conversation, steps)
            return Reply(200, content_type="text/event-stream", headers=headers, stream=stream)
        return Reply.of(await messages_whole(conversation, steps), headers=headers)

    def _refuse(self, request: Request) -> Reply | None:
        bearer = request.bearer()
        if not bearer:
            return Reply(401, b"unauthorized: AuthenticateToken authentication failed\n", "text/plain; charset=utf-8")
        if self._tokens.valid(bearer, "copilot") is None:
            return Reply(401, b"unauthorized: token expired\n", "text/plain; charset=utf-8")
        for name, shown in _REQUIRED_HEADERS.items():
            if name not in request.headers:
                return Reply(400, f"bad request: missing {shown} header for IDE auth\n".encode(), "text/plain")
        request.log.credential = "token"
        return None


def _endpoints(model: str) -> list[str]:
    if model == _ONLY_MESSAGES:
        return [_MESSAGES]
    if "codex" in model:
        return [_RESPONSES]
    if model.startswith("claude-"):
        return [_CHAT, _MESSAGES]
    return [_CHAT, _RESPONSES] if model.startswith("gpt-5") else [_CHAT]


def _unsupported(body: Mapping[str, Any], path: str) -> Reply | None:
    model = body.get("model")
    if model not in _MODELS:
        return _error(400, "model_not_supported", "The requested model is not supported.")
    if path not in _endpoints(model):
        return _error(400, "unsupported_api_for_model", f"model {model} is not accessible via the {path} endpoint")
    return None


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    kind = "invalid_request_error" if status == 400 else code
    return Reply.of({"error": {"message": message, "code": code, "type": kind}}, status, headers)


def _refusal(step: Refuse) -> Reply:
    if step.body is not None:
        return Reply.of(step.body, step.status, step.headers)
    if step.status == 429:
        return _error(
            429, "rate_limited", "Sorry, you have exceeded your rate limit.", {"retry-after": "1", **step.headers}
        )
    return _error(step.status, "server_error", "scripted refusal", step.headers)


def _model(name: str) -> dict[str, Any]:
    family = "embeddings" if name == _EMBEDDING_MODEL else "chat"
    vendor = next((vendor for prefix, vendor in _VENDORS.items() if name.startswith(prefix)), "Azure OpenAI")
    return {
        "id": name,
        "name": name,
        "object": "model",
        "vendor": vendor,
        "version": name,
        "preview": "preview" in name,
        "model_picker_enabled": True,
        "supported_endpoints": _endpoints(name),
        "billing": {"is_premium": name not in {"gpt-4o", "gpt-4.1", "gpt-5-mini", "gpt-4o-mini"}, "multiplier": 1},
        "capabilities": {
            "family": name,
            "type": family,
            "tokenizer": "o200k_base",
            "object": "model_capabilities",
            "limits": {
                "max_context_window_tokens": 200_000,
                "max_output_tokens": 16_384,
                "max_prompt_tokens": 128_000,
            },
            "supports": {"streaming": True, "tool_calls": True, "parallel_tool_calls": True},
        },
    }


def _vector(text: str) -> list[float]:
    digest = hashlib.sha256(text.encode()).digest()
    return [round(byte / 127.5 - 1, 4) for byte in digest[:_DIMENSIONS]]


def _tool_call(step: Call) -> dict[str, Any]:
    function = {"name": step.tool, "arguments": json.dumps(dict(step.args))}
    return {"id": new_id("call"), "type": "function", "function": function}


def _usage(conversation: Conversation, said: int) -> dict[str, Any]:
    asked = conversation_tokens(conversation)
    return {
        "prompt_tokens": asked,
        "completion_tokens": max(1, said // 4),
        "total_tokens": asked + max(1, said // 4),
        "prompt_tokens_details": {"cached_tokens": 0},
    }


async def _whole(conversation: Conversation, steps: list[Step]) -> dict[str, Any]:
    text: list[str] = []
    calls: list[dict[str, Any]] = []
    for step in steps:
        match step:
            case Say(said, after_s):
                await asyncio.sleep(after_s)
                text.append(said)
            case Stall(seconds):
                await asyncio.sleep(seconds)
            case Call():
                calls.append(_tool_call(step))
    message: dict[str, Any] = {"role": "assistant", "content": "".join(text) or None}
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    return {
        "id": new_id("chatcmpl"),
        "object": "chat.completion",
        "created": 0,
        "model": conversation.model,
        "choices": [choice],
        "usage": _usage(conversation, sum(map(len, text))),
    }


async def _stream(conversation: Conversation, steps: list[Step], *, with_usage: bool) -> AsyncGenerator[bytes, None]:
    head = {
        "id": new_id("chatcmpl"),
        "object": "chat.completion.chunk",
        "created": 0,
        "model": conversation.model,
    }

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    yield chunk({"role": "assistant", "content": ""})
    said, calls = 0, 0
    for step in steps:
        match step:
            case Say(text, after_s):
                await asyncio.sleep(after_s)
                said += len(text)
                yield chunk({"content": text})
            case Stall(seconds):
                await asyncio.sleep(seconds)
            case Call():
                call = _tool_call(step)
                arguments = call["function"]["arguments"]
                begun = call | {"index": calls, "function": {"name": step.tool, "arguments": ""}}
                yield chunk({"tool_calls": [begun]})
                middle = len(arguments) // 2
                for part in (arguments[:middle], arguments[middle:]):
                    yield chunk({"tool_calls": [{"index": calls, "function": {"arguments": part}}]})
                calls += 1
    yield chunk({}, "tool_calls" if calls else "stop")
    if with_usage:
        yield event({**head, "choices": [], "usage": _usage(conversation, said)})
    yield b"data: [DONE]\n\n"
