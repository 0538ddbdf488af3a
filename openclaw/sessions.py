"""Sessions: their keys, and the index of which transcript each is in now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal
from uuid import uuid4

from openclaw import store
from openclaw.store import SessionRow, UsageRow
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Invalid
from shared.storage import Database

AGENT_ID: Final = "main"
MAIN_KEY: Final = "main"
MAIN_SESSION: Final = "agent:main:main"
HEARTBEAT: Final = "heartbeat"
"""The source of runs that nobody asked for; they do not count as use of a session."""

_HELPER: Final = f"agent:{AGENT_ID}:subagent:"

ChatType = Literal["direct", "channel"]

_KEY = re.compile(r"[a-z0-9][a-z0-9:._@-]{0,180}")


def canonical_key(asked: str) -> str:
    """The full key for what a client wrote: ``main`` and bare names belong to the one agent.

    Raises:
        Invalid: it is no session key.
    """
    text = asked.strip().lower()
    if not _KEY.fullmatch(text):
        raise Invalid("invalid session key: use letters, digits and : . _ @ -", code="session.key")
    return text if text.startswith("agent:") else f"agent:{AGENT_ID}:{text}"


def discord_session(chat: str, kind: Literal["guild", "thread", "dm"]) -> str:
    """The session of a Discord chat: direct messages share the main session, every channel and thread has its own."""
    if kind == "dm":
        return MAIN_SESSION
    return f"agent:{AGENT_ID}:discord:channel:{chat.removeprefix('dc:')}"


def is_private(key: str) -> bool:
    """Whether a session is the owner's own: the main one, or one that was opened by name in the Control UI.

    Channels, other people's direct messages, jobs and helper agents have further words in their key and are not.
    """
    return key.startswith(f"agent:{AGENT_ID}:") and key.count(":") == MAIN_SESSION.count(":")


def helper_key(name: str) -> str:
    """The session of a helper agent."""
    return f"{_HELPER}{name}"


def is_helper(key: str) -> bool:
    """Whether a session is a helper agent's."""
    return key.startswith(_HELPER)


@dataclass(frozen=True, slots=True)
class SessionOrigin:
    """Where a session's messages come from.

    Attributes:
        chat: the chat that is answered, as its channel addresses it; empty for the Control UI. Not kept.
    """

    chat_type: ChatType = "direct"
    channel: str = "webchat"
    display_name: str | None = None
    to: str | None = None
    chat: str = ""


def kept_origin(row: SessionRow | None, chat: str = "") -> SessionOrigin:
    """The origin of a session that is spoken to by us: where it belongs stays as it was.

    Args:
        row: the session; None when there is none yet.
        chat: where the answer goes.
    """
    if row is None:
        return SessionOrigin(chat=chat)
    kind: ChatType = "direct" if row.chat_type == "direct" else "channel"
    return SessionOrigin(kind, row.channel, row.display_name, row.last_to, chat)


