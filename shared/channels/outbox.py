"""The durable outbox: a message is stored before it is sent, and sent until the platform has it exactly once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from shared.channels.base import Button, Channel, ChatId, MessageId, OutboundFile, OutboundMessage
from shared.channels.schema import ChannelTables
from shared.channels.spool import Spool, SpooledFile
from shared.channels.store import outbox as store
from shared.channels.store.outbox import Draft, OutboxRow
from shared.channels.text import split_message
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Busy, Conflict, DeadlineExceeded, GatewayError, NotFound, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.faultpoints import fault_point
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.storage import Also, Database

_log = get_logger(__name__)

_LIST_LIMIT = 200
_KNOWN_IDS = 200
_ONLINE_WAIT_S = 60.0
_CLOCK_SKEW = timedelta(minutes=2)
"""How far the platform's clock may be behind ours when its history is searched."""


def nonce_for(key: str, ordinal: int) -> str:
    """The nonce of a message: 24 characters, always the same for the same key and ordinal."""
    digest = hashlib.sha256(f"{key}#{ordinal}".encode()).digest()
    return base64.b32encode(digest)[:24].decode().lower()


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the platform shows after a try; without buttons also when it is not known whether it has them."""

    message_id: MessageId
    text: str
    buttons: tuple[Button, ...] = ()


class Outbox:
    """What is to be said, in order within each chat.

    A row is written, then a try is noted, then the message is sent with the row's nonce. When the answer is lost the
    same nonce is used again; once the platform may have forgotten it (`nonce_window_s`), its history is searched for
    the message before another is made.

    Args:
        db: the tenant's database.
        tables: where in it.
        channel_for: the channel of a chat address.
        clock: for stamps and due times.
        nonce_window_s: how long the platform surely remembers a nonce (Discord says "a few minutes").
        max_attempts: tries, made while the channel is online, after which a message is given up.
        backoff: delays between tries.
        spool: folder for copies of the files that go out; without one none can.
        longest_wait_s: however far the clock was set back, no message waits longer for its next try.
    """

    def __init__(
        self,
        db: Database,
        tables: ChannelTables,
        channel_for: Callable[[ChatId], Channel],
        clock: Clock = SYSTEM_CLOCK,
        *,
        nonce_window_s: float = 60.0,
        max_attempts: int = 40,
        backoff: Backoff | None = None,
        spool: Path | None = None,
        longest_wait_s: float = 600.0,
    ) -> None:
        self._db = db
        self._tables = tables
        self._channel_for = channel_for
        self._clock = clock
        self._nonce_window = timedelta(seconds=nonce_window_s)
        self._max_attempts = max_attempts
        self._longest_wait_s = longest_wait_s
        self._backoff = backoff or Backoff(base_s=1.0, ceiling_s=60.0)
        self._spool = Spool(spool)
        self._lanes: dict[ChatId, asyncio.Event] = {}
        self._waiters: dict[tuple[str, int], set[asyncio.Future[OutboxRow]]] = {}
        self._waited: dict[int, datetime | None] = {}
        """Rows that waited for their next try, by a clock that nobody sets."""
        self._pool: TaskPool | None = None
        self._started = asyncio.Event()

    # --- writing -----------------------------------------------------------------------------------------------------

    async def put(
        self,
        key: str,
        ordinal: int,
        *,
        chat: ChatId,
        text: str,
        reply_to: MessageId = "",
        buttons: tuple[Button, ...] = (),
        also: Also | None = None,
    ) -> OutboxRow:
        """Store one message; it will be sent in the background. A key and ordinal used before give the row there is.

        Args:
            key: what the message belongs to, a run id as a rule.
            ordinal: which message of the key, from 0.
            chat: where to.
            text: at most the channel's `text_limit` long; use `post` for text of any length.
            reply_to: the message it answers.
            buttons: shown under it.
            also: further work for the same transaction, such as `Inbox.finishing`.
        """
        draft = Draft(ordinal, chat, text, nonce_for(key, ordinal), reply_to, buttons)
        rows = await self._put(key, [draft], also, whole=False)
        return next(row for row in rows if row.ordinal == ordinal)

    async def post(
        self,
        key: str,
        chat: ChatId,
        text: str,
        *,
        reply_to: MessageId = "",
        buttons: tuple[Button, ...] = (),
        files: tuple[OutboundFile, ...] = (),
        also: Also | None = None,
        reply_all: bool = False,
    ) -> list[OutboxRow]:
        """Store a text of any length as the messages of a key, all in one transaction.

        The first one is the reply (each one with `reply_all`), the last one has the buttons and the files, which are
        copied first: their paths need not last. Empty text without files stores nothing but still does `also`.
        A key that has messages already keeps them: a run repeated after a crash may word its answer differently.

        Raises:
            Invalid: a file cannot be read, or they are too many or too large (see `spool`).
        """
        taken = await self._spool.take(files)
        try:
            drafts = self.drafts(key, chat, text, reply_to=reply_to, buttons=buttons, files=taken, reply_all=reply_all)
            rows = await self._put(key, drafts, also, whole=True)
        except GatewayError:
            self._spool.settle(taken, ())
            raise
        self._spool.settle(taken, (file for row in rows for file in row.files))
        return rows

    def drafts(
        self,
        key: str,
        chat: ChatId,
        text: str,
        *,
        reply_to: MessageId = "",
        buttons: tuple[Button, ...] = (),
        files: tuple[SpooledFile, ...] = (),
        reply_all: bool = False,
    ) -> list[Draft]:
        """Cut a text into the messages of a key."""
        channel = self._channel_for(chat)
        parts = split_message(text, channel.text_limit, channel.measure, channel.line_limit) or ([""] if files else [])
        return [
            Draft(
                ordinal,
                chat,
                part,
                nonce_for(key, ordinal),
                reply_to if ordinal == 0 or reply_all else "",
                buttons if ordinal == len(parts) - 1 else (),
                files if ordinal == len(parts) - 1 else (),
            )
            for ordinal, part in enumerate(parts)
        ]

    async def _put(self, key: str, drafts: Sequence[Draft], also: Also | None, *, whole: bool) -> list[OutboxRow]:
        now = self._clock.now()
        rows = await self._db.write(lambda c: store.put(c, self._tables, key, drafts, whole=whole, now=now, also=also))
        fault_point("outbox.stored")
        self._wake(rows)
        return rows

    async def rewrite(
        self, key: str, drafts: Sequence[Draft], *, shown: Mapping[int, str], also: Also | None = None
    ) -> list[OutboxRow]:
        """Make the messages of a key read like `drafts`: add, edit and delete as needed (see `store.rewrite`)."""
        now = self._clock.now()
        rows = await self._db.write(
            lambda c: store.rewrite(c, self._tables, key, drafts, shown=shown, now=now, also=also)
        )
        fault_point("outbox.stored")
        self._tell(rows)
        self._wake(rows)
        return rows

    # --- asking ------------------------------------------------------------------------------------------------------

    async def deliver(self, key: str, ordinal: int = 0, *, timeout_s: float | None = None) -> MessageId:
        """Wait until a stored message is on the platform, in its newest text; returns the message's id.

        Raises:
            NotFound: nothing is stored under the key and ordinal.
            Unavailable: the platform refused it, or it was given up; the detail is the reason.
            DeadlineExceeded: not within `timeout_s` seconds; it is still going to be sent.
        """
        waiter: asyncio.Future[OutboxRow] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault((key, ordinal), set())
        waiters.add(waiter)
        try:
            row = next((row for row in await self.rows(key) if row.ordinal == ordinal), None)
            if row is None:
                raise NotFound(f"no message {ordinal} of {key} in the outbox")
            if row.state == "pending":
                async with asyncio.timeout(timeout_s):
                    row = await waiter
        except TimeoutError:
            raise DeadlineExceeded("the message is stored but not delivered yet", code="outbox.pending") from None
        finally:
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop((key, ordinal), None)
        if row.state != "sent":
            raise Unavailable(row.reason, code=f"outbox.{row.state}", retryable=False)
        return row.message_id

    async def rows(self, key: str) -> list[OutboxRow]:
        """The messages of a key, in order."""
        return await self._db.read(lambda c: store.rows(c, self._tables, key))

    async def shown_keys(self, prefix: str) -> list[str]:
        """Keys beginning with `prefix` of which something is shown, or still to be sent."""
        return await self._db.read(lambda c: store.shown_keys(c, self._tables, prefix))

    async def withdraw(self, key: str) -> None:
        """Take the messages of a key back, or do not send them."""
        await self.rewrite(key, (), shown={})

    async def dead_letters(self, limit: int = _LIST_LIMIT) -> list[OutboxRow]:
        """Messages the platform refused (``failed``) or that were given up (``dead``), oldest first."""
        return await self._db.read(lambda c: store.in_state(c, self._tables, ["failed", "dead"], limit))

    async def pending(self, limit: int = _LIST_LIMIT) -> list[OutboxRow]:
        """Messages still to be sent, edited or deleted."""
        return await self._db.read(lambda c: store.in_state(c, self._tables, ["pending"], limit))

    async def counts(self) -> dict[str, int]:
        """How many messages are in each state."""
        return await self._db.read(lambda c: store.counts(c, self._tables))

    async def progress(self) -> tuple[int, int]:
        """The newest message's number, and how often those that are not sent yet were tried."""
        return await self._db.read(lambda c: store.progress(c, self._tables))

    async def requeue(self, row_id: int) -> OutboxRow:
        """Send a failed or dead message after all.

        Raises:
            Conflict: it is neither, or does not exist.
        """
        row = await self._db.write(lambda c: store.revive(c, self._tables, row_id))
        if row is None:
            raise Conflict(f"outgoing message {row_id} is not a dead letter: list them first", code="outbox.not_dead")
        self._wake([row])
        return row

    async def prune(self, *, older_than_s: float) -> int:
        """Forget delivered messages older than this; returns how many."""
        before = self._clock.now() - timedelta(seconds=older_than_s)
        return await self._db.write(lambda c: store.prune(c, self._tables, before=before))

    def channel(self, chat: ChatId) -> Channel:
        """The channel of a chat."""
        return self._channel_for(chat)

    # --- sending -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Deliver until cancelled, starting with what an earlier process left."""
        self._pool = TaskPool("outbox")
        try:
            await self._spool.sweep(lambda: self._db.read(lambda c: store.spooled(c, self._tables)))
            for chat in await self._db.read(lambda c: store.pending_chats(c, self._tables)):
                self._wake_chat(chat)
            self._started.set()
            await asyncio.get_running_loop().create_future()
        finally:
            self._started.clear()
            pool, self._pool = self._pool, None
            await pool.close()
            self._lanes.clear()

    async def flush(self, deadline_s: float) -> bool:
        """Wait up to `deadline_s` seconds until nothing is being delivered; true when nothing is left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await self._started.wait()
                while self._pool is not None and len(self._pool):
                    await self._pool.drain(deadline_s)
        return not await self._db.read(lambda c: store.pending_chats(c, self._tables))

    def _wake(self, rows: Iterable[OutboxRow]) -> None:
        for chat in {row.chat for row in rows if row.state == "pending"}:
            self._wake_chat(chat)

    def _wake_chat(self, chat: ChatId) -> None:
        """See to it that somebody delivers the chat's messages; before `run` they just stay stored."""
        if (lane := self._lanes.get(chat)) is not None:
            lane.set()
        elif self._pool is not None:
            self._lanes[chat] = asyncio.Event()
            self._pool.start(self._deliver_chat(chat), name=chat)

    async def _deliver_chat(self, chat: ChatId) -> None:
        """Deliver a chat's messages one after the other until none is left."""
        news = self._lanes[chat]
        backoff = Backoff(self._backoff.base_s, self._backoff.ceiling_s)
        try:
            while True:
                news.clear()
                try:
                    is_empty = not await self._deliver_next(chat, backoff)
                except GatewayError as error:  # the store: nothing else is let through
                    _log.warning("outbox.store_failed", chat=chat, reason=error.detail)
                    await asyncio.sleep(backoff.next_delay_s())
                    continue
                if is_empty and not news.is_set():
                    return
        finally:
            self._lanes.pop(chat, None)

    async def _deliver_next(self, chat: ChatId, backoff: Backoff) -> bool:
        """Do or await the next thing for a chat; false when there is nothing."""
        row = await self._db.read(lambda c: store.head(c, self._tables, chat))
        if row is None:
            return False
        try:
            channel = self._channel_for(chat)
        except Unavailable:
            await asyncio.sleep(_ONLINE_WAIT_S)  # its platform is not configured: it stays stored for the next start
            return True
        waited = self._waited.pop(row.id, None)
        if waited != row.next_try_at and (wait_s := self._wait_s(row)) > 0:
            await asyncio.sleep(wait_s)
            self._waited[row.id] = row.next_try_at
        elif await channel.wait_online(_ONLINE_WAIT_S):
            await self._try(row, backoff)
        elif channel.status.state in ("failed", "off"):
            await asyncio.sleep(_ONLINE_WAIT_S)  # nobody will send it now; it stays stored for the next start
        return True

    def _wait_s(self, row: OutboxRow) -> float:
        if row.next_try_at is None:
            return 0.0
        return min((row.next_try_at - self._clock.now()).total_seconds(), self._longest_wait_s)

    async def _try(self, row: OutboxRow, backoff: Backoff) -> None:
        """Bring one row to the platform, and note how that went."""
        now = self._clock.now()
        begun = await self._db.write(lambda c: store.begin_try(c, self._tables, row.id, now=now))
        if begun is None:
            return
        fault_point("outbox.try_noted")
        try:
            shown = await self._act(begun, in_doubt=row.doubt_at is not None)
        except Busy as error:
            await self._postpone(
                begun, error.detail, error.retry_after_s, refund=True, clear_doubt=row.doubt_at is None
            )
        except GatewayError as error:
            if error.retryable:
                await self._postpone(begun, error.detail, backoff.next_delay_s())
            else:
                await self._end(begun, "failed", error.detail)
        except Exception as error:  # noqa: BLE001 - a defect must not end the lane: it is logged and tried again
            _log.exception("outbox.try_failed", key=begun.key, ordinal=begun.ordinal, chat=begun.chat)
            await self._postpone(begun, f"internal error: {type(error).__name__}", backoff.next_delay_s())
        else:
            backoff.reset()
            fault_point("outbox.delivered")
            await self._settle(begun, shown)
            _log.info("message.delivered", run_id=begun.key, ordinal=begun.ordinal, chat=begun.chat)
            fault_point("outbox.settled")

    async def _act(self, row: OutboxRow, *, in_doubt: bool) -> _Shown:
        """Send, edit or delete; returns what the platform shows now."""
        channel = self._channel_for(row.chat)
        if row.message_id and (row.text or row.files):
            try:
                await channel.edit(row.chat, row.message_id, row.text, row.buttons)
            except NotFound as error:
                if row.files:
                    raise
                # Somebody deleted it: what it was to read is posted anew, under a nonce that is durable first.
                _log.info("outbox.message_gone", key=row.key, ordinal=row.ordinal, chat=row.chat, reason=error.detail)
                row, in_doubt = await self._anew(row), False
            else:
                return _Shown(row.message_id, row.text, row.buttons)
        elif row.message_id:
            await channel.delete(row.chat, row.message_id)
            return _Shown(row.message_id, "")
        text = row.text if row.doubt_text is None else row.doubt_text
        age = timedelta(0) if row.doubt_at is None else self._clock.now() - row.doubt_at
        is_old = not timedelta(0) <= age <= self._nonce_window  # a clock that was set back tells no age
        is_wanted = bool(row.text or row.files)
        if in_doubt and (is_old or not is_wanted) and (found := await self._find(channel, row, text)):
            return _Shown(found, text)
        if not is_wanted:
            return _Shown("", "")  # withdrawn, and never made
        files = self._spool.outbound(row.files)
        message = OutboundMessage(row.chat, text, row.nonce, row.reply_to, row.buttons, files, is_repeat=in_doubt)
        message_id = await channel.send(message)
        # An earlier try may have made the message, with the buttons of that time.
        return _Shown(message_id, text, () if in_doubt else row.buttons)

    async def _anew(self, row: OutboxRow) -> OutboxRow:
        nonce, now = nonce_for(f"{row.key}.{row.message_id}", row.ordinal), self._clock.now()
        return await self._db.write(lambda c: store.begin_anew(c, self._tables, row.id, nonce=nonce, now=now))

    async def _find(self, channel: Channel, row: OutboxRow, text: str) -> MessageId | None:
        """Look for a message whose answer was lost, leaving out those that belong to other rows."""
        known = await self._db.read(lambda c: store.known_message_ids(c, self._tables, row.chat, _KNOWN_IDS))
        since = (row.doubt_at or row.created_at) - _CLOCK_SKEW
        found = await channel.find_sent(row.chat, text, since=since, not_among=known)
        if found is not None:
            _log.info("outbox.message_found", key=row.key, ordinal=row.ordinal, chat=row.chat, message=found)
        return found

    async def _settle(self, row: OutboxRow, shown: _Shown) -> None:
        now = self._clock.now()
        settled = await self._db.write(
            lambda c: store.settle_sent(
                c,
                self._tables,
                row.id,
                message_id=shown.message_id,
                text=shown.text,
                buttons=shown.buttons,
                now=now,
            )
        )
        self._spool.drop(row.files)
        self._tell([settled])

    async def _postpone(
        self, row: OutboxRow, reason: str, delay_s: float, *, refund: bool = False, clear_doubt: bool = False
    ) -> None:
        if row.attempts >= self._max_attempts and not refund:
            await self._end(row, "dead", f"given up after {row.attempts} tries: {reason}")
            return
        due = self._clock.now() + timedelta(seconds=delay_s)
        _log.debug(
            "outbox.try_postponed",
            key=row.key,
            ordinal=row.ordinal,
            chat=row.chat,
            delay_s=round(delay_s, 1),
            reason=reason,
        )
        await self._db.write(
            lambda c: store.settle_failed(
                c,
                self._tables,
                row.id,
                state="pending",
                reason=reason,
                next_try_at=due,
                refund=refund,
                clear_doubt=clear_doubt,
            )
        )

    async def _end(self, row: OutboxRow, state: Literal["failed", "dead"], reason: str) -> None:
        """Stop trying, where people see it: a refused message was not made, one given up may have been."""
        _log.warning(
            "outbox.message_buried", key=row.key, ordinal=row.ordinal, chat=row.chat, outcome=state, reason=reason
        )
        refused = state == "failed"
        ended = await self._db.write(
            lambda c: store.settle_failed(c, self._tables, row.id, state=state, reason=reason, clear_doubt=refused)
        )
        self._tell([ended])

    def _tell(self, rows: Iterable[OutboxRow]) -> None:
        for row in rows:
            if row.state == "pending":
                continue
            for waiter in self._waiters.get((row.key, row.ordinal), ()):
                if not waiter.done():
                    waiter.set_result(row)
