"""The two ways to an answer: the light route without a worker, and the group's agent."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from nanoclaw.agent.residents import Residents
from nanoclaw.agent.stream import Done, LimitReached, Text, TextDelta, ToolUse
from nanoclaw.config import NanoclawPolicy
from nanoclaw.faults import Fault, fault_of_error, fault_of_result
from nanoclaw.groups import Group
from nanoclaw.light import LightRoute
from nanoclaw.models import Asking, Run
from nanoclaw.prompt import strip_internal, visible_prefix
from nanoclaw.router import Route, RouteFacts
from nanoclaw.settling import Settling, until_stored
from nanoclaw.showing import Prompt, Showing
from nanoclaw.store import Store
from shared.channels.live import LiveMessage
from shared.channels.outbox import Outbox
from shared.clock import Clock
from shared.errors import GatewayError
from shared.lifecycle.faultpoints import fault_point
from shared.obs.log import get_logger

if TYPE_CHECKING:
    from nanoclaw.agent.session import AgentSession

_log = get_logger(__name__)

_LATE = timedelta(minutes=10)
"""An older message's author may have moved on: the agent is told (policy §12.6)."""


class Halted(Exception):
    """The run was ended from outside; see `Run.halt`."""


class Answering:
    """Has a run answered and makes the answer durable.

    Args:
        begun: is told of a run that has its worker.
        showing: builds the prompts.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        store: Store,
        residents: Residents,
        light: LightRoute,
        settling: Settling,
        policy: NanoclawPolicy,
        begun: Callable[[Run], None],
        showing: Showing,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._residents = residents
        self._light = light
        self._settling = settling
        self._policy = policy
        self._begun = begun
        self._showing = showing
        self._clock = clock
        self._agent_spoke_s: dict[str, float] = {}

    def route_facts(self, group: Group) -> RouteFacts:
        """What the router may know."""
        spoke = self._agent_spoke_s.get(group.folder)
        since = None if spoke is None else self._clock.monotonic() - spoke
        return RouteFacts(light_ready=self._light.is_ready, since_agent_s=since)

    async def lightly(self, run: Run, route: Route) -> bool:
        """Let the light route answer; false when it had no answer."""
        answer = await self._light.ask(run.messages, run_id=run.id)
        if answer is None:
            return False
        run.usage = answer.usage
        run.first_output_ms = self._settling.elapsed_ms(run)
        text = strip_internal(answer.text)
        also = self._settling.answered(run, route, text)
        _settle_or_halt(run)
        await until_stored(lambda: self._outbox.post(run.id, run.chat, text, also=also))
        run.is_answered = True
        return True

    async def again_without_pictures(self, run: Run, route: Route, fault: Fault) -> Fault | None:
        """Ask once more with the pictures only named, after the model refused the prompt.

        A picture the model cannot read stays in the conversation, and every later question would fail on it: so the
        conversation begins anew.

        Raises:
            Halted: the run was ended from outside.
        """
        _log.warning("run.pictures_refused", run_id=run.id, group=run.group.folder, reason=fault.detail)
        await self._residents.drop(run.group.folder, end=True)
        await self._store.forget_session(run.group.folder)
        run.is_settling, run.prompt_id = False, ""
        return await self.by_agent(run, route, with_pictures=False)

    async def by_agent(self, run: Run, route: Route, *, with_pictures: bool = True) -> Fault | None:
        """Let the group's agent answer; a fault when it could not.

        Raises:
            Halted: the run was ended from outside.
        """
        folder = run.group.folder
        run.is_with_agent = True
        try:
            session = await self._residents.acquire(run.group, run.id, isolated=run.is_isolated)
            self._begun(run)
            _log.info("run.began", run_id=run.id, group=folder, chat=run.chat, worker=session.worker_id)
            if run.prompt_id and run.worker_id != session.worker_id:
                run.prompt_id = ""  # who heard it is gone, and one who only read about it would not answer it
            run.worker_id = session.worker_id
            run.start_ms = self._settling.elapsed_ms(run)
            async with LiveMessage(self._outbox, run.id, run.chat, shown=visible_prefix) as live:
                done = await self._listen(run, session, live, with_pictures=with_pictures)
                if run.halt is not None or done.is_error:
                    await self._residents.release(run.group, isolated=run.is_isolated)
                    _settle_or_halt(run)
                    return fault_of_result(done, resets_at=run.limit_resets_at)
                text = strip_internal(done.text)
                also = self._settling.answered(run, route, text)
                _settle_or_halt(run)
                fault_point("run.answer_heard")
                await until_stored(lambda: live.finish(text, also=also))
                run.is_answered = True
                fault_point("run.answer_stored")
        except GatewayError as error:
            # Whatever state its worker is in, it is not one to go on from.
            await self._residents.drop(folder, end=True, isolated=run.is_isolated)
            if run.is_answered:
                return None
            _settle_or_halt(run)
            return fault_of_error(error)
        if not run.is_isolated:
            self._agent_spoke_s[folder] = self._clock.monotonic()
        await self._residents.release(run.group, isolated=run.is_isolated)
        fault_point("run.released")
        return None

    async def _listen(self, run: Run, session: AgentSession, live: LiveMessage, *, with_pictures: bool) -> Done:
        """Put the question and follow the agent's words until its result."""
        prompt = await self._prompt(run, with_pictures=with_pictures)
        run.shows_pictures = not isinstance(prompt, str)
        await self._remember(run, session)
        written = ""
        run.session = session
        try:
            silence_s = self._policy.runs.silence_s
            async for event in session.ask(prompt, silence_s=silence_s, prompt_id=run.prompt_id):
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
                        await self._heard_result(run, event)
                        return event
                    case _:
                        continue
                if written:
                    self._show(run, live, written)
        finally:
            run.session = None
        raise AssertionError("an agent's answer ends with a result or an error")

    async def _remember(self, run: Run, session: AgentSession) -> None:
        """Store where the answer will begin, before the question is put; or go on where an earlier process was."""
        if run.prompt_id:
            run.calls_before = session.calls_before
            return
        run.prompt_id = str(uuid.uuid4())
        asking = Asking(
            folder=run.group.folder,
            is_isolated=run.is_isolated,
            run_id=run.id,
            attempt=run.attempt,
            chat=run.chat,
            asked=tuple(run.ids),
            context=tuple(item.id for item in run.context),
            claims=max(item.attempts for item in run.asked),
            worker_id=session.worker_id,
            prompt_id=run.prompt_id,
            line=session.line,
            spent_usd=session.spent_usd,
            began_at=run.began_at,
        )
        await until_stored(lambda: self._store.keep_asking(asking))
        fault_point("run.prompt_recorded")

    async def _prompt(self, run: Run, *, with_pictures: bool) -> Prompt:
        if run.task is not None:
            return self._showing.scheduled(run.task, run.messages[0].text)
        context = [item.message for item in run.context]
        prompt = await self._showing.prompt(run.messages, context, run.group, with_pictures=with_pictures)
        late = late_remark(run.messages[0].sent_at, self._clock.now())
        if not late:
            return prompt
        if isinstance(prompt, str):
            return f"{prompt}\n{late}"
        said, *pictures = prompt
        return [said | {"text": f"{said['text']}\n{late}"}, *pictures]

    async def _heard_result(self, run: Run, done: Done) -> None:
        run.usage = done.usage
        if done.session_id and not run.is_isolated and (not done.is_error or done.is_aborted):
            await until_stored(lambda: self._store.keep_session(run.group.folder, done.session_id))

    def _show(self, run: Run, live: LiveMessage, written: str) -> None:
        elapsed_ms = self._settling.elapsed_ms(run)
        if run.first_output_ms is None:
            run.first_output_ms = elapsed_ms
        policy = self._policy.streaming
        if policy.enabled and elapsed_ms >= policy.after_s * 1000:
            live.update(written)
            fault_point("run.answer_shown")


def _settle_or_halt(run: Run) -> None:
    """Nothing can end the run from outside any more, unless that has happened already.

    Raises:
        Halted: it has.
    """
    if run.halt is not None:
        raise Halted
    run.is_settling = True


def late_remark(sent_at: datetime, now: datetime) -> str:
    """A line for the agent when people have waited long, because we were away; empty otherwise."""
    waited = now - sent_at
    if waited < _LATE:
        return ""
    minutes = int(waited.total_seconds() // 60)
    told = f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
    return f"[The first of these messages waited {told} before you saw it.]"
