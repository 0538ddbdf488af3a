"""Requests and their decisions: filed durably, decided once, expired on time, granted for good."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from openclaw.approvals import store
from openclaw.approvals.decide import decide_approval
from openclaw.approvals.models import CLIENT, Approval, Press, Question, Ruling, StoredGrant
from openclaw.config import ApprovalsPolicy
from shared.audit.reporting import Note, unnoted
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Busy, NotFound
from shared.execpolicy.grants import Grant, Hole, make_grant
from shared.ids import new_id
from shared.obs.log import get_logger
from shared.storage import Database

_log = get_logger(__name__)

_LIST_LIMIT: Final = 100
_KEEP: Final = timedelta(days=30)
_LONGEST_SLEEP_S: Final = 30.0

OnChange = Callable[[Approval], None]


class Approvals:
    """Every request for a command that is not covered.

    Args:
        policy: who decides, and for how long a request waits.

    Attributes:
        listeners: told about every request once it is stored, and again once it is decided or expired.
    """

    def __init__(self, db: Database, policy: ApprovalsPolicy, clock: Clock = SYSTEM_CLOCK) -> None:
        self._db = db
        self.policy = policy
        self._clock = clock
        self._news = asyncio.Event()
        self.listeners: list[OnChange] = []
        self.note: Note = unnoted

    def _tell(self, approval: Approval) -> None:
        for listener in self.listeners:
            listener(approval)

    # --- asking ----------------------------------------------------------------------------------------------------

    async def request(
        self,
        question: Question,
        digest: str,
        *,
        session_key: str,
        run_id: str,
        chat: str,
        approval_id: str = "",
        expires_s: float | None = None,
    ) -> Approval:
        """File a request.

        Args:
            question: what is asked.
            digest: `argv_digest` of what would run.
            session_key: the conversation it is about.
            run_id: the run that asks; begins with `CLIENT` when a client of the gateway asks for itself.
            chat: where the run was asked for.
            approval_id: a client's own name for it; made here otherwise.
            expires_s: instead of the policy's time, in seconds; never more than that.

        Raises:
            Busy: too many wait already.
        """
        now = self._clock.now()
        patience = min(self.policy.expires_s, expires_s or self.policy.expires_s)
        approval = Approval(
            approval_id=approval_id or new_id("apr"),
            session_key=session_key,
            run_id=run_id,
            chat=chat,
            question=question,
            digest=digest,
            state="requested",
            requested_at=now,
            expires_at=now + timedelta(seconds=patience),
            told_at=now if run_id.startswith(CLIENT) else None,
        )
        if not await self._db.write(lambda c: store.add(c, approval, self.policy.max_pending)):
            raise Busy(
                f"{self.policy.max_pending} commands wait for an approval already: wait until people have decided",
                code="approvals.full",
            )
        _log.info("approval.requested", approval=approval.approval_id, session=session_key, rule=question.rule)
        self._news.set()
        self._tell(approval)
        return approval

    # --- deciding --------------------------------------------------------------------------------------------------

    async def press(self, press: Press, holes: Sequence[tuple[int, Hole]] = ()) -> Ruling:
        """Take an answer; exactly one answer of all that come decides.

        Raises:
            Invalid: a hole is where none may be.
        """
        now = self._clock.now()
        approval = await self.find(press.approval_id)
        ruling = decide_approval(press, approval, self.policy.approvers, now)
        if not ruling.counts or approval is None:
            _log.info("approval.refused", approval=press.approval_id, by=press.approver, reason=ruling.refusal)
            return ruling
        grant = self._grant(approval, press, holes) if press.answer == "allow_always" else None
        won = await self._db.write(
            lambda c: store.settle(c, press.approval_id, press.answer, by=press.shown_name, now=now, grant=grant)
        )
        settled = await self.get(press.approval_id)
        if not won:  # somebody was faster between our look and our update
            return decide_approval(press, settled, self.policy.approvers, now)
        _log.info("approval.decided", approval=press.approval_id, answer=press.answer, by=press.approver)
        self._tell(settled)
        what = f"{press.answer} for {approval.approval_id}"
        await self.note("approval.decided", actor=press.shown_name, subject=what, detail=approval.digest)
        return ruling

    def _grant(self, approval: Approval, press: Press, holes: Sequence[tuple[int, Hole]]) -> StoredGrant:
        grant = make_grant(approval.question.request, holes)
        digest = hashlib.sha256(grant.model_dump_json().encode()).hexdigest()[:16]
        value = grant.model_dump(mode="json")
        return StoredGrant(f"grant_{digest}", value, approval.approval_id, press.shown_name, self._clock.now())

    async def expire_due(self) -> None:
        """End the requests whose time is over."""
        now = self._clock.now()
        for approval in await self._db.write(lambda c: store.expire(c, now)):
            _log.info("approval.expired", approval=approval.approval_id)
            self._tell(approval)

    async def run(self) -> None:
        """Let requests expire on time, until cancelled."""
        before = self._clock.now() - _KEEP
        await self._db.write(lambda c: store.prune(c, before))
        while True:
            self._news.clear()
            await self.expire_due()
            waiting = await self.listing()
            now = self._clock.now()
            left = [(approval.expires_at - now).total_seconds() for approval in waiting]
            try:
                async with asyncio.timeout(max(0.01, min([_LONGEST_SLEEP_S, *left]))):
                    await self._news.wait()
            except TimeoutError:
                continue

    # --- reading ---------------------------------------------------------------------------------------------------

    async def find(self, approval_id: str) -> Approval | None:
        """One request; None when there is none of this id."""
        return await self._db.read(lambda c: store.get(c, approval_id))

    async def get(self, approval_id: str) -> Approval:
        """One request.

        Raises:
            NotFound: there is none of this id.
        """
        found = await self.find(approval_id)
        if found is None:
            raise NotFound(f"there is no request {approval_id}: see `openclaw approvals list --all`")
        return found

    async def listing(self, *, waiting_only: bool = True) -> list[Approval]:
        """Requests, the newest first."""
        return await self._db.read(lambda c: store.newest(c, waiting_only=waiting_only, limit=_LIST_LIMIT))

    async def untold(self) -> list[Approval]:
        """Requests whose conversation has not heard the end, the oldest first; also those that still wait."""
        return await self._db.read(store.untold)

    # --- running ---------------------------------------------------------------------------------------------------

    async def claim(self, approval_id: str) -> bool:
        """Take an allowed command to run it; true once only, whatever happens afterwards."""
        now = self._clock.now()
        return await self._db.write(lambda c: store.claim(c, approval_id, now))

    async def note_outcome(self, approval_id: str, outcome: str) -> Approval:
        """Remember what the agent is to be told."""
        await self._db.write(lambda c: store.note_outcome(c, approval_id, outcome))
        return await self.get(approval_id)

    def telling(self, approval_id: str) -> Callable[[Any], None]:
        """Work for a transaction: the conversation hears the outcome in it."""
        now = self._clock.now()
        return lambda c: store.note_told(c, approval_id, now)

    async def note_told(self, approval_id: str) -> None:
        """The conversation has heard it."""
        await self._db.write(self.telling(approval_id))

    # --- grants ----------------------------------------------------------------------------------------------------

    async def grants(self) -> list[StoredGrant]:
        """What people allowed for good, the oldest first."""
        return await self._db.read(store.all_grants)

    async def use_grant(self, argv: Sequence[str], cwd: str) -> None:
        """Note that a grant answered a question."""
        now = self._clock.now()
        for stored in await self.grants():
            if Grant.model_validate(stored.grant).covers(argv, cwd):
                used = stored.grant_id
                await self._db.write(lambda c, used=used: store.use_grant(c, used, now))  # type: ignore[misc]
                return

    async def revoke(self, grant_id: str) -> None:
        """Take a grant back.

        Raises:
            NotFound: there is none of this id.
        """
        if not await self._db.write(lambda c: store.remove_grant(c, grant_id)):
            raise NotFound(f"there is no grant {grant_id}: see `openclaw approvals grants`")
        _log.info("approval.revoked", grant=grant_id)
        await self.note("grant.revoked", actor="operator", subject=grant_id)
