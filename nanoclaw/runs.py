"""A run: claim what a lane has, let somebody answer it, make the answer durable, and account for it.

The answer and the mark on the messages it answers are one transaction, so that a crash leaves either both or neither.
A repeated run keeps its id, and with it the keys of what it says: nothing is said twice. A run that is under way
when the process ends goes on in the next one (`resume`), as long as its worker lives.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import tzinfo

from nanoclaw.agent.residents import Residents
from nanoclaw.agent.tools.base import Place
from nanoclaw.answering import Answering, Halted
from nanoclaw.config import NanoclawPolicy
from nanoclaw.faults import Fault
from nanoclaw.groups import Group
from nanoclaw.lanes import DONE, Turn
from nanoclaw.light import LightRoute
from nanoclaw.metrics import RoutingLog
from nanoclaw.models import Asking, Halt, Run
from nanoclaw.router import Route, decide_route
from nanoclaw.settling import Settling, until_stored
from nanoclaw.showing import Showing
from nanoclaw.store import Store
from nanoclaw.tasks.models import TaskRun
from nanoclaw.tasks.schedule import TaskSchedule
from shared.channels.base import ChatId, InboundMessage
from shared.channels.inbox import Claimed, Inbox
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.ids import new_id
from shared.lifecycle.faultpoints import fault_point
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

_LEAST_AFTER_RESTART_S = 60.0
"""A run that was due to end while the process was away still gets this long: its answer may be there already."""


class Runs:
    """Takes the turns that the lanes give.

    Args:
        admit: the group of a message's chat, or nothing when it may not be answered.
        group_of: the group of a chat, which may be a thread of another one.
        begun: is told of a run that has its worker.
        showing: builds the prompts.
        zone: the owner's.

    Attributes:
        interrupt_s: how long an agent has to heed an interruption before its worker is ended.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        outbox: Outbox,
        store: Store,
        residents: Residents,
        light: LightRoute,
        metrics: RoutingLog,
        policy: NanoclawPolicy,
        schedule: TaskSchedule,
        admit: Callable[[InboundMessage], Awaitable[Group | None]],
        group_of: Callable[[ChatId, ChatId], Group | None],
        begun: Callable[[Run], None],
        showing: Showing,
        zone: tzinfo,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._residents = residents
        self._policy = policy
        self._admit = admit
        self._group_of = group_of
        self._schedule = schedule
        self._clock = clock
        self._settling = Settling(
            inbox=inbox,
            outbox=outbox,
            store=store,
            schedule=schedule,
            metrics=metrics,
            policy=policy,
            zone=zone,
            clock=clock,
        )
        self._answering = Answering(
            outbox=outbox,
            store=store,
            residents=residents,
            light=light,
            settling=self._settling,
            policy=policy,
            begun=begun,
            showing=showing,
            clock=clock,
        )
        self.interrupt_s = 5.0
        self._tasks = TaskPool("nanoclaw.runs")
        self._current: dict[str, Run] = {}
        self._resumed: dict[str, Run] = {}

    @property
    def current(self) -> list[Run]:
        """Runs under way."""
        return list(self._current.values())

    def of_group(self, folder: str) -> Run | None:
        """The run of a group, when one is under way."""
        return self._current.get(folder)

    # --- from a turn to its end --------------------------------------------------------------------------------------

    async def turn(self, chat: ChatId, *, even_if_early: bool = False) -> Turn:
        """Answer the first batch that a chat has open, or go on with a run of an earlier process.

        Called for a chat, and for the chats of one group, at one time only once.
        """
        run = self._resumed.pop(chat, None) or await self._take(chat, even_if_early=even_if_early)
        turn = run if isinstance(run, Turn) else await self._carry(run)
        if not turn.again and await self._inbox.is_open(chat):
            return Turn(again=True)  # what people write and what the schedule sends are batches of their own
        return turn

    def going_on(self, chats: Collection[ChatId]) -> ChatId:
        """The one of some chats that has a run of an earlier process to go on with; empty when none has."""
        return next((chat for chat in chats if chat in self._resumed), "")

    async def _take(self, chat: ChatId, *, even_if_early: bool) -> Run | Turn:
        """Claim the first batch; a turn that is over when there is none, or it may not be answered."""
        limit = self._policy.chats.context_messages
        items = await self._inbox.claim(chat, run_id=new_id("run"), context_limit=limit, even_if_early=even_if_early)
        asked = [item for item in items if not item.context]
        if not asked:
            return DONE
        fault_point("run.claimed")
        return await self._admitted(asked, [item for item in items if item.context])

    async def _admitted(self, asked: Sequence[Claimed], context: Sequence[Claimed]) -> Run | Turn:
        task = await self._task_of(asked[0].message)
        # Nothing is awaited between this and the run's being known: whoever removes the group sees one or the other.
        group = await self._admit(asked[-1].message)
        if group is None:
            for item in asked:
                await self._inbox.ignore(item.id, "the chat is not registered any more")
            return DONE
        if group.folder in self._current:
            # Its chat became the group's a moment ago, and had a lane of its own until then.
            await self._inbox.give_back([item.id for item in asked], reason="the group answers something else")
            return Turn(again=True, delay_s=1.0)
        return Run(
            id=asked[0].run_id,
            attempt=max(item.attempts for item in asked),
            group=group,
            chat=asked[-1].message.chat,
            asked=asked,
            context=context,
            task=task,
            began_at=self._clock.now(),
            began_s=self._clock.monotonic(),
            queue_ms=max(0.0, (self._clock.now() - asked[0].received_at).total_seconds() * 1000),
        )

    async def _task_of(self, message: InboundMessage) -> TaskRun | None:
        return await self._schedule.run_of_prompt(message.task_run) if message.task_run else None

    async def _carry(self, run: Run) -> Turn:
        """Bring a claimed run to one of its ends."""
        folder = run.group.folder
        self._current[folder] = run
        limit = self._tasks.start(self._expire(run), name=run.id)
        try:
            async with run.cut, self._outbox.channel(run.chat).typing(run.chat):
                if run.attempt > len(self._policy.runs.retry_delays_s) + 1:
                    # Only a process that ends while it answers gets here: the message itself may be what ends it.
                    return await self._settling.failed(run, Fault("defect", "the process ended at every try"))
                return await self._answer(run)
        except Halted:
            return await self._halted(run)
        except Exception as error:  # noqa: BLE001 - a defect must not leave the messages claimed for ever
            if run.halt is None:
                _log.exception("run.crashed", run_id=run.id, group=folder, answered=run.is_answered)
            if run.is_with_agent:
                await self._residents.drop(folder, end=True, isolated=run.is_isolated)
            if run.is_answered:
                return DONE
            if run.halt is not None:
                return await self._halted(run)
            return await self._settling.failed(run, Fault("defect", f"an unexpected {type(error).__name__}"))
        finally:
            limit.cancel()
            del self._current[folder]
            run.over.set()
            if run.task is not None:
                self._schedule.nudge()

    async def _answer(self, run: Run) -> Turn:
        fallback_from: str | None = None
        if run.prompt_id:
            route = Route("STANDARD", "taken up again after a restart")
        else:
            facts = self._answering.route_facts(run.group)
            route = decide_route(run.messages, run.group, self._policy.light, facts)
        if route.tier == "LIGHT":
            if await self._answering.lightly(run, route):
                await self._settling.account(run, route)
                return DONE
            fallback_from, route = "LIGHT", Route("STANDARD", "the light route gave no answer")
        fault = await self._answering.by_agent(run, route)
        if fault is not None and fault.kind == "refused" and run.shows_pictures:
            fault = await self._answering.again_without_pictures(run, route, fault)
        error = fault.kind if fault else None
        if error != "busy":
            await self._settling.account(run, route, fallback_from=fallback_from, error=error)
        return await self._settling.failed(run, fault) if fault else DONE

    # --- what an agent does by itself --------------------------------------------------------------------------------

    def place(self, group: Group, tool: str) -> Place:
        """Where in its run a group's agent calls a tool; counts the call."""
        run = self._current.get(group.folder)
        if run is None:
            return Place("", new_id("call"), group.chat)
        people = frozenset(message.sender.id for message in run.messages if not message.task_run)
        # The same place in a repeated run is the same call: what it did is not done again.
        return Place(run.id, f"{run.id}.{tool}{run.number_of_call(tool)}", run.chat, people)

    # --- ended from outside ------------------------------------------------------------------------------------------

    async def stop(self, group: Group, by: str) -> bool:
        """End what a group's agent does and forget what waits for it; false when there was nothing.

        That the messages are settled is durable before the agent is interrupted, so that nothing tries them again.
        """
        run = await self._halt(group, by)
        chats = await self._waiting_chats(group, run)
        if not chats:
            return False
        await until_stored(lambda: self._settling.stopped(group, run, chats, by))
        if run is not None:
            await self._end_early(run)
        return True

    async def remove(self, group: Group, by: str, forget: Callable[[Group], None]) -> None:
        """End what a group's agent does, and the group: what waits for it is settled with it, and never tried again.

        Args:
            group: which.
            by: who wants it, for people.
            forget: called when the removal is durable; from then on the chat has no group.
        """
        run = await self._halt(group, by)
        chats = await self._waiting_chats(group, run)
        await until_stored(lambda: self._settling.removed(group, run, chats, by))
        forget(group)
        if run is not None:
            await self._end_early(run)
        await self.stop(group, by)  # what was admitted while the removal was being stored

    async def _halt(self, group: Group, by: str) -> Run | None:
        """Let a group's run not go on; nothing when there is none, or it ends by itself."""
        run = self._current.get(group.folder) or self._take_resumed(group)
        if run is not None and (run.is_settling or run.halt is not None):
            with contextlib.suppress(TimeoutError):  # what it puts off for later is settled by the caller
                async with asyncio.timeout(self.interrupt_s):
                    await run.over.wait()
            run = None
        if run is not None:
            run.halt = Halt("stopped", by)
        return run

    async def _waiting_chats(self, group: Group, run: Run | None) -> list[ChatId]:
        """Where people wait for a group's agent: the chat of its run first."""
        open_chats = await self._inbox.open_chats()
        chats: list[ChatId] = [chat.chat for chat in open_chats if self._group_of(chat.chat, chat.parent) == group]
        return chats if run is None else [run.chat, *(chat for chat in chats if chat != run.chat)]

    def _take_resumed(self, group: Group) -> Run | None:
        chat = next((chat for chat, run in self._resumed.items() if run.group == group), "")
        return self._resumed.pop(chat, None)

    async def _expire(self, run: Run) -> None:
        spent_s = self._clock.monotonic() - run.began_s
        least_s = _LEAST_AFTER_RESTART_S if run.resumes else 0.0
        await asyncio.sleep(max(self._policy.runs.timeout_s - spent_s, least_s))
        if run.halt is None and not run.is_settling:
            run.halt = Halt("timeout")
            await self._end_early(run)

    async def _end_early(self, run: Run) -> None:
        """Interrupt the agent, or cut the run when there is nobody to interrupt or no answer to that."""
        session = run.session
        if session is not None and await session.interrupt(within_s=self.interrupt_s):
            return
        if run is self._current.get(run.group.folder):
            run.cut.reschedule(asyncio.get_running_loop().time())
        else:
            await self._residents.drop(run.group.folder, end=True, isolated=run.is_isolated)

    async def _halted(self, run: Run) -> Turn:
        route = Route("STANDARD", "ended from outside")
        if run.halt is not None and run.halt.kind == "stopped":
            await self._settling.account(run, route, error="stopped")
            return Turn(again=True)
        if run.is_with_agent:
            await self._residents.drop(run.group.folder, end=True, isolated=run.is_isolated)
        fault = Fault("timeout", f"the run took longer than {self._policy.runs.timeout_s:.0f} s")
        await self._settling.account(run, route, error=fault.kind)
        return await self._settling.failed(run, fault)

    # --- after a restart ---------------------------------------------------------------------------------------------

    async def resume(self, asking: Asking, group: Group, items: Sequence[Claimed]) -> None:
        """Go on with a run of an earlier process at its chat's next turn.

        Args:
            asking: what its worker was asked.
            group: whose run it is.
            items: the messages it had claimed and those that came along.
        """
        spent_s = max(0.0, (self._clock.now() - asking.began_at).total_seconds())
        asked = [item for item in items if item.id in asking.asked]
        self._resumed[asking.chat] = Run(
            id=asking.run_id,
            attempt=asking.attempt,
            group=group,
            chat=asking.chat,
            asked=asked,
            context=[item for item in items if item.id in asking.context],
            task=await self._task_of(asked[0].message),
            began_at=asking.began_at,
            began_s=self._clock.monotonic() - min(spent_s, self._policy.runs.timeout_s),
            queue_ms=max(0.0, (asking.began_at - asked[0].received_at).total_seconds() * 1000),
            prompt_id=asking.prompt_id,
            resumes=asking.resumes,
            worker_id=asking.worker_id,
        )

    async def close(self) -> None:
        """Forget the limits of runs that were cut."""
        await self._tasks.close()
