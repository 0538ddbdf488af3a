"""The list of models as copilot-api's users know it. Source: reference notes on copilot-api 0.7.0, ``/v1/models``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.modelproxy.identity import ModelIdentity
from gateway.modelproxy.proxy import ModelProxy
from shared.errors import UpstreamError

_EPOCH = "1970-01-01T00:00:00.000Z"
_OK = 200


async def list_models(proxy: ModelProxy, identity: ModelIdentity) -> dict[str, Any]:
    """Ask the provider and translate.

    Raises:
        GatewayError: no credential, or the provider does not answer as it should.
    """
    status, body = await proxy.fetch(identity, "models")
    if status != _OK:
        raise UpstreamError(f"the Copilot API answered {status} to the list of models", status=status)
    return {"object": "list", "data": [_entry(model) for model in parse_models(body)], "has_more": False}


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
