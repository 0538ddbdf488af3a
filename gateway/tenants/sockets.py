"""The sockets at which the gateway serves each tenant; they come and go with tenants."""

from __future__ import annotations

import os

from gateway.broker.keys import KeyGiver
from gateway.social.graph.door import GraphDoor
from gateway.tenants.names import TenantKind
from gateway.users import ServiceUser
from shared.config.paths import Paths
from shared.http.unixserver import AsgiListeners


class TenantSockets:
    """Opens and closes one tenant's sockets; the others' stay as they are.

    Args:
        paths: where they lie.
        broker: answers tenants.
        givers: hand a tenant's key to whoever starts it.
        door: to the Graph hosts, for OpenClaw's commands.
    """

    def __init__(self, paths: Paths, broker: AsgiListeners, givers: KeyGiver, door: GraphDoor) -> None:
        self._paths = paths
        self._broker = broker
        self._givers = givers
        self._door = door

    async def open(self, name: str, kind: TenantKind, user: ServiceUser | None) -> None:
        """Serve a tenant, which connects as `user`, or as we do; its folders must be there."""
        owner = (os.geteuid(), user.gid) if user else None
        await self._broker.add_unix(self._paths.tenant_socket(name), state={"tenant": name}, mode=0o660, owner=owner)
        await self._givers.add(self._paths.key_socket(name), name, user.uid if user else os.geteuid())
        if kind == "openclaw":
            await self._door.add(name, self._paths.tenant_graph_socket(name))

    async def close(self, name: str) -> None:
        """Serve a tenant no more."""
        await self._broker.remove(self._paths.tenant_socket(name))
        self._givers.remove(self._paths.key_socket(name))
        self._door.remove(self._paths.tenant_graph_socket(name))