class Sessions:
    """Every session, kept in memory and written through."""

    def __init__(self, db: Database, clock: Clock = SYSTEM_CLOCK) -> None:
        self._db = db
        self._clock = clock
        self._rows: dict[str, SessionRow] = {}

    async def load(self) -> None:
        """Read the index; call once."""
        self._rows = {row.key: row for row in await self._db.read(store.all_sessions)}

    def get(self, key: str) -> SessionRow | None:
        """A session by its canonical key."""
        return self._rows.get(key)

    def listing(self) -> list[SessionRow]:
        """All sessions, the latest used first."""
        return sorted(self._rows.values(), key=lambda row: row.updated_at, reverse=True)

    def find(self, session_id: str) -> SessionRow | None:
        """A session by the id of its transcript."""
        return next((row for row in self._rows.values() if row.session_id == session_id), None)

    async def open(self, key: str, origin: SessionOrigin | None = None) -> SessionRow:
        """The session of a key, made when there is none."""
        if row := self._rows.get(key):
            return row
        now = self._clock.now()
        origin = origin or _origin_of(key)
        row = SessionRow(
            key=key,
            session_id=str(uuid4()),
            chat_type=origin.chat_type,
            channel=origin.channel,
            display_name=origin.display_name,
            last_to=origin.to,
            created_at=now,
            updated_at=now,
        )
        await self._save(row)
        return row

    async def used(
        self,
        key: str,
        *,
        origin: SessionOrigin | None = None,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cached_tokens: int = 0,
        context_tokens: int = 0,
        model: str | None = None,
        aborted: bool | None = None,
        touch: bool = True,
    ) -> None:
        """Note what a run used; counts are added, the context is replaced. `touch`: it counts as use of the session."""
        row = self._rows.get(key)
        if row is None:
            return
        changed = replace(
            row,
            updated_at=self._clock.now() if touch else row.updated_at,
            input_tokens=row.input_tokens + input_tokens,
            output_tokens=row.output_tokens + output_tokens,
            context_tokens=context_tokens or row.context_tokens,
            model=model or row.model,
            aborted_last_run=row.aborted_last_run if aborted is None else int(aborted),
        )
        if origin is not None:
            changed = replace(
                changed,
                channel=origin.channel,
                display_name=origin.display_name or row.display_name,
                last_to=origin.to or row.last_to,
            )
        usage = UsageRow(
            key,
            row.session_id,
            changed.channel,
            model or row.model or "",
            input_tokens,
            output_tokens,
            cached_tokens,
            changed.updated_at,
        )
        await self._save(changed, usage if input_tokens or output_tokens else None, sync=False)

    async def usage(self, start: datetime, end: datetime) -> list[UsageRow]:
        """What runs used in a span of time, also of sessions that are gone; oldest first."""
        return await self._db.read(lambda c: store.usage_between(c, start, end))

    async def reset(self, key: str) -> tuple[SessionRow, str | None]:
        """Begin the session anew; returns it and the id of the transcript it leaves behind."""
        old = self._rows.get(key)
        if old is None:
            return await self.open(key), None
        now = self._clock.now()
        row = replace(
            old,
            session_id=str(uuid4()),
            updated_at=now,
            aborted_last_run=0,
            input_tokens=0,
            output_tokens=0,
            context_tokens=0,
        )
        await self._save(row)
        return row, old.session_id

    async def patch(self, key: str, changes: Mapping[str, Any]) -> SessionRow:
        """Set what clients may set for a session; a value of None clears it. Makes the session when there is none.

        Raises:
            Invalid: another session has this label.
        """
        await self.open(key)
        row = self._rows[key]
        label = changes.get("label")
        if label is not None and any(other.settings.get("label") == label for other in self._others(key)):
            raise Invalid(f"label already in use: {label}", code="session.label")
        merged = {name: value for name, value in {**row.settings, **changes}.items() if value is not None}
        row = replace(row, settings=merged, updated_at=self._clock.now())
        await self._save(row)
        return row

    def _others(self, key: str) -> Iterator[SessionRow]:
        return (row for row in self._rows.values() if row.key != key)

    def labelled(self, label: str) -> SessionRow | None:
        """A session by its label."""
        return next((row for row in self._rows.values() if row.settings.get("label") == label), None)

    async def remove(self, key: str) -> SessionRow | None:
        """Take a session out of the index; returns what there was."""
        row = self._rows.get(key)
        if row is not None:
            await self._db.write(lambda c: store.remove_session(c, key))
            del self._rows[key]
        return row

    async def _save(self, row: SessionRow, usage: UsageRow | None = None, *, sync: bool = True) -> None:
        before = self._rows.get(row.key)
        self._rows[row.key] = row  # at once: who changes the session while this is written starts from here
        try:
            await self._db.write(lambda c: store.save_session(c, row, usage), sync=sync)
        except BaseException:
            if self._rows.get(row.key) is row:
                self._rows.pop(row.key)
                self._rows |= {row.key: before} if before is not None else {}
            raise


def _origin_of(key: str) -> SessionOrigin:
    parts = key.split(":")
    if parts[2:4] == ["discord", "channel"]:
        return SessionOrigin("channel", "discord", to=f"channel:{parts[4]}" if len(parts) > 4 else None)
    return SessionOrigin()


def age_ms(row: SessionRow, now: datetime) -> int:
    """Milliseconds since a session was used."""
    return max(0, int((now - row.updated_at).total_seconds() * 1000))
