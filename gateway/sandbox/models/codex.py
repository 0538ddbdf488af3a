"""Codex: the ChatGPT backend's Responses endpoint and OpenAI's token endpoint. Source: reference notes on Codex."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta
from typing import Any

from gateway.sandbox.models.consent import DECISION, asked, denial, query_of, refused, sent_back
from gateway.sandbox.models.conversations import conversation_tokens, from_responses, token_count
from gateway.sandbox.models.tokens import ACCOUNT_ID, EMAIL, Tokens, jwt
from gateway.sandbox.models.wire import Emulator, Operation, Reply, Request, event
from gateway.sandbox.script import Call, Conversation, Refuse, Say, Script, Stall, Step
from shared.ids import new_id

ACCESS_LIFETIME = timedelta(days=10)
REFRESH_LIFETIME = timedelta(days=90)
_CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
_MODELS = (
    "gpt-5.1",
    "gpt-5.1-codex-max",
    "gpt-5.1-codex-mini",
    "gpt-5.2",
    "gpt-5.2-codex",
    "gpt-5.3-codex",
    "gpt-5.3-codex-spark",
)
_UNSUPPORTED = ("max_output_tokens", "previous_response_id", "temperature")
_LIMIT_S = 3600


def codex_api(script: Script, tokens: Tokens) -> Emulator:
    """``/backend-api``."""
    api = _Api(script, tokens)
    return Emulator(
        "codex",
        [
            Operation("POST", "/codex/responses", "responses", api.responses),
            Operation("GET", "/wham/usage", "usage", api.usage),
        ],
        not_found=Reply.of({"detail": "Not Found"}, 404),
    )


def openai_auth(tokens: Tokens) -> Emulator:
    """``auth.openai.com``: the sign-in page and the token endpoint; refresh tokens rotate and count once."""
    endpoint = _TokenEndpoint(tokens)
    return Emulator(
        "codex",
        [
            Operation("GET", "/oauth/authorize", "authorize", endpoint.authorize),
            Operation("POST", "/oauth/token", "token", endpoint.token),
            Operation("POST", "/oauth/revoke", "token.revoke", endpoint.revoke),
        ],
        not_found=Reply.of({"error": {"message": "Not found", "code": "not_found"}}, 404),
    )


class _Api:
    def __init__(self, script: Script, tokens: Tokens) -> None:
        self._script = script
        self._tokens = tokens

    async def usage(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        window = {"used_percent": 1, "limit_window_seconds": 18_000, "reset_after_seconds": 9_000}
        return Reply.of({"plan_type": "plus", "rate_limit": {"allowed": True, "primary_window": window}})

    async def responses(self, request: Request) -> Reply:
        if refused := self._refuse(request) or _invalid(request):
            return refused
        conversation = from_responses(request.json)
        steps = self._script.answer(conversation)
        if isinstance(steps[0], Refuse):
            return self._refusal(steps[0])
        headers = {"x-request-id": new_id("req"), "x-codex-primary-used-percent": "1"}
        return Reply(
            200, content_type="text/event-stream", headers=headers, stream=responses_stream(conversation, steps)
        )

    def _refuse(self, request: Request) -> Reply | None:
        bearer = request.bearer()
        if self._tokens.valid(bearer, "codex_access") is None:
            known = self._tokens.known(bearer)
            code = "token_expired" if known is not None and not known.revoked else "token_invalidated"
            message = "Provided authentication token is expired." if code == "token_expired" else "Unauthorized"
            return _error(401, code, message)
        if request.headers.get("chatgpt-account-id") != ACCOUNT_ID:
            return Reply.of({"detail": "Unauthorized"}, 401)
        request.log.credential = "oauth"
        return None

    def _refusal(self, step: Refuse) -> Reply:
        if step.body is not None:
            return Reply.of(step.body, step.status, step.headers)
        if step.status != 429:
            return _error(step.status, "server_error", "scripted refusal", step.headers)
        limit = {
            "type": "usage_limit_reached",
            "message": "The usage limit has been reached",
            "plan_type": "plus",
            "resets_at": int(self._tokens.now.timestamp()) + _LIMIT_S,
            "resets_in_seconds": _LIMIT_S,
        }
        return Reply.of({"error": limit}, 429, step.headers)


def _invalid(request: Request) -> Reply | None:
    body = request.json
    if not isinstance(body, dict):
        return Reply.of({"detail": "Invalid JSON"}, 400)
    reason = ""
    if body.get("store") is not False:
        reason = "Store must be set to false"
    elif body.get("stream") is not True:
        reason = "Stream must be set to true"
    elif not isinstance(body.get("instructions"), str) or not body["instructions"].strip():
        reason = "Instructions are required"
    elif not isinstance(body.get("input"), list):
        reason = "Input must be a list"
    elif any(isinstance(item, dict) and item.get("role") == "system" for item in body["input"]):
        reason = "System messages are not allowed"
    elif unsupported := [name for name in _UNSUPPORTED if name in body]:
        reason = f"Unsupported parameter: {unsupported[0]}"
    elif body.get("model") not in _MODELS:
        reason = f"The '{body.get('model')}' model is not supported when using Codex with a ChatGPT account."
    return Reply.of({"detail": reason}, 400) if reason else None


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply.of({"error": {"type": code, "code": code, "message": message}}, status, headers)


async def responses_stream(conversation: Conversation, steps: list[Step]) -> AsyncGenerator[bytes, None]:
    """An answer as the Responses API streams it."""
    answer = _Answer(conversation)
    response = {"id": new_id("resp"), "object": "response", "model": conversation.model, "output": []}
    yield answer.event("response.created", response=response | {"status": "in_progress"})
    yield answer.event("response.in_progress", response=response | {"status": "in_progress"})
    for step in steps:
        match step:
            case Say(text, after_s):
                await asyncio.sleep(after_s)
                for part in answer.say(text):
                    yield part
            case Stall(seconds):
                await asyncio.sleep(seconds)
            case Call(tool, args):
                for part in (*answer.end_text(), *answer.call(tool, args)):
                    yield part
    for part in answer.end_text():
        yield part
    done = response | {"status": "completed", "output": answer.output, "usage": answer.usage()}
    yield answer.event("response.completed", response=done)


class _Answer:
    """Numbers events and items, and remembers the text being said."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._sequence = 0
        self._text: list[str] = []
        self._item_id = ""
        self.output: list[dict[str, Any]] = []

    def event(self, kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - JSON
        sequence, self._sequence = self._sequence, self._sequence + 1
        return event({"type": kind, "sequence_number": sequence, **fields}, name=kind)

    def say(self, text: str) -> list[bytes]:
        place = {"output_index": len(self.output), "content_index": 0}
        events = []
        if not self._item_id:
            self._item_id = new_id("msg")
            item = {"id": self._item_id, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
            part = {"type": "output_text", "text": "", "annotations": []}
            events.append(self.event("response.output_item.added", output_index=len(self.output), item=item))
            events.append(self.event("response.content_part.added", item_id=self._item_id, part=part, **place))
        self._text.append(text)
        events.append(self.event("response.output_text.delta", item_id=self._item_id, delta=text, **place))
        return events

    def end_text(self) -> list[bytes]:
        if not self._item_id:
            return []
        text, item_id, index = "".join(self._text), self._item_id, len(self.output)
        self._text, self._item_id = [], ""
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {"id": item_id, "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        self.output.append(item)
        place = {"item_id": item_id, "output_index": index, "content_index": 0}
        return [
            self.event("response.output_text.done", text=text, **place),
            self.event("response.content_part.done", part=part, **place),
            self.event("response.output_item.done", output_index=index, item=item),
        ]

    def call(self, tool: str, args: Mapping[str, Any]) -> list[bytes]:
        index, item_id, text = len(self.output), new_id("fc"), json.dumps(dict(args))
        item = {"id": item_id, "type": "function_call", "call_id": new_id("call"), "name": tool, "arguments": ""}
        done = item | {"arguments": text, "status": "completed"}
        self.output.append(done)
        place = {"item_id": item_id, "output_index": index}
        middle = len(text) // 2
        return [
            self.event("response.output_item.added", output_index=index, item=item | {"status": "in_progress"}),
            self.event("response.function_call_arguments.delta", delta=text[:middle], **place),
            self.event("response.function_call_arguments.delta", delta=text[middle:], **place),
            self.event("response.function_call_arguments.done", arguments=text, **place),
            self.event("response.output_item.done", output_index=index, item=done),
        ]

    def usage(self) -> dict[str, Any]:
        asked, said = conversation_tokens(self._conversation), token_count(json.dumps(self.output))
        return {
            "input_tokens": asked,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": said,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": asked + said,
        }


class _TokenEndpoint:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def authorize(self, request: Request) -> Reply:
        """The browser ends on the redirect address, whose text the person pastes."""
        query = query_of(request)
        if query.get("client_id") != _CLIENT_ID or not query.get("code_challenge") or not query.get("state"):
            return refused("OpenAI", "client_id, code_challenge or state is missing or wrong")
        redirect = query.get("redirect_uri", "")
        match query.get(DECISION):
            case "allow":
                code = self._tokens.issue_code(query["code_challenge"])
                return sent_back(redirect, {"code": code, "scope": query.get("scope", ""), "state": query["state"]})
            case "refuse":
                return sent_back(redirect, denial(query["state"]))
            case _:
                return asked("OpenAI", EMAIL, query)

    async def token(self, request: Request) -> Reply:
        form = request.form()
        if form.get("client_id") != _CLIENT_ID:
            return _error(401, "invalid_client", "Unknown client")
        match form.get("grant_type"):
            case "refresh_token":
                value = form.get("refresh_token", "")
                old = self._tokens.known(value)
                if old is not None and old.kind == "codex_refresh" and old.spent:
                    return _error(401, "refresh_token_reused", "Your refresh token has already been used")
                valid = self._tokens.valid(value, "codex_refresh")
                if valid is None:
                    return _error(401, "refresh_token_invalidated", "Your refresh token is no longer valid")
                valid.spent = True
            case "authorization_code":
                if not self._tokens.redeem_code(form.get("code", ""), form.get("code_verifier", "")):
                    return _error(400, "invalid_grant", "Invalid authorization code")
            case _:
                return _error(400, "unsupported_grant_type", "Unknown grant type")
        return Reply.of(grant(self._tokens))

    async def revoke(self, request: Request) -> Reply:
        self._tokens.revoke(request.form().get("token", ""))
        return Reply.of({})


def grant(tokens: Tokens) -> dict[str, Any]:
    """A new set of tokens as the endpoint answers it."""
    access = tokens.issue("codex_access", lifetime=ACCESS_LIFETIME)
    return {
        "id_token": jwt({"email": "owner@sandbox.invalid", "exp": int(access.expires_at.timestamp())}),
        "access_token": access.value,
        "refresh_token": tokens.issue("codex_refresh", lifetime=REFRESH_LIFETIME).value,
        "token_type": "Bearer",
        "expires_in": int(ACCESS_LIFETIME.total_seconds()),
    }
