"""The side of tasks that acts by itself: claiming what is due, and writing down how the runs ended."""

from __future__ import annotations

from collections.abc import Callable

from nanoclaw.config import TasksPolicy
from nanoclaw.schema import NanoclawTables
from nanoclaw.store import RunRecord
from nanoclaw.tasks.claims import Claims, claim_due
from nanoclaw.tasks.models import TaskRun
from nanoclaw.tasks.store import Settlement, TaskRows
from shared.clock import SYSTEM_CLOCK, Clock
from shared.lifecycle.due_loop import DueLoop
from shared.obs.log import get_logger
from shared.storage import Also, Database

_log = get_logger(__name__)
_RESULT_CHARS = 200


class TaskSchedule:
    """Turns due tasks into prompts in the inbox.

    Args:
        db: where tasks and prompts are.
        tables: of the tenant.
        policy: missed runs and retention.
        wake: tells a chat's lane that it has something.
    """

    def __init__(
        self,
        db: Database,
        tables: NanoclawTables,
        policy: TasksPolicy,
        *,
        wake: Callable[[str], None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._db = db
        self._tables = tables
        self._policy = policy
        self._clock = clock
        self._loop = DueLoop(self.claim_due, self._prune, clock=clock)
        self.wake = wake

    async def run(self) -> None:
        """Claim what is due when it is due, until cancelled."""
        await self._loop.run()

    def nudge(self) -> None:
        """Look again at once: a task changed, or a run ended."""
        self._loop.nudge()

    async def claim_due(self) -> Claims:
        """Put the prompts of what is due now into the inbox, and wake their chats."""
        now = self._clock.now()
        claims = await self._db.write(lambda c: claim_due(TaskRows(c, self._tables), now, self._policy))
        for run in claims.runs:
            _log.info("task.claimed", task=run.task_id, task_run=run.id, group=run.folder, reason=run.reason)
        for task in claims.paused:
            _log.warning("task.paused", task=task.id, group=task.folder, reason=task.reason)
        for chat in claims.chats:
            self.wake(chat)
        return claims

    async def run_of_prompt(self, task_run: str) -> TaskRun | None:
        """The run that a prompt in the inbox belongs to."""
        return await self._db.read(lambda c: TaskRows(c, self._tables).run(task_run))

    def settling(self, task_run: str, record: RunRecord, *, result: str = "") -> Also:
        """Note the outcome of a run's prompt, as part of the transaction that settles the prompt.

        Args:
            task_run: the task's run.
            record: the last try, stored in this transaction or before.
            result: the answer.
        """
        text = " ".join(result.split())
        settlement = Settlement(
            "ok" if record.ok else "failed",
            "" if record.ok else record.reason,
            fault=record.fault,
            run_id=record.run_id,
            tries=record.attempt,
            started_at=record.started_at,
            result=text if len(text) <= _RESULT_CHARS else f"{text[: _RESULT_CHARS - 1]}…",
        )
        now = self._clock.now()
        return lambda c: TaskRows(c, self._tables).settle(task_run, settlement, now=now)

    async def _prune(self) -> int:
        before = self._clock.now() - self._policy.history
        return await self._db.write(
            lambda c: TaskRows(c, self._tables).prune(before=before, keep=self._policy.history_runs)
        )
