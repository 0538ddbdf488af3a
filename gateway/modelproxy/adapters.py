"""What is changed of a call on its way to Copilot and back, where passing bytes on is not enough."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol

from gateway.modelproxy.from_chat import StreamTranslator, error_answer_of, whole_answer
from gateway.modelproxy.model_ids import copilot_model
from gateway.modelproxy.to_chat import chat_request
from shared.providers.catalog import Wire

_FIRST_ERROR = 400
_MAX_TOKENS = 8192


class ModelFacts(Protocol):
    """What is known of the provider's models; may be nothing."""

    def ids(self) -> Collection[str]:
        """Ids it lists."""
        ...

    def max_output(self, model: str) -> int:
        """Most tokens a model writes; 0 when not known."""
        ...

    def wires(self, model: str) -> Collection[Wire]:
        """What a model can be asked with."""
        ...


Facts = Callable[[], Awaitable[ModelFacts]]


class Adapter:
    """Changes nothing; the base of those that do. Each serves one call.

    Attributes:
        translates: the provider is spoken to in another dialect than the caller.
        path: where at the provider the call goes; empty for the route's own path.
    """

    translates = False
    path = ""

    async def request(self, raw: bytes, body: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
        """The request for the provider, as bytes and parsed.

        Raises:
            Invalid: it cannot be made from the caller's.
        """
        return raw, body

    def whole(self, status: int, raw: bytes) -> bytes:  # noqa: ARG002 - others look at it
        """A complete answer for the caller; the same object when nothing is changed."""
        return raw

    def stream(self) -> StreamTranslator | None:
        """What turns the provider's event stream into the caller's; None to pass bytes."""
        return None


class ChatAdapter(Adapter):
    """Chat completions: corrects a model's spelling, and asks for the longest answer where none was asked for."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    async def request(self, raw: bytes, body: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
        """As `Adapter.request`; the bytes stay as they are wherever that is possible."""
        facts = await self._facts()
        model, changed = _known_model(facts, body)
        is_open = body.get("max_tokens") is None and body.get("max_completion_tokens") is None
        # Left open, Copilot cuts answers short.
        if is_open and (limit := facts.max_output(model)):
            changed["max_tokens"] = limit
        return _with(raw, body, changed)


class MessagesAdapter(Adapter):
    """Messages: passed on to models that speak it, translated to chat completions for all others."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._model = ""

    async def request(self, raw: bytes, body: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
        """As `Adapter.request`."""
        facts = await self._facts()
        model, changed = _known_model(facts, body)
        if model and "messages" in facts.wires(model):
            if body.get("max_tokens") is None:
                # The dialect demands it, and who does not say it wants the longest answer.
                changed["max_tokens"] = facts.max_output(model) or _MAX_TOKENS
            return _with(raw, body, changed)
        self.translates, self.path = True, "/chat/completions"
        translated = chat_request(body, lambda asked: copilot_model(asked, facts.ids()))
        self._model = str(body.get("model", ""))
        return json.dumps(translated, ensure_ascii=False, separators=(",", ":")).encode(), translated

    def whole(self, status: int, raw: bytes) -> bytes:
        """As `Adapter.whole`.

        Raises:
            UpstreamError: the provider's answer is not what it should be.
        """
        if status >= _FIRST_ERROR:
            # Copilot's own errors have OpenAI's shape on every path.
            return raw if b'"type":"error"' in raw.replace(b" ", b"") else error_answer_of(status, raw)
        return whole_answer(raw, self._model) if self.translates else raw

    def stream(self) -> StreamTranslator | None:
        """As `Adapter.stream`."""
        return StreamTranslator(self._model) if self.translates else None


def adapter_for(route: str, facts: Facts) -> Adapter | None:
    """What a route to Copilot needs; None when bytes are simply passed on."""
    if route == "copilot/messages":
        return MessagesAdapter(facts)
    return ChatAdapter(facts) if route == "chat/completions" else None


def _known_model(facts: ModelFacts, body: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The model's id at Copilot; and what that changes of the request, where Copilot lists that id."""
    asked = body.get("model")
    if not isinstance(asked, str):
        return "", {}
    model = copilot_model(asked, facts.ids())
    return model, {"model": model} if model != asked and model in facts.ids() else {}


def _with(raw: bytes, body: Mapping[str, Any], changed: dict[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
    if not changed:
        return raw, body
    whole = {**body, **changed}
    if changed.keys() & body.keys():
        return json.dumps(whole, ensure_ascii=False).encode(), whole
    # Put in front, so that a long prompt is not written anew.
    head = json.dumps(changed)[:-1].encode()
    return head + b"," + raw[raw.index(b"{") + 1 :], whole
