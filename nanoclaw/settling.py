"""How a run ends: answered, given up, put off, stopped. Each end is one transaction with what is said about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import tzinfo
from typing import TypeVar

from nanoclaw.config import NanoclawPolicy
from nanoclaw.faults import Fault, Patience, decide_fault
from nanoclaw.groups import Group
from nanoclaw.lanes import DONE, Turn
from nanoclaw.metrics import RoutingLine, RoutingLog
from nanoclaw.models import Run
from nanoclaw.router import Route
from nanoclaw.store import RunRecord, Store, together
from nanoclaw.tasks.schedule import TaskSchedule
from shared.channels.base import ChatId
from shared.channels.inbox import Inbox
from shared.channels.outbox import Outbox
from shared.channels.store.inbox import InboxState
from shared.clock import Clock
from shared.errors import Unavailable
from shared.ids import new_id
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.faultpoints import fault_point
from shared.obs.log import get_logger
from shared.storage import Also

_log = get_logger(__name__)

T = TypeVar("T")


class Settling:
    """Brings runs to their end in the stores, and accounts for them.

    Args:
        zone: the owner's, for the times people are told.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        outbox: Outbox,
        store: Store,
        schedule: TaskSchedule,
        metrics: RoutingLog,
        policy: NanoclawPolicy,
        zone: tzinfo,
        clock: Clock,
    ) -> None:
        self._zone = zone
        self._schedule = schedule
        self._inbox = inbox
        self._outbox = outbox
        self._store = store
        self._metrics = metrics
        self._policy = policy
        self._clock = clock

    def answered(self, run: Run, route: Route, text: str) -> Also:
        """The messages are answered and the run is noted, as part of the transaction that holds the answer."""
        finish = self._inbox.finishing(run.ids, run_id=run.id)
        record = self._record(run, route.tier, reason=route.reason)
        return together(finish, *self._context_used(run), *self._recorded(run, record, is_end=True, result=text))

    async def failed(self, run: Run, fault: Fault) -> Turn:
        """Say what is to be said, and put the messages off or give them up."""
        now = self._clock.now().astimezone(self._zone)
        verdict = decide_fault(
            fault,
            attempt=run.attempt,
            patience=Patience(self._policy.runs.retry_delays_s, self._policy.runs.patience_s),
            run_id=run.id,
            now=now,
            waited_s=(now - run.asked[0].received_at).total_seconds(),
        )
        if fault.kind == "busy":
            await until_stored(lambda: self._inbox.give_back(run.ids, reason=verdict.reason))
            return Turn(again=True, delay_s=verdict.delay_s, for_place=fault.for_place)
        _log.warning(
            "run.failed",
            run_id=run.id,
            group=run.group.folder,
            attempt=run.attempt,
            fault=fault.kind,
            retry=verdict.retry,
            reason=fault.detail,
        )
        record = self._record(run, "STANDARD", fault=fault.kind, reason=verdict.reason)
        recorded = self._recorded(run, record, is_end=not verdict.retry)
        note = verdict.note
        if note and run.task is not None:
            note = f"Scheduled task `{run.task.task_id}`: {note}"
        if verdict.retry:
            settle = self._inbox.retrying(run.ids, verdict.delay_s, reason=verdict.reason, counts=verdict.counts)
        else:
            settle = self._inbox.burying(run.ids, verdict.reason)
        # Looking again says the same again: it is there already.
        key = f"{run.id}.{'note' if verdict.counts else 'wait'}{run.attempt}"
        also = together(settle, *recorded)
        await until_stored(lambda: self._outbox.post(key, run.chat, note, also=also))
        fault_point("run.failed")
        return Turn(again=True, delay_s=verdict.delay_s, until_news=not verdict.counts) if verdict.retry else DONE

    async def stopped(self, group: Group, run: Run | None, chats: Sequence[ChatId], by: str) -> None:
        """Settle what runs and what waits in some chats of a group, and say that somebody wanted it so."""
        reason = f"stopped by {by}"
        states: list[InboxState] = ["new"] if run is None else ["new", "claimed"]
        parts = [self._inbox.stopping(chats, reason, states=states)]
        chat = group.chat if run is None else run.chat
        if run is not None:
            record = self._record(run, "STANDARD", fault="stopped", reason=reason)
            parts += [*self._context_used(run), *self._recorded(run, record, is_end=True)]
        note = f"Stopped by {by}."
        await self._outbox.post(new_id("stop"), chats[0] if run is None else chat, note, also=together(*parts))
        _log.info("run.stopped", run_id=run.id if run else "", group=group.folder, by=by)

    async def removed(self, group: Group, run: Run | None, waiting: Sequence[ChatId], by: str) -> None:
        """Forget a group together with what runs and waits in its chats; people who wait there are told so."""
        reason = f"group removed by {by}"
        parts = [self._store.removing(group, reason=reason)]
        if run is not None:
            parts += self._recorded(run, self._record(run, "STANDARD", fault="stopped", reason=reason), is_end=True)
        told = next((chat for chat in waiting if self._can_be_told(chat)), "")
        if not told:
            await self._store.write(together(*parts))
            return
        note = f"This chat's group was removed by {by}: what was waiting for an answer here gets none."
        await self._outbox.post(new_id("removed"), told, note, also=together(*parts))

    async def account(
        self, run: Run, route: Route, *, fallback_from: str | None = None, error: str | None = None
    ) -> None:
        """One line for the routing metrics."""
        is_light = route.tier == "LIGHT"
        total_ms = self.elapsed_ms(run)
        line = RoutingLine(
            ts=self._metrics.stamp(self._clock.now()),
            group=run.group.folder,
            chat=run.chat,
            message_ids=tuple(message.id for message in run.messages),
            tier=route.tier,
            reason=route.reason,
            confidence=route.confidence,
            model=self._policy.light.model if is_light else run.group.model or self._policy.model or "default",
            fallback_from=fallback_from,
            queue_ms=round(run.queue_ms, 1),
            start_ms=round(run.start_ms, 1),
            first_output_ms=None if run.first_output_ms is None else round(run.first_output_ms, 1),
            total_ms=round(total_ms, 1),
            input_tokens=run.usage.input_tokens,
            output_tokens=run.usage.output_tokens,
            cost_usd=run.usage.cost_usd,
            ok=error is None,
            error=error,
        )
        await self._metrics.append(line)
        _log.info("run.ended", run_id=run.id, group=run.group.folder, ok=error is None, total_ms=line.total_ms)

    def elapsed_ms(self, run: Run) -> float:
        """Since its turn began."""
        return (self._clock.monotonic() - run.began_s) * 1000

    def _can_be_told(self, chat: ChatId) -> bool:
        try:
            self._outbox.channel(chat)
        except Unavailable:  # its platform is not configured any more
            return False
        return True

    def _context_used(self, run: Run) -> list[Also]:
        if not run.context:
            return []
        return [self._inbox.using_context(run.chat, up_to=run.asked[-1].id, run_id=run.id)]

    def _recorded(self, run: Run, record: RunRecord, *, is_end: bool, result: str = "") -> list[Also]:
        """Note a try, and the end of a scheduled task's run when it is one."""
        parts = [self._store.recording(record)]
        if run.task is not None and is_end:
            parts.append(self._schedule.settling(run.task.id, record, result=result))
        return parts

    def _record(self, run: Run, tier: str, *, reason: str, fault: str = "") -> RunRecord:
        return RunRecord(
            run_id=run.id,
            attempt=run.attempt,
            folder=run.group.folder,
            chat=run.chat,
            tier=tier,
            ok=not fault,
            fault=fault,
            reason=reason,
            started_at=run.began_at,
            ended_at=self._clock.now(),
            worker_id=run.worker_id,
            input_tokens=run.usage.input_tokens,
            output_tokens=run.usage.output_tokens,
            cost_usd=run.usage.cost_usd,
        )


async def until_stored(write: Callable[[], Awaitable[T]]) -> T:
    """Repeat a write for as long as the store refuses it, because the disk is full for example.

    What has happened already must not be forgotten: rather the run lasts longer.
    """
    backoff = Backoff(base_s=0.5, ceiling_s=10.0)
    while True:
        try:
            return await write()
        except Unavailable as error:
            if error.code != "storage.write":
                raise
            if backoff.attempts == 0:
                _log.error("run.not_stored", reason=error.detail)
        await asyncio.sleep(backoff.next_delay_s())
