"""The durable inbox: a message is stored before anybody acts on it, and every one ends in a state with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from shared.channels.base import Attachment, ChatId, InboundMessage, MessageId
from shared.channels.schema import ChannelTables
from shared.channels.store import inbox as store
from shared.channels.store.inbox import InboxItem, InboxState, OpenChat, SeenChat
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Conflict
from shared.storage import Also, Database

Claimed = InboxItem
"""An inbox item in the hands of a run."""

_CONTEXT_LIMIT = 50
_LIST_LIMIT = 200


class Inbox:
    """What people wrote and what became of it.

    States: ``new`` waits · ``claimed`` a run has it · ``context`` needs no answer itself and comes along with the
    next one that does · ``done`` · ``ignored`` · ``dead`` given up, waits for the operator.
    """

    def __init__(self, db: Database, tables: ChannelTables, clock: Clock = SYSTEM_CLOCK) -> None:
        self._db = db
        self._tables = tables
        self._clock = clock

    async def append(
        self, message: InboundMessage, *, state: InboxState = "new", reason: str = "", also: Also | None = None
    ) -> bool:
        """Store a message; false when it was stored before.

        The chat's catch-up cursor moves in the same transaction. Pass `state` ``context`` or ``ignored`` with the
        reason when the decision is already made, and `also` for what must become durable together with a new message.
        """
        now = self._clock.now()
        return await self._db.write(
            lambda c: store.append(c, self._tables, message, state=state, reason=reason, now=now, also=also)
        )

    async def edit(
        self, message: InboundMessage, *, wanted: InboxState, reason: str
    ) -> Literal["unknown", "late", "updated", "opened"]:
        """Let a stored message read as its author changed it.

        Args:
            message: as it reads now.
            wanted: what would be done with it if it came now; ``new`` opens one that was only background.
            reason: of that decision.

        Returns:
            ``unknown`` never stored · ``late`` somebody answers it, or did: it stays · ``updated`` · ``opened`` it is
            to be answered now, and was not before.
        """
        return await self._db.write(lambda c: store.edit(c, self._tables, message, wanted=wanted, reason=reason))

    async def take_back(self, chat: ChatId, message: MessageId) -> InboxItem | None:
        """Let nobody answer a message its author deleted; None when it is unknown, being answered, or was."""
        now = self._clock.now()
        return await self._db.write(lambda c: store.take_back(c, self._tables, chat, message, now=now))

    async def note_attachments(
        self, chat: ChatId, message: MessageId, fates: Sequence[Attachment]
    ) -> InboundMessage | None:
        """Remember with a message where its files are kept, or why not (`Attachment.path`, `problem`)."""
        return await self._db.write(lambda c: store.note_attachments(c, self._tables, chat, message, fates))

    async def waiting(self, chat: ChatId, limit: int = _LIST_LIMIT) -> list[InboxItem]:
        """Messages of a chat that wait for an answer, oldest first."""
        return await self._db.read(lambda c: store.waiting(c, self._tables, chat, limit))

    async def count_waiting(self, chat: ChatId) -> int:
        """How many messages of a chat nobody has taken yet."""
        return await self._db.read(lambda c: store.count_waiting(c, self._tables, chat))

    async def claim(
        self, chat: ChatId, *, run_id: str = "", context_limit: int = _CONTEXT_LIMIT, even_if_early: bool = False
    ) -> list[Claimed]:
        """Take what is open in a chat, oldest first; empty when nothing is due.

        A scheduled prompt is taken alone, and what people wrote after it by a later claim (see `is_open`). One message
        that is due takes those along that wait for a later try, so that order is kept. Items keep the `run_id` of the
        run that first took them: a repeated try finds its own outbox rows through it. For people's messages context
        comes along (`InboxItem.context`), at most the newest `context_limit`. With `even_if_early` what waits for a
        later try is due as well: for a caller that waited itself, by a clock that does not jump.
        """
        now = self._clock.now()
        return await self._db.write(
            lambda c: store.claim(
                c,
                self._tables,
                chat,
                run_id=run_id,
                now=now,
                context_limit=context_limit,
                even_if_early=even_if_early,
            )
        )

    async def finish(self, ids: Sequence[int], *, run_id: str, reason: str = "answered") -> None:
        """Mark messages as dealt with."""
        await self._db.write(self.finishing(ids, run_id=run_id, reason=reason))

    def finishing(self, ids: Sequence[int], *, run_id: str, reason: str = "answered") -> Also:
        """`finish` as work for another transaction, such as the one that puts the answer into the outbox.

        Answer and mark become durable together: a crash leaves either both or neither.
        """
        now = self._clock.now()
        return lambda c: store.settle(c, self._tables, ids, state="done", reason=reason, run_id=run_id, now=now)

    async def use_context(self, chat: ChatId, *, up_to: int, run_id: str) -> None:
        """Mark the chat's context before inbox id `up_to` as used, so that it does not come along again."""
        await self._db.write(self.using_context(chat, up_to=up_to, run_id=run_id))

    def using_context(self, chat: ChatId, *, up_to: int, run_id: str) -> Also:
        """`use_context` as work for another transaction."""
        now = self._clock.now()
        return lambda c: store.use_context(c, self._tables, chat, up_to=up_to, run_id=run_id, now=now)

    async def ignore(self, item_id: int, reason: str) -> None:
        """Mark a message as not to be answered."""
        await self._settle([item_id], "ignored", reason)

    async def retry(self, ids: Sequence[int], delay_s: float, *, reason: str = "will be tried again") -> None:
        """Give messages back, to be tried again after `delay_s` seconds."""
        await self._db.write(self.retrying(ids, delay_s, reason=reason))

    def retrying(self, ids: Sequence[int], delay_s: float, *, reason: str, counts: bool = True) -> Also:
        """`retry` as work for another transaction; a try that does not count is as if it had not been made."""
        now = self._clock.now()
        due = now + timedelta(seconds=delay_s)
        return lambda c: store.settle(
            c, self._tables, ids, state="new", reason=reason, next_try_at=due, counts=counts, now=now
        )

    async def give_back(self, ids: Sequence[int], *, reason: str) -> None:
        """Open claimed messages again as if they had not been taken: the try does not count."""
        await self._db.write(lambda c: store.give_back(c, self._tables, ids, reason=reason))

    async def bury(self, ids: Sequence[int], reason: str, *, also: Also | None = None) -> None:
        """Give messages up; they stay visible in `dead_letters`. With `also` in the same transaction."""
        await self._settle(ids, "dead", reason, also=also)

    def burying(self, ids: Sequence[int], reason: str) -> Also:
        """`bury` as work for another transaction."""
        now = self._clock.now()
        return lambda c: store.settle(c, self._tables, ids, state="dead", reason=reason, now=now)

    def stopping(self, chats: Sequence[ChatId], reason: str, *, states: Sequence[InboxState]) -> Also:
        """Settle what is in one of the states in some chats, as work for another transaction: a person wants no more.

        A message answered meanwhile keeps its answer. A scheduled prompt that nobody had begun is withdrawn.
        """
        now = self._clock.now()
        return lambda c: store.stop(c, self._tables, chats, states=states, reason=reason, now=now)

    async def _settle(self, ids: Sequence[int], state: InboxState, reason: str, *, also: Also | None = None) -> None:
        now = self._clock.now()
        await self._db.write(
            lambda c: store.settle(c, self._tables, ids, state=state, reason=reason, now=now, also=also)
        )

    async def open_chats(self) -> list[OpenChat]:
        """Chats with unclaimed messages, the longest waiting first; each says when it is due."""
        return await self._db.read(lambda c: store.open_chats(c, self._tables))

    async def is_open(self, chat: ChatId) -> bool:
        """Something in a chat waits for an answer, now or later."""
        return await self._db.read(lambda c: store.is_open(c, self._tables, chat))

    async def reset_claims(self, *, keep: Sequence[int] = ()) -> int:
        """Open what an earlier process had taken and not settled; call once at start, before the first claim.

        Args:
            keep: inbox ids that go on being answered.
        """
        reason = "the process ended while it was being answered"
        return await self._db.write(lambda c: store.reset_claims(c, self._tables, reason=reason, keep=keep))

    async def dead_letters(self, limit: int = _LIST_LIMIT) -> list[InboxItem]:
        """Messages that were given up, oldest first."""
        return await self._db.read(lambda c: store.in_state(c, self._tables, state="dead", limit=limit))

    async def requeue(self, item_id: int) -> InboxItem:
        """Open a dead message again.

        Raises:
            Conflict: it is not dead, or does not exist.
        """
        item = await self._db.write(lambda c: store.revive(c, self._tables, item_id))
        if item is None:
            raise Conflict(f"message {item_id} is not a dead letter: list them first", code="inbox.not_dead")
        return item

    async def recent(self, limit: int = _LIST_LIMIT, *, chat: ChatId = "") -> list[InboxItem]:
        """The newest messages with what became of them, newest first; of one chat when it is named."""
        return await self._db.read(lambda c: store.recent(c, self._tables, limit, chat=chat))

    async def items(self, ids: Sequence[int]) -> list[InboxItem]:
        """Messages by inbox id, oldest first; unknown ids are left out."""
        return await self._db.read(lambda c: store.items_by_id(c, self._tables, ids))

    async def item(self, item_id: int) -> InboxItem | None:
        """One message by inbox id."""
        return await self._db.read(lambda c: store.item(c, self._tables, item_id))

    async def find(self, chat: ChatId, message: MessageId) -> InboxItem | None:
        """One message by the platform's id."""
        return await self._db.read(lambda c: store.by_message(c, self._tables, chat, message))

    async def has_open_run(self, run_id: str) -> bool:
        """Whether a run has messages that are not settled: it goes on, or will be tried again."""
        return await self._db.read(lambda c: store.has_open_run(c, self._tables, run_id))

    async def chats(self, limit: int = _LIST_LIMIT) -> list[SeenChat]:
        """Chats that anything was ever heard of, the most recently heard ones first."""
        return await self._db.read(lambda c: store.seen_chats(c, self._tables, limit))

    async def counts(self) -> dict[str, int]:
        """How many messages are in each state."""
        return await self._db.read(lambda c: store.counts(c, self._tables))

    async def progress(self) -> tuple[int, datetime | None]:
        """The newest message's number, and since when the oldest one waits for its answer."""
        return await self._db.read(lambda c: store.progress(c, self._tables))

    async def cursors(self, platform: str = "dc") -> dict[ChatId, MessageId]:
        """Known chats with the newest message stored of each: what `ChannelHandlers.known_chats` wants."""
        return await self._db.read(lambda c: store.cursors(c, self._tables, platform))

    async def prune(self, *, older_than_s: float) -> int:
        """Forget settled messages and unused background older than this; returns how many. Dead ones stay."""
        before = self._clock.now() - timedelta(seconds=older_than_s)
        return await self._db.write(lambda c: store.prune(c, self._tables, before=before))
