"""Who is connected: a small table that clients watch."""

from __future__ import annotations

import platform
import socket
from collections import OrderedDict
from typing import Any

from openclaw.protocol.frames import SERVER_VERSION, ClientInfo, compact
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms

_TTL_MS = 300_000
_MAX_ENTRIES = 200


class Presence:
    """Presence entries by device, instance or connection; `version` rises with every change."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._entries: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._live: dict[str, int] = {}
        self.version = 1
        host = socket.gethostname()
        self._self = compact(
            host=host,
            version=SERVER_VERSION,
            platform=f"linux {platform.release()}",
            deviceFamily="Linux",
            modelIdentifier=platform.machine(),
            mode="gateway",
            reason="self",
            text=f"Gateway: {host} · app {SERVER_VERSION} · mode gateway · reason self",
        )

    def joined(self, key: str, client: ClientInfo, *, ip: str, device_id: str, role: str, scopes: list[str]) -> None:
        """A connection came."""
        name = client.display_name or client.id
        self._entries[key] = compact(
            host=name,
            ip=ip or None,
            version=client.version,
            platform=client.platform,
            deviceFamily=client.device_family,
            modelIdentifier=client.model_identifier,
            mode=client.mode,
            deviceId=device_id or None,
            roles=[role],
            scopes=scopes,
            instanceId=client.instance_id,
            reason="connect",
            text=f"{name} · app {client.version} · mode {client.mode} · reason connect",
            ts=unix_ms(self._clock.now()),
        )
        self._entries.move_to_end(key)
        self._live[key] = self._live.get(key, 0) + 1
        self.version += 1

    def beacon(self, key: str, fields: dict[str, Any]) -> None:
        """A program told about itself without being connected as such; forgotten after five minutes of silence."""
        before = self._entries.get(key, {})
        self._entries[key] = {**before, **fields, "ts": unix_ms(self._clock.now())}
        self._entries.move_to_end(key)
        self.version += 1

    def left(self, key: str) -> None:
        """A connection went; its entry stays for a while, marked."""
        count = self._live.get(key, 0) - 1
        if count > 0:
            self._live[key] = count
            return
        self._live.pop(key, None)
        if entry := self._entries.get(key):
            text = str(entry["text"]).rsplit(" · reason ", 1)[0] + " · reason disconnect"
            self._entries[key] = {**entry, "reason": "disconnect", "text": text, "ts": unix_ms(self._clock.now())}
            self.version += 1

    def listing(self) -> list[dict[str, Any]]:
        """The table, this gateway first, then the newest."""
        now = unix_ms(self._clock.now())
        for key in [k for k, entry in self._entries.items() if k not in self._live and entry["ts"] < now - _TTL_MS]:
            del self._entries[key]
        while len(self._entries) > _MAX_ENTRIES:
            self._entries.popitem(last=False)
        rest = sorted(self._entries.values(), key=lambda entry: int(entry["ts"]), reverse=True)
        return [{**self._self, "ts": now}, *rest]
