"""Gateway sessions: sequence numbers, the replay buffer, and who gets which event."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.sandbox.discord.events import Event
from gateway.sandbox.discord.models import Json, dump_compact
from gateway.sandbox.discord.state import State
from gateway.sandbox.discord.wire import Viewer
from shared.clock import Clock

REPLAY_LIMIT = 2_000
"""Dispatches kept for a resume; a client further behind has to identify anew."""
SESSION_LIFE_S = 300.0
"""How long a session without a connection can be resumed."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A written dispatch."""

    seq: int
    name: str
    text: str


class Connection(Protocol):
    """What a session needs from its socket."""

    def deliver(self, frame: Frame) -> None:
        """Queue a dispatch for sending."""

    def disrupt(self, kind: str, *, code: int = 4000, resumable: bool = True) -> None:
        """Break the connection: ``reset``, ``close``, ``reconnect``, ``invalid_session`` or ``drop_ack``."""


@dataclass(slots=True)
class Session:
    """One IDENTIFY and everything sent since. It outlives its connection for a while."""

    id: str
    viewer: Viewer
    token: str
    seq: int = 0
    connection: Connection | None = None
    lost_at: float | None = None
    buffer: deque[Frame] = field(default_factory=lambda: deque(maxlen=REPLAY_LIMIT))

    def push(self, name: str, data: Json) -> None:
        """Number a dispatch, keep it for replay and send it if somebody listens."""
        self.seq += 1
        text = dump_compact({"t": name, "s": self.seq, "op": 0, "d": data})
        frame = Frame(self.seq, name, text)
        self.buffer.append(frame)
        if self.connection is not None:
            self.connection.deliver(frame)

    def can_replay(self, seq: int) -> bool:
        """Whether everything after `seq` is still here."""
        return seq == self.seq or (bool(self.buffer) and self.buffer[0].seq <= seq + 1)

    def after(self, seq: int) -> list[Frame]:
        """The dispatches a client at `seq` has missed, in order."""
        return [frame for frame in self.buffer if frame.seq > seq]


Watcher = Callable[[str, Json], None]


class SessionHub:
    """All sessions of the world, and the people's pages that watch along."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._watchers: dict[Watcher, Viewer] = {}

    def open(self, viewer: Viewer, token: str) -> Session:
        """Start a session."""
        self._expire()
        session = Session(secrets.token_hex(16), viewer, token)
        self._sessions[session.id] = session
        return session

    def find(self, session_id: str) -> Session | None:
        """A session that can still be resumed."""
        self._expire()
        return self._sessions.get(session_id)

    def of(self, user_id: int) -> list[Session]:
        """All sessions of an account, connected or not."""
        self._expire()
        return [session for session in self._sessions.values() if session.viewer.user_id == user_id]

    def online(self, user_id: int) -> bool:
        """Whether an account has a live connection."""
        return any(session.connection is not None for session in self.of(user_id))

    def end(self, session: Session) -> None:
        """Forget a session for good."""
        session.connection = None
        self._sessions.pop(session.id, None)

    def detach(self, session: Session, connection: Connection) -> None:
        """Note that a session's connection is gone; a newer connection stays."""
        if session.connection is connection:
            session.connection = None
            session.lost_at = self._clock.monotonic()

    def watch(self, viewer: Viewer, watcher: Watcher) -> Callable[[], None]:
        """Call `watcher(name, data)` for every event the viewer may see; returns how to stop it."""
        self._watchers[watcher] = viewer

        def stop() -> None:
            self._watchers.pop(watcher, None)

        return stop

    def publish(self, event: Event) -> None:
        """Hand an event to every session and page that may see it."""
        for session in list(self._sessions.values()):
            if event.reaches(self._state, session.viewer):
                session.push(event.name, event.render(session.viewer))
        for watcher, viewer in list(self._watchers.items()):
            if event.reaches(self._state, viewer):
                watcher(event.name, event.render(viewer))

    def announce(self, name: str, data: Json) -> None:
        """Tell the people's pages only (a bot came online)."""
        for watcher in list(self._watchers):
            watcher(name, data)

    def _expire(self) -> None:
        now = self._clock.monotonic()
        for session in list(self._sessions.values()):
            if session.connection is None and session.lost_at is not None and now - session.lost_at > SESSION_LIFE_S:
                self._sessions.pop(session.id, None)
