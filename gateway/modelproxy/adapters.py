"""What is changed of a call on its way to Copilot and back, where passing bytes on is not enough."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Protocol

from gateway.modelproxy.from_chat import StreamTranslator, error_answer_of, whole_answer
from gateway.modelproxy.model_ids import copilot_model
from gateway.modelproxy.to_chat import chat_request

_FIRST_ERROR = 400


class ModelFacts(Protocol):
    """What is known of the provider's models; may be nothing."""

    def ids(self) -> Collection[str]:
        """Ids it lists."""
        ...

    def max_output(self, model: str) -> int:
        """Most tokens a model writes; 0 when not known."""
        ...


Facts = Callable[[], Awaitable[ModelFacts]]


class Adapter:
    """Changes nothing; the base of those that do."""

    translates = False

    async def request(self, raw: bytes, body: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
        """The request for the provider, as bytes and parsed.

        Raises:
            Invalid: it cannot be made from the caller's.
        """
        return raw, body

    def whole(self, status: int, raw: bytes) -> bytes:  # noqa: ARG002 - others look at it
        """A complete answer for the caller."""
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
        asked = body.get("model")
        model = copilot_model(asked, facts.ids()) if isinstance(asked, str) else asked
        changed: dict[str, Any] = {}
        if model != asked and model in facts.ids():
            changed["model"] = model
        is_open = body.get("max_tokens") is None and body.get("max_completion_tokens") is None
        # Left open, Copilot cuts answers short.
        if is_open and isinstance(model, str) and (limit := facts.max_output(model)):
            changed["max_tokens"] = limit
        if not changed:
            return raw, body
        if not changed.keys() & body.keys():
            # Put in front, so that a long prompt is not written anew.
            head = json.dumps(changed)[:-1].encode()
            return head + b"," + raw[raw.index(b"{") + 1 :], {**body, **changed}
        whole = {**body, **changed}
        return json.dumps(whole, ensure_ascii=False).encode(), whole


class MessagesAdapter(Adapter):
    """Messages for a provider that speaks chat completions; serves one call."""

    translates = True

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._model = ""

    async def request(self, raw: bytes, body: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:  # noqa: ARG002
        """As `Adapter.request`."""
        facts = await self._facts()
        translated = chat_request(body, lambda asked: copilot_model(asked, facts.ids()))
        self._model = str(body.get("model", ""))
        return json.dumps(translated, ensure_ascii=False, separators=(",", ":")).encode(), translated

    def whole(self, status: int, raw: bytes) -> bytes:
        """As `Adapter.whole`.

        Raises:
            UpstreamError: the provider's answer is not what it should be.
        """
        return error_answer_of(status, raw) if status >= _FIRST_ERROR else whole_answer(raw, self._model)

    def stream(self) -> StreamTranslator:
        """As `Adapter.stream`."""
        return StreamTranslator(self._model)
