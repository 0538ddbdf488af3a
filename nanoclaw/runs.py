"""A run: claim what a chat has, let somebody answer it, make the answer durable, and account for it.

The answer and the mark on the messages it answers are one transaction, so that a crash leaves either both or neither.
A repeated run keeps its id, and with it the keys of what it says: nothing is said twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from nanoclaw.agent.residents import Residents
from nanoclaw.agent.stream import Done, LimitReached, Text, TextDelta, ToolUse, Usage
from nanoclaw.agent.tools.base import Place
from nanoclaw.config import NanoclawPolicy
from nanoclaw.faults import Fault, decide_fault, fault_of_error, fault_of_result
from nanoclaw.groups import Group
from nanoclaw.lanes import DONE, Turn
from nanoclaw.light import LightRoute
from nanoclaw.metrics import RoutingLine, RoutingLog
from nanoclaw.prompt import strip_internal, visible_prefix
from nanoclaw.router import Route, RouteFacts, decide_route
from nanoclaw.showing import Prompt, Showing
from nanoclaw.store import RunRecord, Store, both
from nanoclaw.tasks.models import TaskRun
from nanoclaw.tasks.schedule import TaskSchedule
from shared.channels.base import InboundMessage
from shared.channels.inbox import Claimed, Inbox
from shared.channels.live import LiveMessage
from shared.channels.outbox import Outbox
from shared.channels.store import Also
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError
from shared.ids import new_id
from shared.obs.log import get_logger

if TYPE_CHECKING:
    from nanoclaw.agent.session import AgentSession

_log = get_logger(__name__)


@dataclass(slots=True)
class Run:
    """One try to answer a batch of messages.

    Attributes:
        id: stays the same over all tries.
        attempt: from 1.
        shows_pictures: its prompt holds pictures, which the model may refuse.
        task: the scheduled task's run whose prompt is answered; None for people's messages.
        calls: how often the agent called each of our tools in this try.
        is_answered: the answer is durable; nothing that fails after this may bring the messages up again.
    """

    id: str
    attempt: int
    group: Group
    asked: Sequence[Claimed]
    context: Sequence[Claimed]
    began_at: datetime
    began_s: float
    queue_ms: float
    task: TaskRun | None = None
    calls: Counter[str] = field(default_factory=Counter)
    is_answered: bool = False
    worker_id: str = ""
    start_ms: float = 0.0
    first_output_ms: float | None = None
    limit_resets_at: int = 0
    shows_pictures: bool = False
    usage: Usage = field(default_factory=Usage)

    @property
    def chat(self) -> str:
        """Where it is answered: the group's channel, or a thread of it."""
        return self.asked[-1].message.chat

    @property
    def is_isolated(self) -> bool:
        """It has a conversation of its own that ends with it."""
        return self.task is not None and self.task.context == "isolated"

    @property
    def ids(self) -> list[int]:
        """Inbox ids of the messages it answers."""
        return [item.id for item in self.asked]

    @property
    def messages(self) -> list[InboundMessage]:
        """The messages it answers."""
        return [item.message for item in self.asked]


