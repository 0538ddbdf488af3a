"""Turns that no person began: the outcome of a command, a job, another session's words. Told where the session speaks.

Once for each run id, also over a restart of whoever calls: the run is stored before it begins, and what is said has the
run's id as its key in the outbox.
"""

from __future__ import annotations

from dataclasses import replace

from openclaw.intake import reply_of
from openclaw.runs import Outcome, Runs
from openclaw.sessions import SessionOrigin, Sessions, kept_origin
from shared.channels.outbox import Outbox
from shared.channels.store import Also


class SystemTurns:
    """Begins turns of sessions from inside."""

    def __init__(self, runs: Runs, sessions: Sessions, outbox: Outbox) -> None:
        self._runs = runs
        self._sessions = sessions
        self._outbox = outbox

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
        outcome = await self._runs.ask(key, text, run_id, source=source, origin=self.origin(key, chat))
        said, _ = reply_of(outcome)
        await self._outbox.post(run_id, chat, said, also=also)
        return outcome

    def origin(self, key: str, chat: str) -> SessionOrigin:
        """Where a session speaks, as it was last known."""
        return replace(kept_origin(self._sessions.get(key), chat), channel="discord")
