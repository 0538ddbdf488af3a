"""From a Discord message to its answer: stored first, decided, run in its session, said through the outbox.

Each chat has one worker at a time, so that its messages are answered in order. Every message ends in a reply or in a
recorded reason; what a crash cut is taken up at the next start under the same run id, so that nothing is said twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Final

from openclaw.approvals.answers import DiscordAnswers
from openclaw.config import DiscordPolicy
from openclaw.discord_policy import decide_discord
from openclaw.pairing import DmPairing, pairing_reply
from openclaw.protocol.methods.chat import RESET_PHRASES, STOP_PHRASES
from openclaw.protocol.methods.sessions import reset_session
from openclaw.runs import Outcome
from openclaw.services import Services
from openclaw.sessions import SessionOrigin, discord_session
from shared.channels.base import Channel, ChatId, InboundMessage, MessageId
from shared.channels.inbox import Claimed, Inbox
from shared.channels.live import LiveMessage
from shared.channels.outbox import Outbox
from shared.channels.store import InboxState
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Busy
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

SOURCE: Final = "discord"
SILENT: Final = "NO_REPLY"
_MAX_ATTEMPTS: Final = 4
_RETRY_S: Final = (5.0, 20.0, 80.0)
_RETRY_CHAT_S: Final = 5.0


class DiscordIntake:
    """Answers Discord messages.

    Args:
        channel: the connector, for typing and reactions.
        answers: takes what people write about approvals.
    """

    def __init__(
        self,
        services: Services,
        inbox: Inbox,
        outbox: Outbox,
        channel: Channel,
        clock: Clock = SYSTEM_CLOCK,
        *,
        answers: DiscordAnswers,
    ) -> None:
        self._services = services
        self._pairing: DmPairing = services.dm_pairing
        self._inbox = inbox
        self._outbox = outbox
        self._channel = channel
        self._answers = answers
        self._clock = clock
        self._tasks = TaskPool("discord")
        self._serving: set[ChatId] = set()
        self._again: set[ChatId] = set()
        self._stopping = False
        self.last_inbound_at: datetime | None = None
        self.last_outbound_at: datetime | None = None

    @property
    def _policy(self) -> DiscordPolicy:
        return self._services.policy.discord

    async def start(self) -> None:
        """Take up what an earlier process left; call once, before the channel runs."""
        reopened = await self._inbox.reset_claims()
        chats = await self._inbox.open_chats()
        if reopened or chats:
            _log.info("intake.recovered", reopened=reopened, chats=len(chats))
        now = self._clock.now()
        for chat in chats:
            self._later(chat.chat, max(0.0, (chat.due_at - now).total_seconds()))

    async def stop(self, drain_s: float) -> None:
        """Begin nothing new, give workers up to `drain_s` seconds to say what is ready, then cut them."""
        self._stopping = True
        await self._tasks.drain(drain_s)
        await self._tasks.close()

    # --- in ------------------------------------------------------------------------

    async def on_message(self, message: InboundMessage) -> None:
        """Store a message with what is to become of it, and see to it that somebody works on it."""
        decision = decide_discord(message, self._policy, self._pairing.allowed)
        if (decision.kind == "answer" or self._answers.may_answer(message.sender)) and await self._approve(message):
            return
        if decision.kind == "ignore":
            await self._inbox.append(message, state="ignored", reason=decision.reason)
            return
        if decision.kind == "context":
            await self._inbox.append(message, state="context", reason=decision.reason)
            return
        self.last_inbound_at = self._clock.now()
        if decision.kind == "answer" and message.text.strip().lower() in STOP_PHRASES:
            await self._stop_runs(message)
        elif await self._inbox.append(message):
            self._wake(message.chat)

    async def on_edit(self, message: InboundMessage) -> None:
        """Let a stored message read as it does now; one that asks for an answer only now gets one."""
        decision = decide_discord(message, self._policy, self._pairing.allowed)
        wanted: InboxState = "new" if decision.kind == "answer" else "ignored"
        if await self._inbox.edit(message, wanted=wanted, reason=f"edited: {decision.reason}") == "opened":
            self._wake(message.chat)

    async def on_delete(self, chat: ChatId, message: MessageId) -> None:
        """Drop a message that its author took back, unless somebody answers it already."""
        await self._inbox.take_back(chat, message)

    async def _approve(self, message: InboundMessage) -> bool:
        """Take a ``/approve`` message; false when it is something else. Repeating it changes nothing."""
        reply = await self._answers.on_text(message)
        if reply is None:
            return False
        await self._outbox.post(f"approve_{message.id}", message.chat, reply, reply_to=message.id)
        await self._inbox.append(message, state="ignored", reason="an answer to an approval")
        return True

    async def _stop_runs(self, message: InboundMessage) -> None:
        """A stop cannot wait behind the run it is meant for."""
        if not await self._inbox.append(message, state="ignored", reason="a stop command"):
            return
        key = discord_session(message.chat, message.chat_kind)
        stopped = await self._services.runs.abort(key, None, "stop")
        text = "Stopped." if stopped else "Nothing is running here."
        await self._outbox.post(f"stop_{message.id}", message.chat, text, reply_to=message.id)

    def _wake(self, chat: ChatId) -> None:
        if self._stopping:
            return  # stored; the next process answers
        if chat in self._serving:
            self._again.add(chat)
            return
        self._serving.add(chat)
        self._tasks.start(self._serve(chat), name=chat)

    def _later(self, chat: ChatId, delay_s: float) -> None:
        async def wait() -> None:
            await asyncio.sleep(delay_s)
            self._wake(chat)

        self._tasks.start(wait(), name=f"retry.{chat}")

    # --- one chat ------------------------------------------------------------------

    async def _serve(self, chat: ChatId) -> None:
        try:
            while not self._stopping:
                self._again.discard(chat)
                items = await self._inbox.claim(chat, run_id=new_id("run"))
                asked = [item for item in items if not item.context]
                if asked:
                    await self._work(chat, asked, [item for item in items if item.context])
                elif chat not in self._again:
                    return
        except Exception:  # noqa: BLE001 - one chat must not end the others
            _log.exception("intake.failed", chat=chat)
            self._later(chat, _RETRY_CHAT_S)
        finally:
            self._serving.discard(chat)

    async def _work(self, chat: ChatId, items: Sequence[Claimed], context: Sequence[Claimed]) -> None:
        wanted: list[Claimed] = []
        for item in items:
            # Decided again: an approval or a policy may have changed while it waited.
            decision = decide_discord(item.message, self._policy, self._pairing.allowed)
            if decision.kind == "answer":
                wanted.append(item)
            elif decision.kind == "pair":
                await self._pair(item)
            else:
                await self._inbox.ignore(item.id, decision.reason)
        if not wanted:
            return
        try:
            await self._answer(chat, wanted, context)
        except Busy:
            return  # we are stopping: the claim is opened again at the next start
        except Exception:  # noqa: BLE001 - the messages are given back, not lost
            _log.exception("intake.answer_failed", chat=chat, run_id=wanted[0].run_id)
            await self._give_back(chat, wanted)

    async def _pair(self, item: Claimed) -> None:
        sender = item.message.sender
        asked = await self._pairing.request(sender.id, sender.name)
        if not asked.code:
            await self._inbox.ignore(item.id, "too many strangers wait for pairing already")
        elif not asked.is_new:
            await self._inbox.ignore(item.id, "pairing is pending; the code was sent before")
        else:
            text = pairing_reply(SOURCE, sender.id, asked.code)
            done = self._inbox.finishing([item.id], run_id=item.run_id, reason="a pairing code was sent")
            await self._outbox.post(f"pair_{item.id}", item.message.chat, text, also=done)
            _log.info("pairing.requested", channel=SOURCE, sender=sender.id)

    async def _give_back(self, chat: ChatId, items: Sequence[Claimed]) -> None:
        ids = [item.id for item in items]
        attempts = max(item.attempts for item in items)
        if attempts >= _MAX_ATTEMPTS:
            await self._inbox.bury(ids, f"failed {attempts} times with an internal error")
            text = f"Sorry, I could not answer this: an internal error (run {items[0].run_id}). The operator was told."
            await self._outbox.post(f"sorry_{items[0].id}", chat, text, reply_to=items[-1].message.id)
            return
        delay_s = _RETRY_S[min(attempts, len(_RETRY_S)) - 1]
        await self._inbox.retry(ids, delay_s)
        self._later(chat, delay_s)

    # --- answering -----------------------------------------------------------------

    async def _answer(self, chat: ChatId, items: Sequence[Claimed], context: Sequence[Claimed]) -> None:
        message = items[-1].message
        run_id = items[0].run_id
        key = discord_session(chat, message.chat_kind)
        reply_to = message.id if message.chat_kind != "dm" else ""
        if len(items) == 1 and message.text.strip().lower() in RESET_PHRASES:
            await reset_session(self._services, key)
            done = self._inbox.finishing([items[0].id], run_id=run_id, reason="a new session began")
            await self._outbox.post(run_id, chat, "A new session begins.", reply_to=reply_to, also=done)
            return
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._channel.typing(chat))
            live = await stack.enter_async_context(LiveMessage(self._outbox, run_id, chat, reply_to=reply_to))
            outcome = await self._services.runs.ask(
                key,
                prompt_text([item.message for item in items], [item.message for item in context]),
                run_id,
                source=SOURCE,
                origin=_origin(message),
                on_text=(lambda text: self._show(live, text)) if self._policy.streaming else None,
            )
            text, reason = reply_of(outcome)
            done = self._inbox.finishing([item.id for item in items], run_id=run_id, reason=reason)
            await live.finish(text, also=done)
        if context:
            await self._inbox.use_context(chat, up_to=items[-1].id, run_id=run_id)
        self.last_outbound_at = self._clock.now()

    def _show(self, live: LiveMessage, text: str) -> None:
        if not SILENT.startswith(text.strip()[: len(SILENT)]):
            live.update(text)


def _origin(message: InboundMessage) -> SessionOrigin:
    number = message.chat.rpartition(":")[2]
    if message.chat_kind == "dm":
        return SessionOrigin("direct", SOURCE, to=f"user:{message.sender.id}", chat=message.chat)
    name = f"#{message.chat_name}"
    return SessionOrigin("channel", SOURCE, display_name=name, to=f"channel:{number}", chat=message.chat)


def reply_of(outcome: Outcome) -> tuple[str, str]:
    """What is said for an outcome, and the reason that is recorded with the message."""
    if outcome.state == "error":
        said = f"{outcome.text}\n\n" if outcome.text else ""
        return f"{said}Sorry, I could not answer: {outcome.error}", "answered with an error"
    if outcome.state == "aborted":
        return outcome.text, "stopped"
    if outcome.text.strip().startswith(SILENT) or not outcome.text.strip():
        return "", "the agent chose not to answer"
    return outcome.text, "answered"


def prompt_text(messages: Sequence[InboundMessage], context: Sequence[InboundMessage]) -> str:
    """What the model is shown: in a guild every message begins with its sender's name, background comes first.

    Further lines of a message are indented, so that nobody can write a line that looks like somebody else's.
    """
    if messages[-1].chat_kind == "dm":
        return "\n".join(_body(message) for message in messages)
    lines = [_spoken(message) for message in messages]
    if not context:
        return "\n".join(lines)
    earlier = [_spoken(message) for message in context]
    return "\n".join(["[Said in the channel before, for context]", *earlier, "", "[To be answered]", *lines])


def _spoken(message: InboundMessage) -> str:
    name = " ".join(message.sender.name.split())
    return f"{name}: {_body(message)}".replace("\n", "\n  ")


def _body(message: InboundMessage) -> str:
    parts = []
    if message.reply_to:
        parts.append(f"[in reply to {message.reply_to_sender or 'a message'}: {message.reply_to[:500]}]\n")
    parts.append(message.text)
    parts += [f"\n[attachment: {a.name}, {a.content_type}, {a.size_bytes} bytes]" for a in message.attachments]
    return "".join(parts)
