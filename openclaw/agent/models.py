"""Which model is asked: the primary first, then the fallbacks, with a rest for those that failed.

Who comes next is decided in `shared.providers.fallback`; here the models are asked, and what is known of them is kept
in a file, so that a restart does not begin by asking a model whose limit is reached.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from openclaw.agent.thinking import effort_of
from openclaw.agent.turns import Turn, completion_messages, message_turns, responses_items
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError, Invalid, Unavailable
from shared.gatewayclient import ModelResponse, ModelRoute
from shared.obs.log import get_logger
from shared.providers import Completed, Failed, ProviderEvent, ToolSpec, chat_completions, messages, responses
from shared.providers.catalog import CODEX, COPILOT, Catalog, Model, Wire, model_id, provider_of, shipped_catalog
from shared.providers.failures import parse_failure
from shared.providers.fallback import (
    STOPS,
    Candidate,
    Cooldowns,
    Decision,
    Failure,
    FailureClass,
    after_success,
    classify,
    decide_fallback,
    dump_cooldowns,
    parse_cooldowns,
    rest_of,
)
from shared.secrets.files import write_private

__all__ = ["CooldownFile", "ModelClient", "Models", "NoModel", "Restarted", "context_tokens", "model_id", "provider_of"]

_log = get_logger(__name__)

ROUTES: Final[Mapping[tuple[str, Wire], ModelRoute]] = {
    (CODEX, "responses"): "responses",
    (COPILOT, "chat"): "chat/completions",
    (COPILOT, "responses"): "copilot/responses",
    (COPILOT, "messages"): "copilot/messages",
}
"""The gateway's route for each wire of a provider; a model is asked with the first of its wires that works."""

_PARSERS: Final = {
    "responses": responses.parse_events,
    "chat": chat_completions.parse_events,
    "messages": messages.parse_events,
}
_OTHER_WIRE: Final = frozenset({"unsupported_api_for_model", "model.route"})
"""Refusals that mean the way to a model and not the model: its account offers it otherwise, or the policy does."""

_OK = 200
_ERROR_BYTES = 65_536
_WHILE_GATEWAY_RESTARTS_S = 20.0
_GATEWAY_RETRY_S = 0.5
_SAVE_S = 1.0
_MAX_FILE_BYTES = 1 << 20


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


def context_tokens(ref: str, catalog: Catalog | None = None) -> int | None:
    """Tokens a model reads in one request; None for a provider we do not know."""
    try:
        return (catalog or shipped_catalog()).find(ref).context
    except Invalid:
        return None


