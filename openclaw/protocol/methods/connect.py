"""``connect`` after the handshake: it is only valid once."""

from __future__ import annotations

from openclaw.protocol.errors import invalid
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import ADMIN


def _connect(_call: Call, _params: object) -> object:
    raise invalid("connect is only valid as the first request")


METHODS = (Method("connect", ADMIN, _connect, params=None, advertised=False),)
