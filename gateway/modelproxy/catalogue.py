"""The list of models as copilot-api's users know it. Source: reference notes on copilot-api 0.7.0, ``/v1/models``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from gateway.modelproxy.identity import ModelIdentity
from gateway.modelproxy.proxy import ModelProxy
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError, NotFound, UpstreamError
from shared.obs.log import get_logger
from shared.providers.catalog import COPILOT, Catalog, Wire, shipped_catalog

_log = get_logger(__name__)

_EPOCH = "1970-01-01T00:00:00.000Z"
_OK = 200
_KEPT_S = 3600.0
_TRY_AGAIN_S = 30.0
_WIRES: Final[Mapping[str, Wire]] = {"/chat/completions": "chat", "/responses": "responses", "/v1/messages": "messages"}


class ModelCatalogue:
    """The provider's models, asked for once an hour; an old list serves on while the provider does not answer.

    Args:
        proxy: does the call.
        identity: in whose name.
        catalog: says what models speak as long as the provider does not.
        clock: for the list's age.
    """

    def __init__(
        self,
        proxy: ModelProxy,
        identity: ModelIdentity,
        *,
        catalog: Catalog | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._proxy = proxy
        self._identity = identity
        self._catalog = catalog or shipped_catalog()
        self._clock = clock
        self._models: dict[str, Mapping[str, Any]] = {}
        self._asked_at: float | None = None
        self._failed_at: float | None = None
        self._asking = asyncio.Lock()

    def ids(self) -> Collection[str]:
        """Ids of the list last received."""
        return self._models.keys()

    def max_output(self, model: str) -> int:
        """Most tokens a model writes; 0 when not known."""
        capabilities = self._models.get(model, {}).get("capabilities")
        limits = capabilities.get("limits") if isinstance(capabilities, dict) else None
        value = limits.get("max_output_tokens") if isinstance(limits, dict) else None
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

    def wires(self, model: str) -> Collection[Wire]:
        """What a model can be asked with: as the provider lists it, else as the catalogue knows it."""
        endpoints = self._models.get(model, {}).get("supported_endpoints")
        listed = endpoints if isinstance(endpoints, list) else []
        wires = [wire for path, wire in _WIRES.items() if path in listed]
        return wires or self._catalog.find(f"{COPILOT}/{model}").wires

    async def facts(self) -> ModelCatalogue:
        """This catalogue, filled if that is possible: a call must not fail because the list did."""
        if not self._is_current() and not self._rests():
            try:
                await self._refresh()
            except GatewayError as error:
                _log.info("model.no_list", reason=error.code)
        return self

    async def listing(self) -> dict[str, Any]:
        """The answer to ``GET /v1/models``.

        Raises:
            GatewayError: there is no list yet and the provider gives none.
        """
        try:
            await self._refresh()
        except GatewayError:
            if not self._models:
                raise
        return {"object": "list", "data": [_entry(model) for model in self._models.values()], "has_more": False}

    async def one(self, name: str) -> dict[str, Any]:
        """The answer to ``GET /v1/models/{id}``.

        Raises:
            NotFound: the provider does not list it.
            GatewayError: as `listing`.
        """
        await self.listing()
        if name not in self._models:
            raise NotFound(f"no model {name!r}; GET /v1/models lists them", code="model.unknown")
        return _entry(self._models[name])

    def _is_current(self) -> bool:
        return self._asked_at is not None and self._clock.monotonic() < self._asked_at + _KEPT_S

    def _rests(self) -> bool:
        return self._failed_at is not None and self._clock.monotonic() < self._failed_at + _TRY_AGAIN_S

    async def _refresh(self) -> None:
        async with self._asking:
            if self._is_current():
                return
            try:
                status, body = await self._proxy.fetch(self._identity, "models")
                if status != _OK:
                    raise UpstreamError(f"the Copilot API answered {status} to the list of models", status=status)
                models = parse_models(body)
            except GatewayError:
                self._failed_at = self._clock.monotonic()
                raise
            self._models = {model["id"]: model for model in models}
            self._asked_at, self._failed_at = self._clock.monotonic(), None


def parse_models(body: bytes) -> list[Mapping[str, Any]]:
    """Models with an id, whatever else the answer holds.

    Raises:
        UpstreamError: it is not a list of models.
    """
    try:
        data = json.loads(body)["data"]
        return [model for model in data if isinstance(model, dict) and isinstance(model.get("id"), str)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UpstreamError("the Copilot API's list of models is not understood", status=_OK) from None


def _entry(model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": model["id"],
        "object": "model",
        "type": "model",
        "created": 0,
        "created_at": _EPOCH,
        "owned_by": str(model.get("vendor", "")),
        "display_name": str(model.get("name", model["id"])),
    }
