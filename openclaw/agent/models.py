"""Which model is asked: the primary first, then the fallbacks, with a pause for those that failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from openclaw.agent.turns import Turn, completion_messages, responses_items
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError, Unavailable
from shared.gatewayclient import ModelResponse, ModelRoute
from shared.obs.log import get_logger
from shared.providers import Completed, Failed, FailureKind, ProviderEvent, ToolSpec, chat_completions, responses
from shared.providers.failures import parse_failure

_log = get_logger(__name__)

CONTEXT_TOKENS: Final = {"openai-codex": 272_000, "github-copilot": 128_000}
_ROUTES: Final[dict[str, ModelRoute]] = {"openai-codex": "responses", "github-copilot": "chat/completions"}
_OK = 200
_ERROR_BYTES = 65_536

_COOLDOWN_STEPS_S = (60, 300, 1_500, 3_600)
_BILLING_COOLDOWN_S = 5 * 3_600
_USAGE_LIMIT_COOLDOWN_S = 3_600
_NO_COOLDOWN: frozenset[FailureKind] = frozenset({"invalid_request", "context_too_long", "content_filter", "cut"})
_NO_FALLBACK: frozenset[FailureKind] = frozenset({"context_too_long", "content_filter"})
_WHILE_GATEWAY_RESTARTS_S = 20.0
_GATEWAY_RETRY_S = 0.5


class ModelClient(Protocol):
    """Where models are reached: the gateway's tenant socket."""

    def model(
        self, route: ModelRoute, body: Mapping[str, Any], *, run_id: str
    ) -> AbstractAsyncContextManager[ModelResponse]:
        """Call a model; the answer streams."""
        ...


class NoModel(GatewayError):
    """No model gave an answer; the detail says why in words for the person who asked."""

    code = "model.failed"


@dataclass(frozen=True, slots=True)
class Restarted:
    """Another model begins the answer anew; what was told so far no longer counts."""

    model: str


@dataclass(slots=True)
class _Pause:
    failures: int = 0
    until: datetime | None = None
    hard: bool = False


def model_id(ref: str) -> str:
    """``provider/model`` without the provider."""
    return ref.partition("/")[2]


def provider_of(ref: str) -> str:
    """``provider/model`` without the model."""
    return ref.partition("/")[0]


