"""Pairing by direct message: a stranger gets a code, the operator approves it. Source: OpenClaw 2026.2.26."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from openclaw import store
from openclaw.store import DmRequestRow
from shared.audit.reporting import Note, unnoted
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import NotFound
from shared.obs.log import get_logger
from shared.storage import Database

_log = get_logger(__name__)

CODE_ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
CODE_LENGTH: Final = 8
CODE_LIFETIME_S: Final = 3600
MAX_PENDING: Final = 3


@dataclass(frozen=True, slots=True)
class DmCode:
    """What a stranger's message led to.

    Attributes:
        code: the sender's code, empty when too many strangers wait already.
        is_new: made just now; only then is the sender told.
    """

    code: str
    is_new: bool


class DmPairing:
    """Who may write to the bot directly on one channel, and who asked to."""

    def __init__(self, db: Database, channel: str = "discord", clock: Clock = SYSTEM_CLOCK) -> None:
        self._db = db
        self._channel = channel
        self._clock = clock
        self._allowed: frozenset[str] = frozenset()
        self.note: Note = unnoted

    async def load(self) -> None:
        """Read the approved senders; call once."""
        self._allowed = await self._db.read(lambda c: store.allowed_senders(c, self._channel))

    @property
    def allowed(self) -> frozenset[str]:
        """Approved senders' ids. They count for direct messages only, never for a guild."""
        return self._allowed

    async def request(self, sender_id: str, sender_name: str) -> DmCode:
        """A stranger wrote: the code they have, or a new one."""
        now = self._clock.now()
        code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
        oldest = now - timedelta(seconds=CODE_LIFETIME_S)
        row = DmRequestRow(self._channel, sender_id, code, sender_name, now, now)
        return await self._db.write(lambda c: _request(c, row, oldest))

    async def pending(self) -> list[dict[str, Any]]:
        """Open requests, oldest first."""
        oldest = self._clock.now() - timedelta(seconds=CODE_LIFETIME_S)
        rows = await self._db.read(lambda c: store.dm_requests(c, self._channel))
        return [
            {
                "id": row.sender_id,
                "name": row.sender_name,
                "code": row.code,
                "createdAt": row.created_at.isoformat(),
                "lastSeenAt": row.seen_at.isoformat(),
            }
            for row in rows
            if row.created_at >= oldest
        ]

    async def approve(self, code: str) -> tuple[str, str]:
        """Let the sender with this code write; returns their id and name.

        Raises:
            NotFound: no open request has this code.
        """
        now = self._clock.now()
        oldest = now - timedelta(seconds=CODE_LIFETIME_S)
        wanted = code.strip().upper()
        row = await self._db.write(lambda c: _approve(c, self._channel, wanted, oldest, now))
        if row is None:
            raise NotFound(
                f"no pending {self._channel} request has the code {wanted!r}: codes last an hour;"
                f" see `openclaw pairing list {self._channel}`",
                code="pairing.unknown_code",
            )
        self._allowed |= {row.sender_id}
        _log.info("pairing.approved", channel=self._channel, sender=row.sender_id)
        await self.note("pairing.approved", actor="operator", subject=f"{self._channel} {row.sender_id}")
        return row.sender_id, row.sender_name


def _request(c: Any, row: DmRequestRow, oldest: Any) -> DmCode:  # noqa: ANN401 - a unit of work
    store.expire_dm_requests(c, row.channel, oldest)
    waiting = store.dm_requests(c, row.channel)
    for known in waiting:
        if known.sender_id == row.sender_id:
            store.save_dm_request(c, replace(known, seen_at=row.seen_at, sender_name=row.sender_name))
            return DmCode(known.code, is_new=False)
    if len(waiting) >= MAX_PENDING:
        return DmCode("", is_new=False)
    store.save_dm_request(c, row)
    return DmCode(row.code, is_new=True)


def _approve(c: Any, channel: str, code: str, oldest: Any, now: Any) -> DmRequestRow | None:  # noqa: ANN401 - a unit of work
    store.expire_dm_requests(c, channel, oldest)
    for row in store.dm_requests(c, channel):
        if secrets.compare_digest(row.code.encode(), code.encode()):
            store.remove_dm_request(c, channel, row.sender_id)
            store.allow_dm(c, channel, row.sender_id, row.sender_name, now)
            return row
    return None


def pairing_reply(channel: str, sender_id: str, code: str) -> str:
    """What a stranger is told."""
    return (
        "I don't know you yet, so I can't answer here.\n"
        f"Your Discord user id: {sender_id}\n"
        f"Pairing code: {code}\n"
        f"Ask the owner to run: `openclaw pairing approve {channel} {code}`"
    )
