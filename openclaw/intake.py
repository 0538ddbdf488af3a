"""From a Discord message to its answer: stored first, decided, run in its session, said through the outbox.

Each chat has one worker at a time, so that its messages are taken in order; whether one waits for the answer to the one
before it is the session's choice (queue mode). Every message ends in a reply or in a
recorded reason; what a crash cut is taken up at the next start under the same run id, so that nothing is said twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from openclaw.approvals.answers import DiscordAnswers
from openclaw.chat_commands import ChatCommands
from openclaw.chat_settings import activation_of
from openclaw.chat_words import IN_ORDER, ChatCommand, read_chat_command
from openclaw.config import DiscordPolicy
from openclaw.discord_policy import Decision, decide_discord
from openclaw.lanes import STEERING
from openclaw.pairing import DmPairing, pairing_reply
from openclaw.reactions import Reactions
from openclaw.replying import SOURCE, Replying
from openclaw.services import Services
from openclaw.sessions import discord_session
from openclaw.wording import reply_target
from shared.channels.base import Channel, ChatId, InboundMessage, MessageId
from shared.channels.inbox import Claimed, Inbox
from shared.channels.outbox import Outbox
from shared.channels.store.inbox import InboxState
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Busy
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

_MAX_ATTEMPTS: Final = 4
_RETRY_S: Final = (5.0, 20.0, 80.0)
_RETRY_CHAT_S: Final = 5.0
_AT_ONCE: Final = frozenset({*STEERING, "interrupt"})
"""Queue modes in which words do not wait for the answer before them."""


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
        self._commands = ChatCommands(services, inbox, answers)
        self._clock = clock
        self._tasks = TaskPool("discord")
        self._reactions = Reactions(channel, lambda: self._policy, self._tasks)
        self._replying = Replying(services, inbox, outbox, channel, self._reactions, clock)
        self._serving: set[ChatId] = set()
        self._again: set[ChatId] = set()
        self._under_way: dict[ChatId, set[asyncio.Task[None]]] = {}
        self._stopping = False
        self.last_inbound_at: datetime | None = None

    @property
    def _policy(self) -> DiscordPolicy:
        return self._services.policy.discord

    @property
    def last_outbound_at(self) -> datetime | None:
        """When something was answered last."""
        return self._replying.last_at

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
        decision = self._decide(message)
        command = read_chat_command(message.text) if decision.kind == "command" else None
        if command is None and message.addressed and self._answers.is_meant(message):
            command = read_chat_command(message.text)  # who approves is on a list of its own
        if command is not None and command.name not in IN_ORDER:
            await self._order(command, message)
        elif decision.kind == "ignore":
            await self._inbox.append(_unread(message), state="ignored", reason=decision.reason)
        elif decision.kind == "pair":
            reason = await self._pair(message)
            await self._inbox.append(_unread(message), state="ignored", reason=reason)
        elif decision.kind == "context":
            await self._inbox.append(message, state="context", reason=decision.reason)
        else:
            self.last_inbound_at = self._clock.now()
            if await self._inbox.append(message):
                if decision.kind == "answer":
                    self._reactions.seen(message)
                self._wake(message.chat)

    def _decide(self, message: InboundMessage) -> Decision:
        key = discord_session(message.chat, message.chat_kind)
        activation = activation_of(self._services.sessions, key)
        return decide_discord(message, self._policy, self._pairing.allowed, activation)

    async def on_edit(self, message: InboundMessage) -> None:
        """Let a stored message read as it does now; one that asks for an answer only now gets one."""
        decision = self._decide(message)
        kept = _unread(message) if decision.kind in ("ignore", "pair") else message
        wanted: InboxState = "new" if decision.kind in ("answer", "command") else "ignored"
        if await self._inbox.edit(kept, wanted=wanted, reason=f"edited: {decision.reason}") == "opened":
            self._wake(message.chat)

    async def on_delete(self, chat: ChatId, message: MessageId) -> None:
        """Drop a message that its author took back, unless somebody answers it already."""
        await self._inbox.take_back(chat, message)

    async def on_command(self, name: str, message: InboundMessage) -> str:
        """A slash command; the text answers the caller alone. The same people may give it who may write it."""
        written = replace(message, text=f"/{name} {message.text}".strip())
        decision = self._decide(written)
        if decision.kind == "pair":
            return f"I don't know you yet: {await self._pair(message)}."
        is_approval = name == "approve" and self._answers.may_answer(message.sender)
        if decision.kind not in ("command", "answer") and not is_approval:
            _log.info("discord.command_refused", command=name, sender=message.sender.id, reason=decision.reason)
            return "You are not authorized to use this command here."
        return await self._commands.carry_out(ChatCommand(name, message.text.strip()), message)

    async def _order(self, command: ChatCommand, message: InboundMessage) -> None:
        """A command that cannot wait behind the run it may be meant for. Repeating it changes nothing."""
        if command.name == "stop":  # a second delivery must not stop a later run
            if not await self._inbox.append(message, state="ignored", reason="a stop command"):
                return
            reply = await self._commands.carry_out(command, message)
            await self._outbox.post(f"command_{message.id}", message.chat, reply, reply_to=message.id)
            return
        reply = await self._commands.carry_out(command, message)
        await self._outbox.post(f"command_{message.id}", message.chat, reply, reply_to=message.id)
        reason = "an answer to an approval" if command.name == "approve" else f"a command: /{command.name}"
        await self._inbox.append(message, state="ignored", reason=reason)

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
                limit = self._policy.history_limit
                items = await self._inbox.claim(chat, run_id=new_id("run"), context_limit=limit)
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
            decision = self._decide(item.message)
            if decision.kind in ("answer", "command"):
                wanted.append(item)
            elif decision.kind == "pair":
                await self._inbox.ignore(item.id, await self._pair(item.message))
            else:
                await self._inbox.ignore(item.id, decision.reason)
        if not wanted:
            return
        mode = self._services.runs.queue_mode(discord_session(chat, wanted[0].message.chat_kind))
        for batch in _batches(wanted, alone=mode != "collect"):
            is_command = read_chat_command(batch[0].message.text) is not None
            if mode in _AT_ONCE and not is_command:
                self._begin(chat, batch, context)
                context = ()
                continue
            if is_command and self._under_way.get(chat):
                await asyncio.wait(self._under_way[chat])  # what was written before it comes first
            if not await self._tried(chat, batch, context, wanted[wanted.index(batch[0]) :]):
                return

    def _begin(self, chat: ChatId, batch: Sequence[Claimed], context: Sequence[Claimed]) -> None:
        """Answer without keeping what comes next waiting: the session's queue decides what becomes of it."""

        async def answer() -> None:
            if context:  # the next message, which may come at any moment, must not bring it along again
                await self._inbox.use_context(chat, up_to=batch[-1].id, run_id=batch[0].run_id)
            await self._tried(chat, batch, context, batch)

        task = self._tasks.start(answer(), name=f"answer.{chat}")
        under_way = self._under_way.setdefault(chat, set())
        under_way.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            if not under_way and self._under_way.get(chat) is under_way:
                del self._under_way[chat]

        task.add_done_callback(ended)

    async def _tried(
        self, chat: ChatId, batch: Sequence[Claimed], context: Sequence[Claimed], at_stake: Sequence[Claimed]
    ) -> bool:
        """Answer, or give back what that and what comes behind it; false when nothing more is to be tried now."""
        try:
            await self._settle(chat, batch, context)
        except Busy:
            return False  # we are stopping: the claim is opened again at the next start
        except Exception:  # noqa: BLE001 - the messages are given back, not lost
            _log.exception("intake.answer_failed", chat=chat, run_id=batch[0].run_id)
            await self._give_back(chat, at_stake)
            return False
        return True

    async def _settle(self, chat: ChatId, batch: Sequence[Claimed], context: Sequence[Claimed]) -> None:
        message = batch[0].message
        command = read_chat_command(message.text)
        if command is None:
            await self._replying.answer(chat, batch, context)
            return
        reply = await self._commands.carry_out(command, message)
        done = self._inbox.finishing([batch[0].id], run_id=batch[0].run_id, reason=f"a command: /{command.name}")
        reply_to = reply_target(self._policy.reply_to_mode, "", message)
        await self._outbox.post(f"command_{message.id}", chat, reply, reply_to=reply_to, also=done)

    async def _pair(self, message: InboundMessage) -> str:
        """Give a stranger a code, once for each; says what is recorded. Repeating it sends nothing twice."""
        asked = await self._pairing.request(message.sender.id, message.sender.name)
        if not asked.code:
            return "too many strangers wait for pairing already"
        # The code is the key: what a crash kept from being sent is sent with the next message, and nothing twice.
        text = pairing_reply(SOURCE, message.sender.id, asked.code)
        await self._outbox.post(f"pair_{asked.code}", message.chat, text)
        if not asked.is_new:
            return "pairing is pending; the code was sent before"
        _log.info("pairing.requested", channel=SOURCE, sender=message.sender.id)
        return "a pairing code was sent"

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


def _unread(message: InboundMessage) -> InboundMessage:
    """What is kept of a message that nobody is going to answer: that it came, from whom, where; not what it says."""
    return replace(message, text="", attachments=(), reply_to="", reply_to_sender="")


def _batches(items: Sequence[Claimed], *, alone: bool) -> Iterator[list[Claimed]]:
    """Messages in order, cut so that each command stands alone; every message when they are not collected."""
    batch: list[Claimed] = []
    for item in items:
        if not alone and read_chat_command(item.message.text) is None:
            batch.append(item)
            continue
        if batch:
            yield batch
        yield [item]
        batch = []
    if batch:
        yield batch