class Models:
    """The models of one agent, in order of preference.

    Args:
        refs: ``provider/model``, the primary first.
    """

    def __init__(self, client: ModelClient, refs: Sequence[str], clock: Clock = SYSTEM_CLOCK) -> None:
        self._client = client
        self._refs = list(dict.fromkeys(refs))
        self._clock = clock
        self._pauses: dict[str, _Pause] = {ref: _Pause() for ref in self._refs}

    @property
    def refs(self) -> list[str]:
        """All models, the primary first."""
        return list(self._refs)

    def paused_until(self, ref: str) -> datetime | None:
        """When a model that failed is asked again; None when it may be asked now."""
        until = self._pauses[ref].until
        return until if until and until > self._clock.now() else None

    def _candidates(self) -> list[str]:
        """Models to try: those not pausing; when all pause, also those whose pause is only caution."""
        ready = [ref for ref in self._refs if self.paused_until(ref) is None]
        return ready or [ref for ref in self._refs if not self._pauses[ref].hard]

    async def stream(
        self, instructions: str, turns: Sequence[Turn], tools: Sequence[ToolSpec], *, run_id: str, session_id: str
    ) -> AsyncIterator[tuple[str, ProviderEvent | Restarted]]:
        """Ask for the next turn; yields ``(model, event)`` and ends after a `Completed`.

        Raises:
            NoModel: nobody answered.
        """
        failures: list[tuple[str, Failed]] = []
        for ref in self._candidates():
            told = False
            failed: Failed | None = None
            if failures:
                yield ref, Restarted(ref)
            async for event in self._ask(ref, instructions, turns, tools, run_id=run_id, session_id=session_id):
                if isinstance(event, Failed):
                    failed = event
                    break
                told = True
                yield ref, event
                if isinstance(event, Completed):
                    self._pauses[ref] = _Pause()
                    return
            failed = failed or Failed("cut", "the answer ended before it was complete")
            failures.append((ref, failed))
            self._pause(ref, failed)
            _log.warning("model.failed", model=ref, kind=failed.kind, status=failed.status, run_id=run_id, partial=told)
            if failed.kind in _NO_FALLBACK:
                break
        raise self._explain(failures)

    async def _ask(
        self,
        ref: str,
        instructions: str,
        turns: Sequence[Turn],
        tools: Sequence[ToolSpec],
        *,
        run_id: str,
        session_id: str,
    ) -> AsyncIterator[ProviderEvent]:
        route = _ROUTES.get(provider_of(ref))
        if route is None:
            yield Failed("invalid_request", f"provider {provider_of(ref)!r} is not known")
            return
        if route == "responses":
            items = responses_items(turns, ref)
            body = responses.build_request(model_id(ref), instructions, items, tools, session_id=session_id)
        else:
            body = chat_completions.build_request(model_id(ref), instructions, completion_messages(turns), tools)
        parse = responses.parse_events if route == "responses" else chat_completions.parse_events
        deadline = self._clock.monotonic() + _WHILE_GATEWAY_RESTARTS_S
        while True:
            try:
                async with self._client.model(route, body, run_id=run_id) as answer:
                    if answer.status != _OK:
                        yield parse_failure(answer.status, answer.headers, await answer.read(_ERROR_BYTES))
                        return
                    async for event in parse(answer.aiter_bytes()):
                        yield event
                    return
            except Unavailable as error:
                # Our own gateway is away, which a restart explains; nothing was sent to any provider.
                if error.code != "gateway.down" or self._clock.monotonic() >= deadline:
                    yield Failed("unavailable", error.detail, code=error.code)
                    return
                await asyncio.sleep(_GATEWAY_RETRY_S)
            except GatewayError as error:
                yield Failed("server", error.detail, code=error.code)
                return

    def _pause(self, ref: str, failed: Failed) -> None:
        if failed.kind in _NO_COOLDOWN or failed.code == "gateway.down":
            return
        now = self._clock.now()
        if self.paused_until(ref):
            return  # a pause under way is never extended
        failures = self._pauses[ref].failures + 1
        wait_s: float = _COOLDOWN_STEPS_S[min(failures, len(_COOLDOWN_STEPS_S)) - 1]
        if failed.kind == "billing":
            wait_s = _BILLING_COOLDOWN_S
        elif failed.kind == "usage_limit":
            wait_s = _USAGE_LIMIT_COOLDOWN_S
        if failed.retry_after_s is not None:
            wait_s = failed.retry_after_s
        until = failed.resets_at if failed.resets_at and failed.resets_at > now else now + timedelta(seconds=wait_s)
        self._pauses[ref] = _Pause(failures, until, hard=failed.kind == "usage_limit")

    def _explain(self, failures: Sequence[tuple[str, Failed]]) -> NoModel:
        if not failures:
            until = min(filter(None, (self.paused_until(ref) for ref in self._refs)), default=None)
            when = f" until {until:%H:%M} UTC" if until else ""
            return NoModel(f"every model's usage limit is reached{when}", code="model.usage_limit")
        ref, failed = failures[0] if failures[-1][1].kind not in _NO_FALLBACK else failures[-1]
        words = _WORDS[failed.kind]
        others = f" (and {len(failures) - 1} fallback)" if len(failures) == 2 else ""
        if len(failures) > 2:
            others = f" (and {len(failures) - 1} fallbacks)"
        return NoModel(f"{ref}{others} {words}", code=f"model.{failed.kind}")


_WORDS: Final[dict[FailureKind, str]] = {
    "usage_limit": "reached its usage limit",
    "rate_limited": "is rate-limited right now; try again in a minute",
    "auth": "refused the gateway's credential; the operator has to sign in again",
    "billing": "is not included in the operator's plan",
    "denied": "is not allowed for this tenant",
    "invalid_request": "did not accept the request",
    "context_too_long": "cannot take a conversation this long; send /new to begin a new one",
    "content_filter": "declined to answer this",
    "overloaded": "is overloaded right now; try again in a minute",
    "server": "had an internal error; try again",
    "cut": "broke off in the middle of the answer; try again",
    "unavailable": "cannot be reached right now; try again in a minute",
}
