"""Cards on Discord: one for every approver or one in a channel, each changed once the request is decided."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Literal

from openclaw.approvals.card_text import buttons, card_text, file_text, is_long
from openclaw.approvals.models import Approval
from openclaw.approvals.service import Approvals
from openclaw.config import OPERATOR, ApprovalsPolicy
from shared.channels.base import Channel, ChatId, DirectChats, OutboundFile
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import DeadlineExceeded, GatewayError, Unavailable
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.secrets.files import write_private

_log = get_logger(__name__)

_PATIENCE_S: Final = 8.0
_DELIVERY_S: Final = 5.0
_RETRY_S: Final = 15.0


class ApprovalCards:
    """Shows requests to those who decide.

    Args:
        tenant: whose folders are used.
        channel: gives where cards are shown; None without Discord.
    """

    def __init__(
        self,
        tenant: str,
        paths: Paths,
        approvals: Approvals,
        outbox: Outbox,
        channel: Callable[[], Channel | None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._files = paths.approval_files(tenant)
        self._approvals = approvals
        self._outbox = outbox
        self._channel = channel
        self._clock = clock
        self._tasks = TaskPool("cards")
        self._locks: dict[str, asyncio.Lock] = {}

    async def close(self) -> None:
        """Stop trying to reach people."""
        await self._tasks.close()

    @property
    def _policy(self) -> ApprovalsPolicy:
        return self._approvals.policy

    @property
    def _people(self) -> list[str]:
        return [approver for approver in self._policy.approvers if approver != OPERATOR]

    # --- showing -----------------------------------------------------------------------------------------------------

    async def announce(self, approval: Approval) -> str:
        """Show a request to everybody who decides; says who was reached, nothing when nobody was.

        Reached is who has the card now. Whoever cannot be reached because Discord is away is tried again until the
        request is over; whoever takes no messages from us is not.
        """
        channel = self._channel()
        if channel is None or not self._people or channel.status.state in ("off", "failed"):
            return ""
        places = [self._policy.channel] if self._policy.channel else self._people
        trying = [self._tasks.start(self._show(approval, place), name="card", watched=True) for place in places]
        done, late = await asyncio.wait(trying, timeout=_PATIENCE_S)
        reached = sum(task.result() == "shown" for task in done)
        for place, task in zip(places, trying, strict=True):
            if task in late or task.result() == "later":
                self._tasks.start(self._keep_trying(approval, place), name="card.later")
        if not reached:
            return ""
        where = "in the approvals channel" if self._policy.channel else f"to {reached} approver(s) by direct message"
        return f"A card was sent {where}."

    async def _show(self, approval: Approval, place: str) -> Literal["shown", "stored", "refused", "later"]:
        key = self._key(approval, place)
        try:
            await self._post(approval, await self._chat(place), key)
            await self._outbox.deliver(key, timeout_s=_DELIVERY_S)
        except DeadlineExceeded:
            return "stored"  # the outbox goes on by itself
        except GatewayError as error:
            _log.warning("approval.unreached", approval=approval.approval_id, place=place, reason=error.detail)
            return "later" if error.retryable else "refused"
        return "shown"

    async def _keep_trying(self, approval: Approval, place: str) -> None:
        while self._clock.now() < approval.expires_at:
            await asyncio.sleep(_RETRY_S)
            if (await self._approvals.get(approval.approval_id)).state != "requested":
                return
            if await self._show(approval, place) != "later":
                return

    def _key(self, approval: Approval, place: str) -> str:
        return f"{approval.approval_id}_{place}"

    async def _chat(self, place: str) -> ChatId:
        if self._policy.channel:
            return f"dc:{place}"
        channel: object = self._channel()
        if isinstance(channel, DirectChats):
            return await channel.direct_chat(place)
        raise Unavailable("this channel cannot begin direct messages: set approvals.channel", code="approvals.direct")

    async def _post(self, approval: Approval, chat: ChatId, key: str) -> None:
        files: tuple[OutboundFile, ...] = ()
        if is_long(approval):
            path = self._files / f"{key}.txt"
            await asyncio.to_thread(write_private, path, file_text(approval))
            files = (OutboundFile("command.txt", path),)
        async with self._lock(approval):
            await self._outbox.post(key, chat, card_text(approval), buttons=buttons(approval), files=files)
        for file in files:
            await asyncio.to_thread(file.path.unlink, missing_ok=True)
        now = await self._approvals.get(approval.approval_id)
        if now.state != "requested":  # decided elsewhere while the card was on its way
            await self.update(now)

    # --- changing ----------------------------------------------------------------------------------------------------

    def _lock(self, approval: Approval) -> asyncio.Lock:
        return self._locks.setdefault(approval.approval_id, asyncio.Lock())

    async def update(self, approval: Approval) -> None:
        """Let every card of a request say what was decided, without buttons."""
        places = [self._policy.channel] if self._policy.channel else self._people
        for place in places:
            key = self._key(approval, place)
            async with self._lock(approval):
                rows = await self._outbox.rows(key)
                if rows and rows[0].buttons:
                    drafts = self._outbox.drafts(key, rows[0].chat, card_text(approval), files=rows[0].files)
                    await self._outbox.rewrite(key, drafts, shown={})
        self._locks.pop(approval.approval_id, None)
