"""Asking and waiting: by button, or by the next message of the chat, whichever comes first."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field, replace

from nanoclaw.questions.models import Pressed, Question, answer_in, decide_press, is_answer, parse_action
from nanoclaw.questions.store import QuestionStore
from shared.channels.base import ButtonPress, InboundMessage
from shared.channels.inbox import Inbox
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.obs.log import get_logger

_log = get_logger(__name__)


@dataclass(slots=True)
class _Wait:
    """A tool call that waits.

    Attributes:
        closing: held while an answer, or the end of the time, is being stored; the first to hold it decides.
    """

    question: Question
    answer: asyncio.Future[Question] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    closing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_free(self) -> bool:
        """Nobody has answered, or is just doing so."""
        return not (self.answer.done() or self.closing.locked())


class Questions:
    """Puts questions into chats and brings back the answers.

    An answer is stored before anybody acts on it. A question outlives its process: the repeated run asks it again
    under the same key, which posts nothing anew, and finds an answer that was given meanwhile.
    """

    def __init__(self, store: QuestionStore, inbox: Inbox, outbox: Outbox, clock: Clock = SYSTEM_CLOCK) -> None:
        self._store = store
        self._inbox = inbox
        self._outbox = outbox
        self._clock = clock
        self._waits: dict[str, _Wait] = {}

    async def ask(self, question: Question) -> Question:
        """Ask, and wait for the answer until the question's end; returns the closed question."""
        wait = self._waits[question.key] = _Wait(question)
        try:
            async with wait.closing:  # a press of the repeated question's button waits until we know how it stands
                closed = wait.question = await self._store.open(question)
                if closed.state != "open":
                    wait.answer.set_result(closed)
            if closed.state == "open":
                await self._outbox.post(closed.key, closed.chat, closed.text, buttons=closed.buttons)
                closed = await self._wait(wait)
        finally:
            self._waits.pop(question.key, None)
        await self._show(closed)
        return closed

    async def _wait(self, wait: _Wait) -> Question:
        remaining_s = (wait.question.expires_at - self._clock.now()).total_seconds()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, remaining_s)):
                return await asyncio.shield(wait.answer)
        async with wait.closing:
            if wait.answer.done():
                return wait.answer.result()
            return await self._store.close(wait.question.key, "unanswered")

    async def press(self, press: ButtonPress) -> str:
        """Take a button press; the text is for the presser alone."""
        pressed = parse_action(press.action)
        question = None if pressed is None else await self._store.find(pressed.key)
        wait = None if question is None else self._waits.get(question.key)
        if pressed is None or question is None or wait is None:
            return await self._press_unheard(press, pressed, question)
        async with wait.closing:
            question = wait.answer.result() if wait.answer.done() else wait.question
            verdict = decide_press(press, pressed.option, question, run_is_open=True, now=self._clock.now())
            if verdict.option:
                wait.answer.set_result(await self._answer(question, verdict.option, press))
        return verdict.reply

    async def _press_unheard(self, press: ButtonPress, pressed: Pressed | None, question: Question | None) -> str:
        """Nobody waits right now; after a restart the repeated run will ask again, and then finds the answer."""
        run_id = "" if question is None else question.run_id
        run_is_open = bool(run_id) and await self._inbox.has_open_run(run_id)
        option = 0 if pressed is None else pressed.option
        verdict = decide_press(press, option, question, run_is_open=run_is_open, now=self._clock.now())
        if question is not None and verdict.option:
            closed = await self._answer(question, verdict.option, press)
            await self._tell(closed)
            await self._show(closed)
        return verdict.reply

    async def _tell(self, closed: Question) -> None:
        """The run may have asked again, and found the question open, just before its answer was stored."""
        wait = self._waits.get(closed.key)
        if wait is not None:
            async with wait.closing:
                if not wait.answer.done():
                    wait.answer.set_result(closed)

    async def _answer(self, question: Question, option: str, press: ButtonPress) -> Question:
        _log.info("question.answered", run_id=question.run_id, group=question.folder, by="button")
        return await self._store.close(question.key, "answered", answer=option, answered_by=press.sender.name)

    async def take(self, message: InboundMessage, *, calls: bool) -> bool:
        """Store a message as the answer to the oldest question of its chat; false when it answers none.

        Args:
            message: not stored yet.
            calls: without a question the agent would answer it.
        """
        waits = [w for w in self._waits.values() if w.is_free and is_answer(message, w.question, calls=calls)]
        if not waits:
            return False
        wait, question = waits[0], waits[0].question
        async with wait.closing:
            # The message and the closed question are one transaction: a crash leaves either both or neither.
            answer, who = answer_in(message), message.sender.name
            closing = self._store.closing(question.key, "answered", answer=answer, answered_by=who)
            reason = f"the answer to a question of run {question.run_id}"
            if await self._inbox.append(message, state="done", reason=reason, also=closing):
                closed = replace(question, state="answered", answer=answer, answered_by=who)
                wait.answer.set_result(closed)
                _log.info("question.answered", run_id=question.run_id, group=question.folder, by="message")
        return True  # or it was stored before, which settles it too

    async def _show(self, closed: Question) -> None:
        """Take the buttons away, so that nobody presses them in vain."""
        drafts = self._outbox.drafts(closed.key, closed.chat, closed.ending)
        await self._outbox.rewrite(closed.key, drafts, shown={})
