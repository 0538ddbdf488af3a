"""The events of the protocol: their names, and which a slow client may miss."""

from __future__ import annotations

from typing import Final

CHALLENGE: Final = "connect.challenge"
TICK: Final = "tick"
HEALTH: Final = "health"
PRESENCE: Final = "presence"
CHAT: Final = "chat"
AGENT: Final = "agent"
CRON: Final = "cron"
SHUTDOWN: Final = "shutdown"
PAIR_REQUESTED: Final = "device.pair.requested"
PAIR_RESOLVED: Final = "device.pair.resolved"
APPROVAL_REQUESTED: Final = "exec.approval.requested"
APPROVAL_RESOLVED: Final = "exec.approval.resolved"
HEARTBEAT: Final = "heartbeat"
POST_CHANGED: Final = "posts.changed"

ADVERTISED: Final = (
    CHALLENGE,
    AGENT,
    CHAT,
    PRESENCE,
    TICK,
    HEALTH,
    HEARTBEAT,
    CRON,
    SHUTDOWN,
    PAIR_REQUESTED,
    PAIR_RESOLVED,
    APPROVAL_REQUESTED,
    APPROVAL_RESOLVED,
)

_DROPPABLE = frozenset({TICK, PRESENCE, HEARTBEAT, CRON, PAIR_REQUESTED, PAIR_RESOLVED, POST_CHANGED})


def is_droppable(event: str, payload: object) -> bool:
    """Whether a slow client may miss this event: the next one of its kind, or a read, makes up for it."""
    if event == CHAT:
        return isinstance(payload, dict) and payload.get("state") == "delta"
    return event in _DROPPABLE or event.startswith("exec.approval.")