class Runs:
    """Takes the turns that the lanes give.

    Args:
        admit: the group of a message's chat, or nothing when it may not be answered.
        showing: builds the prompts.
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
        showing: Showing,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._store = store
        self._residents = residents
        self._light = light
        self._metrics = metrics
        self._policy = policy
        self._schedule = schedule
        self._admit = admit
        self._showing = showing
        self._clock = clock
        self._current: dict[str, Run] = {}
        self._agent_spoke_s: dict[str, float] = {}

    @property
    def current(self) -> list[Run]:
        """Runs under way."""
        return list(self._current.values())

    async def turn(self, chat: str) -> Turn:
        """Answer the first batch that a chat has open. Called for a chat at one time only once."""
        turn = await self._answer_batch(chat)
        if not turn.again and await self._inbox.is_open(chat):
            return Turn(again=True)  # what people write and what the schedule sends are batches of their own
        return turn

    async def _answer_batch(self, chat: str) -> Turn:
        items = await self._inbox.claim(chat, run_id=new_id("run"), context_limit=self._policy.chats.context_messages)
        asked = [item for item in items if not item.context]
        if not asked:
            return await self._wait_until_due(chat)
        group = await self._admit(asked[-1].message)
        if group is None:
            for item in asked:
                await self._inbox.ignore(item.id, "the chat is not registered any more")
            return DONE
        run = Run(
            id=asked[0].run_id,
            attempt=await self._attempt(asked),
            group=group,
            asked=asked,
            context=[item for item in items if item.context],
            began_at=self._clock.now(),
            began_s=self._clock.monotonic(),
            queue_ms=(self._clock.now() - asked[0].received_at).total_seconds() * 1000,
            task=await self._task_of(asked[0].message),
        )
        self._current[group.folder] = run
        try:
            if run.attempt > len(self._policy.runs.retry_delays_s) + 1:
                # Only a process that ends while it answers gets here: the message itself may be what ends it.
                return await self._fail(run, Fault("defect", "the process ended at every try"))
            async with self._outbox.channel(chat).typing(chat):
                return await self._answer(run)
        except Exception as error:  # noqa: BLE001 - a defect must not leave the messages claimed for ever
            _log.exception("run.crashed", run_id=run.id, group=group.folder, answered=run.is_answered)
            await self._residents.drop(group.folder, end=True, isolated=run.is_isolated)
            if run.is_answered:
                return DONE
            return await self._fail(run, Fault("defect", f"an unexpected {type(error).__name__}"))
        finally:
            self._current.pop(group.folder, None)
            if run.task is not None:
                self._schedule.nudge()

    async def _task_of(self, message: InboundMessage) -> TaskRun | None:
        return await self._schedule.run_of_prompt(message.task_run) if message.task_run else None

    def place(self, group: Group, tool: str) -> Place:
        """Where in its run a group's agent calls a tool; counts the call."""
        run = self._current.get(group.folder)
        if run is None:
            return Place("", new_id("call"), group.chat)
        # The same place in a repeated run is the same call: what it did is not done again.
        run.calls[tool] += 1
        people = frozenset(message.sender.id for message in run.messages if not message.task_run)
        return Place(run.id, f"{run.id}.{tool}{run.calls[tool]}", run.chat, people)

    async def _attempt(self, asked: Sequence[Claimed]) -> int:
        claims = max(item.attempts for item in asked)
        return claims if claims == 1 else max(1, claims - await self._store.waits(asked[0].run_id))

    async def _wait_until_due(self, chat: str) -> Turn:
        for waiting in await self._inbox.open_chats():
            if waiting.chat == chat:
                delay_s = (waiting.due_at - self._clock.now()).total_seconds()
                return Turn(again=True, delay_s=max(0.05, delay_s))
        return DONE

    async def _answer(self, run: Run) -> Turn:
        route = decide_route(run.messages, run.group, self._policy.light, self._route_facts(run.group))
        fallback_from: str | None = None
        if route.tier == "LIGHT":
            if await self._answer_lightly(run, route):
                return DONE
            fallback_from, route = "LIGHT", Route("STANDARD", "the light route gave no answer")
        fault = await self._ask_agent(run, route)
        if fault is not None and fault.kind == "refused" and run.shows_pictures:
            # A picture the model cannot read stays in the conversation, and every later question would fail on it.
            _log.warning("run.pictures_refused", run_id=run.id, group=run.group.folder, reason=fault.detail)
            await self._residents.drop(run.group.folder, end=True)
            await self._store.forget_session(run.group.folder)
            fault = await self._ask_agent(run, route, with_pictures=False)
        if fault is None:
            await self._close(run, route, fallback_from=fallback_from)
            return DONE
        await self._account(run, route, fallback_from=fallback_from, error=fault.kind)
        return await self._fail(run, fault)

    def _route_facts(self, group: Group) -> RouteFacts:
        spoke = self._agent_spoke_s.get(group.folder)
        since = None if spoke is None else self._clock.monotonic() - spoke
        return RouteFacts(light_ready=self._light.is_ready, since_agent_s=since)

    # --- the two ways to an answer -----------------------------------------------------------------------------------

    async def _answer_lightly(self, run: Run, route: Route) -> bool:
        answer = await self._light.ask(run.messages, run_id=run.id)
        if answer is None:
            return False
        run.usage = answer.usage
        run.first_output_ms = self._elapsed_ms(run)
        await self._outbox.post(run.id, run.chat, strip_internal(answer.text), also=self._closing(run, route))
        run.is_answered = True
        await self._close(run, route)
        return True

    async def _ask_agent(self, run: Run, route: Route, *, with_pictures: bool = True) -> Fault | None:
        """Let the group's agent answer; a fault when it could not."""
        folder = run.group.folder
        try:
            session = await self._residents.acquire(run.group, run.id, isolated=run.is_isolated)
            run.worker_id = session.worker_id
            run.start_ms = self._elapsed_ms(run)
            async with LiveMessage(self._outbox, run.id, run.chat) as live:
                done = await self._listen(run, session, live, with_pictures=with_pictures)
                if done.is_error:
                    await self._residents.release(run.group, isolated=run.is_isolated)
                    return fault_of_result(done, resets_at=run.limit_resets_at)
                text = strip_internal(done.text)
                await live.finish(text, also=self._closing(run, route, text))
                run.is_answered = True
        except GatewayError as error:
            # Whatever state its worker is in, it is not one to go on from.
            await self._residents.drop(folder, end=True, isolated=run.is_isolated)
            return None if run.is_answered else fault_of_error(error)
        if not run.is_isolated:
            self._agent_spoke_s[folder] = self._clock.monotonic()
        await self._residents.release(run.group, isolated=run.is_isolated)
        return None

    async def _listen(self, run: Run, session: AgentSession, live: LiveMessage, *, with_pictures: bool) -> Done:
        """Follow the agent's words until its result."""
        context = [item.message for item in run.context]
        if run.task is not None:
            prompt: Prompt = self._showing.scheduled(run.task, run.messages[0].text)
        else:
            prompt = await self._showing.prompt(run.messages, context, run.group, with_pictures=with_pictures)
        run.shows_pictures = not isinstance(prompt, str)
        written = ""
        async for event in session.ask(prompt, silence_s=self._policy.runs.timeout_s):
            match event:
                case TextDelta(text=text):
                    written += text
                case Text(text=text):
                    written = text
                case ToolUse():
                    written = ""
                case LimitReached(resets_at=resets_at):
                    run.limit_resets_at = resets_at
                case Done():
                    run.usage = event.usage
                    if not event.is_error and event.session_id and not run.is_isolated:
                        await self._store.keep_session(run.group.folder, event.session_id)
                    return event
                case _:
                    continue
            if written:
                self._show(run, live, written)
        raise AssertionError("an agent's answer ends with a result or an error")

    def _show(self, run: Run, live: LiveMessage, written: str) -> None:
        elapsed_ms = self._elapsed_ms(run)
        if run.first_output_ms is None:
            run.first_output_ms = elapsed_ms
        policy = self._policy.streaming
        if policy.enabled and elapsed_ms >= policy.after_s * 1000 and (shown := visible_prefix(written)):
            live.update(shown)

    # --- the end of a run --------------------------------------------------------------------------------------------

    def _closing(self, run: Run, route: Route, text: str = "") -> Also:
        """The messages are answered and the run is noted, as part of the transaction that holds the answer."""
        finish = self._inbox.finishing(run.ids, run_id=run.id)
        record = self._record(run, route.tier, reason=route.reason)
        closing = both(finish, self._store.recording(record))
        if run.task is None:
            return closing
        return both(closing, self._schedule.settling(run.task.id, record, result=text))

    async def _close(self, run: Run, route: Route, *, fallback_from: str | None = None) -> None:
        if run.context:
            await self._inbox.use_context(run.chat, up_to=run.asked[-1].id, run_id=run.id)
        await self._account(run, route, fallback_from=fallback_from)

    async def _fail(self, run: Run, fault: Fault) -> Turn:
        verdict = decide_fault(fault, attempt=run.attempt, delays_s=self._policy.runs.retry_delays_s, run_id=run.id)
        _log.warning(
            "run.failed",
            run_id=run.id,
            group=run.group.folder,
            attempt=run.attempt,
            fault=fault.kind,
            retry=verdict.retry,
            reason=fault.detail,
        )
        if verdict.note:
            note = verdict.note if run.task is None else f"Scheduled task `{run.task.task_id}`: {verdict.note}"
            await self._outbox.post(f"{run.id}.note{run.attempt}", run.chat, note)
        record = self._record(run, "STANDARD", fault=fault.kind, reason=verdict.reason)
        await self._store.record(record)
        if verdict.retry:
            await self._inbox.retry(run.ids, verdict.delay_s, reason=verdict.reason)
            return Turn(again=True, delay_s=verdict.delay_s)
        settling = None if run.task is None else self._schedule.settling(run.task.id, record)
        await self._inbox.bury(run.ids, verdict.reason, also=settling)
        return DONE

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

    async def _account(
        self, run: Run, route: Route, *, fallback_from: str | None = None, error: str | None = None
    ) -> None:
        is_light = route.tier == "LIGHT"
        total_ms = self._elapsed_ms(run)
        line = RoutingLine(
            ts=self._clock.now().isoformat(timespec="milliseconds"),
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

    def _elapsed_ms(self, run: Run) -> float:
        return (self._clock.monotonic() - run.began_s) * 1000
