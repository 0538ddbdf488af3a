"""Claude: the Messages API and its token endpoint. Source: reference notes on Claude Code and Claude OAuth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from typing import Any

from gateway.sandbox.models.consent import DECISION, asked, denial, query_of, refused, sent_back, shown_code
from gateway.sandbox.models.conversations import conversation_tokens, from_messages, token_count
from gateway.sandbox.models.tokens import ACCOUNT_ID, EMAIL, Tokens
from gateway.sandbox.models.wire import Emulator, Operation, Reply, Request, event
from gateway.sandbox.script import Call, Conversation, Refuse, Say, Script, Stall, Step
from shared.ids import new_id

ACCESS_LIFETIME = timedelta(hours=8)
REFRESH_LIFETIME = timedelta(days=90)
SCOPES = "user:profile user:inference user:sessions:claude_code user:mcp_servers"
_CLIENT_ID = "9d1c250a-e61b-44d9-88ed-5944d1962f5e"
_OAUTH_BETA = "oauth-2025-04-20"

_MODELS = ("claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5")
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def claude_api(script: Script, tokens: Tokens) -> Emulator:
    """The Messages API."""
    api = _Api(script, tokens)
    return Emulator(
        "claude",
        [
            Operation("POST", "/v1/messages", "messages", api.messages),
            Operation("POST", "/v1/messages/count_tokens", "count_tokens", api.count_tokens),
            Operation("GET", "/v1/models", "models", api.models),
            Operation("HEAD", "/api/hello", "hello", api.hello),
            Operation("GET", "/api/hello", "hello", api.hello),
        ],
        not_found=error(404, "Not found"),
    )


def claude_auth(tokens: Tokens) -> Emulator:
    """The sign-in page and the token endpoint; refresh tokens rotate and count once."""
    endpoint = _TokenEndpoint(tokens)
    return Emulator(
        "claude",
        [
            Operation("GET", "/oauth/authorize", "authorize", endpoint.authorize),
            Operation("POST", "/v1/oauth/token", "token", endpoint.token),
            Operation("POST", "/v1/oauth/token/revoke", "token.revoke", endpoint.revoke),
        ],
        not_found=error(404, "Not found"),
    )


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """An error in Anthropic's shape."""
    request_id = new_id("req")
    body = {
        "type": "error",
        "error": {"type": _KINDS.get(status, "api_error"), "message": message},
        "request_id": request_id,
    }
    return Reply.of(body, status, {"request-id": request_id, **(headers or {})})


