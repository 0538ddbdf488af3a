"""Takes notices in, keeps them, and hands them to the one tenant that says them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from datetime import timedelta

from gateway.notices.models import NoticeKind, OwnerNotice, StoredNotice
from gateway.notices.store import NoticeStore
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Denied, NotFound
from shared.gatewayclient.models import NoticeMessage
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

LONGEST_WAIT_S = 55.0
"""A waiting call is answered after this long at the latest, with nothing."""

_KEPT = timedelta(days=180)
_DRAIN_S = 5.0


class Notices:
    """The gateway's side of the owner's notices.

    Args:
        store: keeps them.
        tenant: whose bot says them; empty when there is none, and they wait.
        chat: where; empty lets the tenant choose.
        clock: for their age.
    """

    def __init__(self, store: NoticeStore, *, tenant: str, chat: str, clock: Clock = SYSTEM_CLOCK) -> None:
        self._store = store
        self._tenant = tenant
        self._chat = chat
        self._clock = clock
        self._tasks = TaskPool("notices")
        self._known: set[str] = set()
        self._news = asyncio.Event()
        self._closing = asyncio.Event()

    def speak_by(self, tenant: str) -> None:
        """From now on another tenant says them."""
        self._tenant = tenant
        self._news.set()

    async def forget(self) -> int:
        """Forget what is long over; says how many."""
        return await self._store.forget(self._clock.now() - _KEPT)

    def release(self) -> None:
        """Answer all waiting calls now, so that the sockets can close."""
        self._closing.set()
        self._news.set()

    async def close(self) -> None:
        """Finish the writes under way."""
        await self._tasks.drain(_DRAIN_S)
        await self._tasks.close()

    def tell(self, notice: OwnerNotice) -> None:
        """Take a notice in, without waiting; one that was told of before costs nothing."""
        if notice.key not in self._known:
            self._known.add(notice.key)
            self._tasks.start(self.record(notice), name="record")

    async def record(self, notice: OwnerNotice) -> bool:
        """Take a notice in; durable when this returns. True when it is news."""
        try:
            is_news = await self._store.put(notice)
        except BaseException:
            self._known.discard(notice.key)
            raise
        if is_news:
            _log.warning("notice.raised", kind=notice.kind, about=notice.key)
            self._news.set()
        return is_news

    async def withdraw(self, kinds: Collection[NoticeKind], *, but: Collection[str]) -> None:
        """Take back what is over before anybody was told; see `NoticeStore.withdraw`."""
        await self._store.withdraw(kinds, but=but)

    async def wait(self, tenant: str, wait_s: float) -> list[NoticeMessage]:
        """What a tenant is to say now; waits for the first one, up to `wait_s` seconds."""
        mine = tenant == self._tenant
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(max(wait_s, 0.0), LONGEST_WAIT_S)
        while True:
            self._news.clear()
            waiting = await self._store.waiting() if mine else []
            left = deadline - loop.time()
            if waiting or left <= 0 or self._closing.is_set():
                return [NoticeMessage(id=notice.id, text=notice.text, chat=self._chat) for notice in waiting]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._news.wait()

    async def acknowledge(self, tenant: str, notice_id: str, chat: str) -> None:
        """The tenant has the notice in its outbox; repeating it is fine.

        Raises:
            Denied: it is another tenant's to say.
        """
        self._require(tenant)
        if await self._store.settle(notice_id, tenant=tenant, chat=chat[:120]):
            _log.info("notice.delivered", notice=notice_id, tenant=tenant, chat=chat)

    async def hold(self, tenant: str, notice_id: str, reason: str) -> None:
        """The tenant cannot say it for now.

        Raises:
            Denied: it is another tenant's to say.
            NotFound: no such notice waits.
        """
        self._require(tenant)
        if not await self._store.hold(notice_id, reason):
            raise NotFound(f"no notice {notice_id} waits", code="notice.not_found")

    async def recent(self, limit: int) -> list[StoredNotice]:
        """The newest notices, newest first."""
        return await self._store.recent(limit)

    def _require(self, tenant: str) -> None:
        if tenant != self._tenant:
            raise Denied(f"notices are not for {tenant} to say", code="notice.not_yours")
