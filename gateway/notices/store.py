"""Notices in the gateway's database."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from gateway.notices.models import NoticeKind, OwnerNotice, StoredNotice
from gateway.schema import owner_notice
from shared.clock import SYSTEM_CLOCK, Clock
from shared.ids import new_id
from shared.obs.redact import redact_text
from shared.storage import Database, insert_new

_TEXT_CHARS = 3500
_REASON_CHARS = 300


class NoticeStore:
    """Reads and writes of the notice table."""

    def __init__(self, database: Database, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database = database
        self._clock = clock

    async def put(self, notice: OwnerNotice) -> bool:
        """Keep a notice unless its event was told already; true when somebody now waits to be told."""
        values = {
            "id": new_id("ntc"),
            "key": notice.key,
            "kind": notice.kind,
            "text": redact_text(notice.text)[:_TEXT_CHARS],
            "created_at": self._clock.now(),
            "state": "waiting",
            "reason": "",
            "tenant": "",
            "chat": "",
        }

        def work(connection: Connection) -> bool:
            if insert_new(connection, owner_notice, values):
                return True
            # The state came back before anybody was told that it was over.
            here = (owner_notice.c.key == notice.key) & (owner_notice.c.state == "withdrawn")
            again = {"state": "waiting", "reason": "", "settled_at": None}
            return connection.execute(owner_notice.update().where(here).values(**again)).rowcount == 1

        return await self._database.write(work)

    async def waiting(self) -> list[StoredNotice]:
        """Notices nobody has taken yet, oldest first."""
        statement = select(owner_notice).where(owner_notice.c.state == "waiting").order_by(owner_notice.c.created_at)
        return await self._database.read(lambda connection: [_stored(row) for row in connection.execute(statement)])

    async def recent(self, limit: int) -> list[StoredNotice]:
        """The newest notices, newest first."""
        statement = select(owner_notice).order_by(owner_notice.c.created_at.desc()).limit(limit)
        return await self._database.read(lambda connection: [_stored(row) for row in connection.execute(statement)])

    async def settle(self, notice_id: str, *, tenant: str, chat: str) -> bool:
        """A tenant has it in its outbox; true when it was not settled before."""
        here = (owner_notice.c.id == notice_id) & (owner_notice.c.state != "delivered")
        values = {"state": "delivered", "reason": "", "tenant": tenant, "chat": chat, "settled_at": self._clock.now()}
        return await self._database.write(
            lambda connection: connection.execute(owner_notice.update().where(here).values(**values)).rowcount == 1
        )

    async def hold(self, notice_id: str, reason: str) -> bool:
        """It cannot be delivered for now; true when such a notice waits."""
        here = (owner_notice.c.id == notice_id) & (owner_notice.c.state == "waiting")
        values = {"reason": reason[:_REASON_CHARS]}
        return await self._database.write(
            lambda connection: connection.execute(owner_notice.update().where(here).values(**values)).rowcount == 1
        )

    async def withdraw(self, kinds: Collection[NoticeKind], *, but: Collection[str]) -> int:
        """Take back what nobody was told yet and is over, of some kinds; says how many.

        Args:
            kinds: which.
            but: keys of events that go on.
        """
        over = (
            (owner_notice.c.state == "waiting")
            & owner_notice.c.kind.in_(list(kinds))
            & owner_notice.c.key.not_in(list(but))
        )
        values = {"state": "withdrawn", "reason": "over before anybody was told", "settled_at": self._clock.now()}
        return await self._database.write(
            lambda connection: connection.execute(owner_notice.update().where(over).values(**values)).rowcount
        )

    async def forget(self, before: datetime) -> int:
        """Drop what was settled before a moment; says how many."""
        old = owner_notice.c.settled_at < before
        return await self._database.write(
            lambda connection: connection.execute(owner_notice.delete().where(old)).rowcount
        )


def _stored(row: Row[Any]) -> StoredNotice:
    return StoredNotice(**{name: getattr(row, name) for name in StoredNotice.__slots__})