class _Api:
    def __init__(self, script: Script, tokens: Tokens) -> None:
        self._script = script
        self._tokens = tokens

    async def hello(self, _request: Request) -> Reply:
        return Reply.of({"message": "hello"})

    async def models(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        data = [{"type": "model", "id": name, "display_name": name} for name in _MODELS]
        return Reply.of({"data": data, "has_more": False})

    async def count_tokens(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        return Reply.of({"input_tokens": conversation_tokens(from_messages(request.json or {}))})

    async def messages(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        body = request.json
        if not isinstance(body, dict):
            return error(400, "The request body is not valid JSON")
        for name in ("model", "max_tokens", "messages"):
            if not body.get(name):
                return error(400, f"{name}: Field required")
        conversation = from_messages(body)
        steps = self._script.answer(conversation)
        if isinstance(steps[0], Refuse):
            return _refusal(steps[0])
        headers = {
            "request-id": new_id("req"),
            "anthropic-organization-id": "sandbox-organization",
            "anthropic-ratelimit-unified-status": "allowed",
        }
        if body.get("stream"):
            stream = messages_stream(conversation, steps)
            return Reply(200, headers=headers, content_type="text/event-stream; charset=utf-8", stream=stream)
        return Reply.of(await messages_whole(conversation, steps), headers=headers)

    def _refuse(self, request: Request) -> Reply | None:
        headers = request.headers
        if "anthropic-version" not in headers:
            return error(400, "anthropic-version: header is required")
        key, bearer = headers.get("x-api-key", ""), request.bearer()
        if key and bearer:
            return error(400, "send either x-api-key or Authorization, not both")
        if key:
            if self._tokens.valid(key, "claude_key") is None:
                return error(401, "invalid x-api-key")
            request.log.credential = "api_key"
            return None
        if not bearer:
            return error(401, "x-api-key header is required")
        if _OAUTH_BETA not in [name.strip() for name in headers.get("anthropic-beta", "").split(",")]:
            return error(401, "OAuth authentication is currently not supported.")
        if self._tokens.valid(bearer, "claude_access") is None:
            known = self._tokens.known(bearer)
            if known is not None and not known.revoked:
                return error(401, "OAuth token has expired. Please obtain a new token or refresh your existing token.")
            return error(401, "Invalid bearer token")
        request.log.credential = "oauth"
        return None


def _refusal(step: Refuse) -> Reply:
    if step.body is not None:
        return Reply.of(step.body, step.status, {"request-id": new_id("req"), **step.headers})
    messages = {429: "This request would exceed your account's rate limit. Please try again later.", 529: "Overloaded"}
    headers = {"retry-after": "1"} if step.status == 429 else {}
    return error(step.status, messages.get(step.status, "scripted refusal"), {**headers, **step.headers})


def _usage(conversation: Conversation, output: int) -> dict[str, int]:
    return {
        "input_tokens": conversation_tokens(conversation),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output,
    }


def _message(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": new_id("msg"),
        "type": "message",
        "role": "assistant",
        "model": conversation.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": _usage(conversation, 1),
    }


async def messages_whole(conversation: Conversation, steps: list[Step]) -> dict[str, Any]:
    """An answer as the Messages API gives it whole."""
    content: list[dict[str, Any]] = []
    for step in steps:
        match step:
            case Say(text, after_s):
                await asyncio.sleep(after_s)
                if content and content[-1]["type"] == "text":
                    content[-1]["text"] += text
                else:
                    content.append({"type": "text", "text": text})
            case Stall(seconds):
                await asyncio.sleep(seconds)
            case Call(tool, args):
                content.append({"type": "tool_use", "id": new_id("toolu"), "name": tool, "input": dict(args)})
    calls = any(block["type"] == "tool_use" for block in content)
    usage = _usage(conversation, token_count(json.dumps(content)))
    return _message(conversation) | {
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "usage": usage,
    }


async def messages_stream(conversation: Conversation, steps: list[Step]) -> AsyncGenerator[bytes, None]:
    """An answer as the Messages API streams it."""
    yield _event("message_start", message=_message(conversation))
    yield _event("ping")
    index, in_text, stop, said = 0, False, "end_turn", 0
    for step in steps:
        match step:
            case Say(text, after_s):
                await asyncio.sleep(after_s)
                if not in_text:
                    yield _event("content_block_start", index=index, content_block={"type": "text", "text": ""})
                    in_text = True
                said += len(text)
                yield _event("content_block_delta", index=index, delta={"type": "text_delta", "text": text})
            case Stall(seconds):
                await asyncio.sleep(seconds)
            case Call(tool, args):
                if in_text:
                    yield _event("content_block_stop", index=index)
                    index, in_text = index + 1, False
                stop = "tool_use"
                block = {"type": "tool_use", "id": new_id("toolu"), "name": tool, "input": {}}
                yield _event("content_block_start", index=index, content_block=block)
                text = json.dumps(dict(args))
                said += len(text)
                middle = len(text) // 2
                for part in ("", text[:middle], text[middle:]):
                    delta = {"type": "input_json_delta", "partial_json": part}
                    yield _event("content_block_delta", index=index, delta=delta)
                yield _event("content_block_stop", index=index)
                index += 1
    if in_text:
        yield _event("content_block_stop", index=index)
    usage = {"output_tokens": max(1, said // 4)}
    yield _event("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage=usage)
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - JSON
    return event({"type": kind, **fields}, name=kind)


class _TokenEndpoint:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def authorize(self, request: Request) -> Reply:
        """The page shows ``code#state``, which the person pastes."""
        query = query_of(request)
        if query.get("client_id") != _CLIENT_ID or not query.get("code_challenge") or not query.get("state"):
            return refused("Claude", "client_id, code_challenge or state is missing or wrong")
        match query.get(DECISION):
            case "allow":
                return shown_code("Claude", f"{self._tokens.issue_code(query['code_challenge'])}#{query['state']}")
            case "refuse":
                return sent_back(query.get("redirect_uri", ""), denial(query["state"]))
            case _:
                return asked("Claude", EMAIL, query)

    async def token(self, request: Request) -> Reply:
        body = request.json
        if not isinstance(body, dict) or "application/json" not in request.headers.get("content-type", ""):
            return error(400, "Invalid request format")
        if body.get("client_id") != _CLIENT_ID:
            return error(400, "Invalid request format")
        match body.get("grant_type"):
            case "refresh_token":
                old = self._tokens.valid(str(body.get("refresh_token", "")), "claude_refresh")
                if old is None:
                    return _oauth_error("Refresh token not found or invalid")
                old.spent = True
            case "authorization_code":
                if not body.get("state") or not body.get("redirect_uri"):
                    return error(400, "Invalid request format")
                if not self._tokens.redeem_code(str(body.get("code", "")), str(body.get("code_verifier", ""))):
                    return _oauth_error("Invalid authorization code")
            case _:
                return error(400, "Invalid request format")
        return Reply.of(grant(self._tokens))

    async def revoke(self, request: Request) -> Reply:
        self._tokens.revoke(request.form().get("token", ""))
        return Reply.of({})


def grant(tokens: Tokens, *, access_lifetime: timedelta = ACCESS_LIFETIME) -> dict[str, Any]:
    """A new pair of tokens as the endpoint answers it."""
    access = tokens.issue("claude_access", lifetime=access_lifetime)
    refresh = tokens.issue("claude_refresh", lifetime=REFRESH_LIFETIME)
    return {
        "token_type": "Bearer",
        "access_token": access.value,
        "refresh_token": refresh.value,
        "expires_in": int(access_lifetime.total_seconds()),
        "scope": SCOPES,
        "account": {"uuid": ACCOUNT_ID, "email_address": EMAIL},
        "organization": {"uuid": "sandbox-organization", "name": "Sandbox"},
    }


def _oauth_error(description: str) -> Reply:
    return Reply.of({"error": "invalid_grant", "error_description": description}, 400)
