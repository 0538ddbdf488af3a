"""One answer on Discord: asked for in its session, shown while it is written, finished through the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Final

from openclaw.reactions import Reactions
from openclaw.services import Services
from openclaw.sessions import SessionOrigin, discord_session
from openclaw.wording import prompt_text, reply_of, reply_target, so_far, without_tags
from shared.channels.base import Channel, ChatId, InboundMessage
from shared.channels.inbox import Claimed, Inbox
from shared.channels.live import LiveMessage
from shared.channels.outbox import Outbox
from shared.clock import Clock

SOURCE: Final = "discord"


class Replying:
    """Answers claimed messages.

    Attributes:
        last_at: when something was answered last.
    """

    def __init__(
        self, services: Services, inbox: Inbox, outbox: Outbox, channel: Channel, reactions: Reactions, clock: Clock
    ) -> None:
        self._services = services
        self._inbox = inbox
        self._outbox = outbox
        self._channel = channel
        self._reactions = reactions
        self._clock = clock
        self.last_at: datetime | None = None

    async def answer(self, chat: ChatId, items: Sequence[Claimed], context: Sequence[Claimed]) -> None:
        """Have messages answered as one; `context` is what others said before without asking for an answer."""
        message = items[-1].message
        # A claim may hold several batches, each a run of its own; a repeated try finds the messages of its first one.
        run_id = f"{items[0].run_id}_{items[0].id}"
        key = discord_session(chat, message.chat_kind)
        mode = self._services.policy.discord.reply_to_mode
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._channel.typing(chat))
            target = reply_target(mode, "", message)
            live = LiveMessage(self._outbox, run_id, chat, reply_to=target, reply_all=mode == "all")
            await stack.enter_async_context(live)
            outcome = await self._services.runs.ask(
                key,
                prompt_text([item.message for item in items], [item.message for item in context]),
                run_id,
                source=SOURCE,
                origin=_origin(message),
                on_text=(lambda text: self._show(live, text, message))
                if self._services.policy.discord.streaming
                else None,
                on_tool=lambda name: self._reactions.tool(message, name),
            )
            text, reason = reply_of(outcome)
            done = self._inbox.finishing([item.id for item in items], run_id=run_id, reason=reason)
            self._aim(live, text, message)
            await live.finish(without_tags(text).text, also=done)
        self._reactions.ended([item.message for item in items], failed=outcome.state == "error")
        if context:
            await self._inbox.use_context(chat, up_to=items[-1].id, run_id=run_id)
        self.last_at = self._clock.now()

    def _aim(self, live: LiveMessage, text: str, message: InboundMessage) -> None:
        if wanted := without_tags(text).wanted:
            live.reply_to(reply_target(self._services.policy.discord.reply_to_mode, wanted, message))

    def _show(self, live: LiveMessage, text: str, message: InboundMessage) -> None:
        if shown := so_far(text):
            self._aim(live, text, message)
            live.update(shown)


def _origin(message: InboundMessage) -> SessionOrigin:
    number = message.chat.rpartition(":")[2]
    if message.chat_kind == "dm":
        return SessionOrigin("direct", SOURCE, to=f"user:{message.sender.id}", chat=message.chat)
    name = f"#{message.chat_name}"
    return SessionOrigin("channel", SOURCE, display_name=name, to=f"channel:{number}", chat=message.chat)
