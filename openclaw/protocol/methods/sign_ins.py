"""Our own method about the gateway's sign-ins at model providers, for the Control UI's overview."""

from __future__ import annotations

from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import READ
from shared.clock import unix_ms
from shared.errors import Unavailable


async def _status(call: Call, _params: object) -> object:
    ask = call.services.sign_ins
    if ask is None:
        raise Unavailable("this OpenClaw runs without the gateway", code="gateway.off", retryable=False)
    return {
        "credentials": [
            {
                "id": info.id,
                "label": info.label,
                "state": info.state,
                "expiresAtMs": None if info.expires_at is None else unix_ms(info.expires_at),
                "fix": info.command,
            }
            for info in await ask()
        ]
    }


METHODS = (Method("credentials.status", READ, _status, advertised=False),)