class CooldownFile:
    """What is known of the models that failed, as a small JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Cooldowns:
        """What was kept; nothing when there is no file or it cannot be read, which only means one more try each."""
        try:
            with self._path.open("rb") as handle:
                return parse_cooldowns(json.loads(handle.read(_MAX_FILE_BYTES)))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            _log.warning("cooldowns.unreadable", path=str(self._path), reason=type(error).__name__)
            return {}

    async def save(self, cooldowns: Cooldowns) -> None:
        """Keep it. A full or hanging disk costs the memory of a rest, never the answer."""
        data = json.dumps(dump_cooldowns(cooldowns), separators=(",", ":")) + "\n"
        try:
            async with asyncio.timeout(_SAVE_S):
                await asyncio.to_thread(write_private, self._path, data)
        except (OSError, TimeoutError) as error:
            _log.warning("cooldowns.not_kept", path=str(self._path), reason=str(error) or "the disk hangs")


class Models:
    """The models of one agent, in order of preference.

    Args:
        refs: ``provider/model``, the primary first.
        catalog: what models can do; the shipped one when left out.
        kept: where rests outlive a restart; left out, they do not.
    """

    def __init__(
        self,
        client: ModelClient,
        refs: Sequence[str],
        clock: Clock = SYSTEM_CLOCK,
        *,
        catalog: Catalog | None = None,
        kept: CooldownFile | None = None,
    ) -> None:
        self._client = client
        self._candidates = [Candidate(ref) for ref in dict.fromkeys(refs)]
        self._clock = clock
        self.catalog = catalog or shipped_catalog()
        self._kept = kept
        self._cooldowns: Cooldowns = kept.load() if kept else {}
        self._saving = asyncio.Lock()

    @property
    def refs(self) -> list[str]:
        """All models, the primary first."""
        return [candidate.ref for candidate in self._candidates]

    def choose(self, refs: Sequence[str]) -> None:
        """Ask these from now on, the primary first."""
        self._candidates = [Candidate(ref) for ref in dict.fromkeys(refs)]

    def paused_until(self, ref: str) -> datetime | None:
        """When a model that failed is asked again; None when it may be asked now."""
        rest = rest_of(Candidate(ref), self._cooldowns, self._clock.now())
        return rest.until if rest else None

    async def stream(
        self,
        instructions: str,
        turns: Sequence[Turn],
        tools: Sequence[ToolSpec],
        *,
        run_id: str,
        session_id: str,
        first: str = "",
        effort: str = "",
    ) -> AsyncIterator[tuple[str, ProviderEvent | Restarted]]:
        """Ask for the next turn; yields ``(model, event)`` and ends after a `Completed`.

        Args:
            instructions: the system prompt.
            turns: the conversation.
            tools: offered.
            run_id: for logs and the ledger.
            session_id: for the provider's cache.
            first: a model that is asked before all others; the session's own choice.
            effort: how much the model thinks before it answers (`thinking.EFFORTS`); empty for its default.

        Raises:
            NoModel: nobody answered.
        """
        failures: list[Failure] = []
        candidates = [Candidate(ref) for ref in dict.fromkeys((first, *self.refs) if first else self.refs)]
        while True:
            decision = decide_fallback(
                failures[-1] if failures else None, candidates, self._cooldowns, self._clock.now()
            )
            await self._remember(decision.cooldowns)
            candidate = decision.next
            if candidate is None:
                raise self._explain(failures, decision)
            if failures or decision.skipped:
                _log.info("model.fallback", model=candidate.ref, reason=decision.reason, run_id=run_id)
            if failures:
                yield candidate.ref, Restarted(candidate.ref)
            failed: Failed | None = None
            asked = self._ask(
                candidate.ref, instructions, turns, tools, run_id=run_id, session_id=session_id, effort=effort
            )
            # Closed at once, so that a failed model's connection is gone before the next one is asked.
            async with aclosing(asked):
                async for event in asked:
                    if isinstance(event, Failed):
                        failed = event
                        break
                    if isinstance(event, Completed):
                        await self._remember(after_success(candidate, self._cooldowns))
                        yield candidate.ref, event
                        return
                    yield candidate.ref, event
            failed = failed or Failed("cut", "the answer ended before it was complete")
            tried = (*(failure.candidate for failure in failures), candidate)
            failures.append(Failure(candidate, failed, tried))
            _log.warning(
                "model.failed",
                model=candidate.ref,
                kind=failed.kind,
                means=classify(failed),
                status=failed.status,
                run_id=run_id,
            )

    async def _remember(self, cooldowns: Cooldowns) -> None:
        if cooldowns == self._cooldowns:
            return
        self._cooldowns = cooldowns
        if self._kept is None:
            return
        async with self._saving:
            await self._kept.save(self._cooldowns)

    async def _ask(
        self,
        ref: str,
        instructions: str,
        turns: Sequence[Turn],
        tools: Sequence[ToolSpec],
        *,
        run_id: str,
        session_id: str,
        effort: str,
    ) -> AsyncGenerator[ProviderEvent, None]:
        try:
            model = self.catalog.find(ref)
        except Invalid as error:
            yield Failed("invalid_request", error.detail, code="model.no_route")
            return
        wires = [wire for wire in model.wires if (model.provider, wire) in ROUTES]
        if not wires:
            spoken = ", ".join(model.wires)
            yield Failed("invalid_request", f"{ref} speaks only {spoken}, which has no route", code="model.no_route")
            return
        for wire in wires:
            body = _request(model, wire, instructions, turns, tools, session_id=session_id, effort=effort)
            refused: Failed | None = None
            async with aclosing(self._call(ROUTES[model.provider, wire], wire, body, run_id)) as events:
                async for event in events:
                    if isinstance(event, Failed) and event.code in _OTHER_WIRE and wire != wires[-1]:
                        refused = event
                        break
                    yield event
            if refused is None:
                return
            _log.info("model.other_wire", model=ref, wire=wire, reason=refused.code, run_id=run_id)

    async def _call(
        self, route: ModelRoute, wire: Wire, body: Mapping[str, Any], run_id: str
    ) -> AsyncGenerator[ProviderEvent, None]:
        deadline = self._clock.monotonic() + _WHILE_GATEWAY_RESTARTS_S
        while True:
            try:
                async with self._client.model(route, body, run_id=run_id) as answer:
                    if answer.status != _OK:
                        yield parse_failure(answer.status, answer.headers, await answer.read(_ERROR_BYTES))
                        return
                    async for event in _PARSERS[wire](answer.aiter_bytes()):
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

    def _explain(self, failures: Sequence[Failure], decision: Decision) -> NoModel:
        rests = [f"{skip.candidate.ref} rests until {skip.until:%H:%M} UTC" for skip in decision.skipped if skip.until]
        if not failures:
            until = min((skip.until for skip in decision.skipped if skip.until), default=None)
            when = f" until {until:%H:%M} UTC" if until else ""
            if all(skip.cause == "usage_limit" for skip in decision.skipped):
                return NoModel(f"every model's usage limit is reached{when}", code="model.usage_limit")
            return NoModel(f"every model's provider asks us to wait{when}", code="model.rate_limited")
        stopped = decision.reason if classify(failures[-1].failed) in STOPS else ""
        told = failures[-1] if stopped else failures[0]
        kind = classify(told.failed)
        others = len(failures) - 1
        beside = "" if not others else " (and 1 fallback)" if others == 1 else f" (and {others} fallbacks)"
        resting = f" ({'; '.join(rests)})" if rests and not stopped else ""
        if kind == "budget":
            # The gateway's own words quote the counter that `clawgate usage` shows.
            return NoModel(f"{told.failed.message}{resting}", code="budget.exhausted")
        # A 403 need not mean the credential: the model may be off in the account, or an edge may refuse us.
        words = _DENIED if kind == "auth" and told.failed.kind == "denied" else _WORDS[kind]
        return NoModel(f"{told.candidate.ref}{beside} {words}{resting}", code=f"model.{told.failed.kind}")


def _request(
    model: Model,
    wire: Wire,
    instructions: str,
    turns: Sequence[Turn],
    tools: Sequence[ToolSpec],
    *,
    session_id: str,
    effort: str,
) -> dict[str, Any]:
    match wire:
        case "responses":
            items = responses_items(turns, model.ref)
            verbosity = "medium" if model.provider == CODEX else ""
            return responses.build_request(
                model.id,
                instructions,
                items,
                tools,
                session_id=session_id,
                effort=effort_of(model, effort),
                verbosity=verbosity,
            )
        case "messages":
            return messages.build_request(
                model.id, instructions, message_turns(turns, model.ref), tools, max_tokens=model.output
            )
        case "chat":
            return chat_completions.build_request(model.id, instructions, completion_messages(turns), tools)


_DENIED: Final = "is not allowed to the operator's account; its provider's settings say why"
_WORDS: Final[Mapping[FailureClass, str]] = {
    "usage_limit": "reached its usage limit",
    "rate_limit": "is rate-limited right now; try again in a minute",
    "auth": "refused the gateway's credential; the operator has to sign in again",
    "billing": "is not included in the operator's plan",
    "route": "cannot be reached by this tenant; the operator has to choose another model",
    "format": "did not accept the request",
    "model_not_found": "is not offered by its provider; the operator has to choose another model",
    "context": "cannot take a conversation this long; send /new to begin a new one",
    "content": "declined to answer this",
    "overloaded": "is overloaded right now; try again in a minute",
    "server": "had an internal error; try again",
    "cut": "broke off in the middle of the answer; try again",
    "timeout": "cannot be reached right now; try again in a minute",
    "gateway": "cannot be reached while the gateway restarts; try again in a minute",
    "budget": "is over its budget",
    "aborted": "was stopped",
}
