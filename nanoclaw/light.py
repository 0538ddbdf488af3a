"""The light route: one chat completion through the gateway, no worker. A person never sees it fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from nanoclaw.agent.stream import Usage
from nanoclaw.config import LightPolicy
from nanoclaw.router import FORCED_ROUTE
from shared.channels.base import InboundMessage
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError
from shared.gatewayclient import ModelResponse, ModelRoute
from shared.obs.log import get_logger
from shared.providers.catalog import shipped_catalog

_log = get_logger(__name__)
_ESCAPE_WORD = "NEED_AGENT"
_QUEUE_LIMIT = 3
_MAX_TOKENS = 700


class ModelGateway(Protocol):
    """What we ask of the gateway about models; `GatewayClient` is one."""

    def model(
        self, route: ModelRoute, body: Mapping[str, Any], *, run_id: str
    ) -> AbstractAsyncContextManager[ModelResponse]:
        """Call a model."""
        ...


@dataclass(frozen=True, slots=True)
class LightAnswer:
    """What the light route said."""

    text: str
    usage: Usage


class LightRoute:
    """Asks the Copilot route, one call at a time, and rests for a while after a failure."""

    def __init__(
        self, gateway: ModelGateway, policy: LightPolicy, *, assistant_name: str, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._gateway = gateway
        self._policy = policy
        # Names people use (gemini-3-pro) are not always the provider's own.
        self._model = shipped_catalog().find(f"copilot/{policy.model}").id if policy.model else ""
        self._name = assistant_name
        self._clock = clock
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._resting_until = float("-inf")

    @property
    def is_ready(self) -> bool:
        """It may be asked now: not resting, and its queue is not full."""
        return self._waiting < _QUEUE_LIMIT and self._clock.monotonic() >= self._resting_until

    async def ask(self, messages: Sequence[InboundMessage], *, run_id: str) -> LightAnswer | None:
        """An answer, or nothing when the agent should give it."""
        self._waiting += 1
        try:
            async with asyncio.timeout(self._policy.timeout_s), self._lock:
                return await self._call(messages, run_id)
        except (GatewayError, TimeoutError, ValueError, KeyError, IndexError, TypeError) as error:
            self._resting_until = self._clock.monotonic() + self._policy.breaker_s
            _log.info("light.failed", run_id=run_id, reason=str(error)[:200] or type(error).__name__)
            return None
        finally:
            self._waiting -= 1

    async def _call(self, messages: Sequence[InboundMessage], run_id: str) -> LightAnswer | None:
        system = (
            f"You are {self._name}, answering in a chat. Answer in one or two sentences, in the message's language. "
            f"If it needs tools, files, the web, memory of earlier talk or more than that, answer only {_ESCAPE_WORD}."
        )
        turns = [{"role": "user", "content": FORCED_ROUTE.sub("", m.text).strip()} for m in messages]
        body = {
            "model": self._model,
            "messages": [{"role": "system", "content": system}, *turns],
            "max_tokens": _MAX_TOKENS,
        }
        async with self._gateway.model("chat/completions", body, run_id=run_id) as response:
            data = await response.read()
        if response.status != HTTPStatus.OK:
            raise ValueError(f"HTTP {response.status}")
        answer = json.loads(data)
        text = str(answer["choices"][0]["message"]["content"] or "").strip()
        if not text:
            raise ValueError("an empty answer")
        usage = answer.get("usage") or {}
        if _ESCAPE_WORD in text:
            return None
        return LightAnswer(text, Usage(int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)))
