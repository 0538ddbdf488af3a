"""Turns that no person began: the outcome of a command, a job, another session's words. Told where the session speaks.

Once for each run id, also over a restart: the run is stored before it begins, and what is said has the run's id as its
key in the outbox, so that taking it up again says nothing twice.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from openclaw import store
from openclaw.runs import Outcome, Runs
from openclaw.sessions import SessionOrigin, Sessions, kept_origin
from openclaw.wording import reply_of
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Busy, GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.storage import Also, Database

_log = get_logger(__name__)

SYSTEM: Final = "system"
"""The source of turns that this module itself takes up after a restart."""

TAKEN_UP: Final = timedelta(hours=1)
"""How old an ended run may be whose answer is looked after again at the start."""


class SystemTurns:
    """Begins turns of sessions from inside."""

    def __init__(
        self, db: Database, runs: Runs, sessions: Sessions, outbox: Outbox, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._db = db
        self._runs = runs
        self._sessions = sessions
        self._outbox = outbox
        self._clock = clock
        self._tasks = TaskPool("system-turns")

    async def recover(self) -> None:
        """Take up what an earlier process began and may not have said; call once."""
        since = self._clock.now() - TAKEN_UP
        for row in await self._db.read(lambda c: store.untold_runs(c, SYSTEM, since)):
            self.begin(row.session_key, row.asked_key, row.text, row.run_id)

    async def close(self) -> None:
        """Stop; what has not ended is taken up at the next start."""
        await self._tasks.close()

    def begin(self, key: str, chat: str, text: str, run_id: str) -> None:
        """`run`, without waiting for it; for turns of source `SYSTEM`."""
        self._tasks.start(self._told(key, chat, text, run_id), name=run_id)

    async def _told(self, key: str, chat: str, text: str, run_id: str) -> None:
        try:
            await self.run(key, chat, text, run_id, source=SYSTEM)
        except Busy:
            return  # we are stopping
        except GatewayError as error:
            _log.warning("system_turn.failed", session=key, run_id=run_id, reason=error.detail)

    async def run(
        self, key: str, chat: str, text: str, run_id: str, *, source: str, also: Also | None = None
    ) -> Outcome | None:
        """Begin a turn; its answer is said in `chat`, or shown in the session when that is empty.

        Args:
            key: the session.
            chat: as its channel addresses it.
            text: what the agent reads.
            run_id: the turn runs once under it.
            source: who begins it, for the record.
            also: stored in one transaction with what is said; None for the Control UI, where nothing waits.

        Raises:
            Busy: we are stopping, or too much waits for the session.
        """
        if not chat:
            await self._runs.submit(key, key, text, run_id)
            return None
        origin = self.origin(key, chat)
        outcome = await self._runs.ask(key, text, run_id, source=source, origin=origin, asked_key=chat)
        said, _ = reply_of(outcome)
        await self._outbox.post(run_id, chat, said, also=also)
        return outcome

    def origin(self, key: str, chat: str) -> SessionOrigin:
        """Where a session speaks, as it was last known."""
        return replace(kept_origin(self._sessions.get(key), chat), channel="discord")
