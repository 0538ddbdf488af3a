"""Events: numbered once, encoded once, told to every connection that may hear them."""

from __future__ import annotations

from typing import Any

from openclaw.connection import Connection
from openclaw.protocol import events
from openclaw.protocol.frames import encode, event
from openclaw.protocol.scopes import allows, event_scope


class Broadcasts:
    """The connections after their handshake, and what they are told.

    Attributes:
        presence_version: of the table of who is there; the hub keeps it up to date.
        health_version: rises whenever everybody is told a new health.
    """

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}
        self._seq = 0
        self.presence_version = 1
        self.health_version = 1

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def connections(self) -> list[Connection]:
        """Connections after their handshake."""
        return list(self._connections.values())

    @property
    def state_version(self) -> dict[str, int]:
        """What clients compare to know whether they missed something."""
        return {"presence": self.presence_version, "health": self.health_version}

    def add(self, connection: Connection) -> None:
        """Tell this connection from now on."""
        self._connections[connection.id] = connection

    def remove(self, connection: Connection) -> bool:
        """Tell it no more; false when it was not told anyway."""
        return self._connections.pop(connection.id, None) is not None

    def tell(self, name: str, payload: dict[str, Any], *, state_version: bool = False) -> None:
        """Tell every connection that may hear it.

        The number counts broadcasts, not what one client gets: those filtered by scope leave gaps (protocol §8).
        """
        self._seq += 1
        version = self.state_version if state_version else None
        text = encode(event(name, payload, seq=self._seq, state_version=version))
        droppable = events.is_droppable(name, payload)
        scope = event_scope(name)
        for connection in self.connections:
            if connection.grant is not None and allows(connection.grant.scopes, scope):
                connection.send_text(text, droppable=droppable)

    def tell_tool(self, connection_id: str, payload: dict[str, Any]) -> None:
        """Send a tool event to the one connection that asked for the run, if it wants tool events."""
        connection = self._connections.get(connection_id)
        if connection is not None and connection.grant is not None and "tool-events" in connection.grant.caps:
            connection.send_text(encode(event(events.AGENT, payload)), droppable=True)
