"""Requests that clients of the gateway file for themselves: people decide, the client hears it, nothing runs here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from openclaw.approvals.models import CLIENT, Approval, Question
from openclaw.approvals.service import Approvals
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Conflict
from shared.execpolicy.models import argv_digest

_NO_ALWAYS = "a client asks, and what it may run is its own business"


class ClientRequests:
    """Files such requests and waits for their decisions."""

    def __init__(self, approvals: Approvals, clock: Clock = SYSTEM_CLOCK) -> None:
        self._approvals = approvals
        self._clock = clock
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        approvals.listeners.append(self._changed)

    def _changed(self, approval: Approval) -> None:
        if approval.state == "requested":
            return
        for waiter in self._waiting.pop(approval.approval_id, ()):
            if not waiter.done():
                waiter.set_result(None)

    async def file(
        self,
        command: str,
        argv: Sequence[str],
        *,
        client: str,
        session_key: str,
        program: str = "",
        cwd: str = "",
        env: Mapping[str, str],
        approval_id: str = "",
        expires_s: float,
    ) -> Approval:
        """File a request.

        Args:
            command: the text people read.
            argv: the same as arguments, when the client knows them.
            client: who asks.
            session_key: the conversation it is about; may be empty.
            program: the resolved executable.
            cwd: working directory.
            env: further variables; only their names are kept.
            approval_id: the client's own name for it.
            expires_s: how long it may wait, in seconds.

        Raises:
            Conflict: the name is taken.
            Busy: too many wait already.
        """
        if approval_id and await self._approvals.find(approval_id):
            raise Conflict("approval id already pending", code="approvals.taken")
        words = tuple(argv)
        names = dict.fromkeys(env, "")
        question = Question(command, words, program, cwd, names, 0, "client", "A client asks for it.", _NO_ALWAYS)
        digest = argv_digest(words or (command,), program=program, cwd=cwd, env=names)
        return await self._approvals.request(
            question,
            digest,
            session_key=session_key,
            run_id=f"{CLIENT}{client}",
            chat="",
            approval_id=approval_id,
            expires_s=expires_s,
        )

    async def wait(self, approval: Approval) -> Approval:
        """Wait until a request is decided or its time is over."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiters = self._waiting.setdefault(approval.approval_id, set())
        waiters.add(waiter)
        try:
            now = await self._approvals.get(approval.approval_id)
            if now.state == "requested":
                await asyncio.wait([waiter], timeout=(now.expires_at - self._clock.now()).total_seconds())
                await self._approvals.expire_due()
                now = await self._approvals.get(approval.approval_id)
            return now
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiting.pop(approval.approval_id, None)
