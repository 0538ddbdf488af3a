"""What the owner is to be told reaches a chat: from the gateway into a tenant's outbox, each notice once.

The notice's id is the key of its message in the outbox. A crash between the outbox and the acknowledgement makes the
gateway hand it out again, and the outbox then has that key already.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from shared.channels.outbox import Outbox
from shared.errors import GatewayError, NotFound
from shared.gatewayclient.models import NoticeMessage
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

_WAIT_S = 50.0
_HELD_S = 60.0
"""How long to rest after a notice that could not be said."""


class NoticeGateway(Protocol):
    """What is asked of the gateway; `GatewayClient` has it."""

    async def notices(self, wait_s: float) -> list[NoticeMessage]:
        """What is to be said; waits for the first one."""
        ...

    async def acknowledge_notice(self, notice_id: str, chat: str) -> None:
        """It is in our outbox."""
        ...

    async def hold_notice(self, notice_id: str, reason: str) -> None:
        """It cannot be said for now."""
        ...


class NoticeDelivery:
    """Puts notices into a tenant's outbox.

    Args:
        gateway: hands them out.
        outbox: says them.
        usual_chat: where to say those that name no chat; empty when there is no such place, with the reason.
        rest_s: how long to rest after one that could not be said, in seconds.
    """

    def __init__(
        self,
        gateway: NoticeGateway,
        outbox: Outbox,
        usual_chat: Callable[[], tuple[str, str]],
        *,
        rest_s: float = _HELD_S,
    ) -> None:
        self._gateway = gateway
        self._outbox = outbox
        self._usual_chat = usual_chat
        self._rest_s = rest_s

    async def run(self) -> None:
        """Wait for notices and say them until cancelled; a gateway that is away is waited for."""
        backoff = Backoff(base_s=0.5, ceiling_s=30.0)
        while True:
            try:
                notices = await self._gateway.notices(_WAIT_S)
                said = [await self.deliver(notice) for notice in notices]
            except GatewayError as error:
                _log.debug("notices.gateway_away", code=error.code)
                await asyncio.sleep(backoff.next_delay_s())
                continue
            backoff.reset()
            if not all(said):
                await asyncio.sleep(self._rest_s)

    async def deliver(self, notice: NoticeMessage) -> bool:
        """Make one notice durable in the outbox, then tell the gateway; false when it cannot be said for now.

        Raises:
            GatewayError: the gateway could not be told; repeating is safe.
        """
        chat, why_not = (notice.chat, "") if notice.chat else self._usual_chat()
        if chat:
            try:
                await self._outbox.post(notice.id, chat, notice.text)
            except GatewayError as error:
                chat, why_not = "", error.detail
        if not chat:
            await self._hold(notice, why_not)
            return False
        await self._gateway.acknowledge_notice(notice.id, chat)
        _log.info("notice.said", notice=notice.id, chat=chat)
        return True

    async def _hold(self, notice: NoticeMessage, reason: str) -> None:
        _log.warning("notice.held", notice=notice.id, reason=reason)
        try:
            await self._gateway.hold_notice(notice.id, reason)
        except NotFound:
            _log.debug("notice.withdrawn", notice=notice.id)


@asynccontextmanager
async def delivering_notices(
    gateway: NoticeGateway, outbox: Outbox, usual_chat: Callable[[], tuple[str, str]]
) -> AsyncIterator[None]:
    """Say the owner's notices for as long as the context is open; see `NoticeDelivery`."""
    tasks = TaskPool("notices")
    tasks.start(NoticeDelivery(gateway, outbox, usual_chat).run(), name="delivery")
    try:
        yield
    finally:
        await tasks.close()
