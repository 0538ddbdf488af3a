"""Statements of the inbox and the outbox: plain functions over a connection, each one unit of work or part of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, case, delete, func, literal, or_, select, update

from shared.channels.base import Attachment, Button, ChatId, InboundMessage, MessageId, Sender, age_order
from shared.channels.schema import ChannelTables
from shared.channels.spool import SpooledFile
from shared.storage import insert_new, upsert

Also = Callable[[Connection], None]
"""More work for the same transaction, so that two facts become durable together."""

InboxState = Literal["new", "claimed", "context", "done", "ignored", "dead"]
OutboxState = Literal["pending", "sent", "failed", "dead"]


@dataclass(frozen=True, slots=True)
class InboxItem:
    """An inbound message with what became of it.

    Attributes:
        id: rises in the order of arrival; the order of answering within a chat.
        run_id: the run that first took it; a later try keeps it, so that its outbox keys stay the same.
        attempts: how often it was claimed.
        context: it did not ask for an answer itself, and comes along for the ones that did.
    """

    id: int
    message: InboundMessage
    state: InboxState
    reason: str
    run_id: str
    attempts: int
    received_at: datetime
    next_try_at: datetime | None
    context: bool = False


@dataclass(frozen=True, slots=True)
class OpenChat:
    """A chat with messages that wait for an answer.

    Attributes:
        due_at: when the earliest of them may be tried.
        first_id: inbox id of the oldest: chats are served in this order.
        parent: in a thread, the chat it belongs to.
    """

    chat: ChatId
    count: int
    first_id: int
    due_at: datetime
    parent: ChatId = ""


@dataclass(frozen=True, slots=True)
class SeenChat:
    """A chat that something was heard of, answered or not.

    Attributes:
        parent: in a thread, the chat it belongs to.
    """

    id: ChatId
    name: str
    kind: str
    parent: ChatId
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An outbound message with what became of it (see `schema` for the states)."""

    id: int
    key: str
    ordinal: int
    chat: ChatId
    text: str
    nonce: str
    buttons: tuple[Button, ...]
    reply_to: MessageId
    state: OutboxState
    reason: str
    message_id: MessageId
    attempts: int
    next_try_at: datetime | None
    doubt_at: datetime | None
    doubt_text: str | None
    created_at: datetime
    sent_at: datetime | None
    files: tuple[SpooledFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Draft:
    """One message about to be put into the outbox."""

    ordinal: int
    chat: ChatId
    text: str
    nonce: str
    reply_to: MessageId = ""
    buttons: tuple[Button, ...] = ()
    files: tuple[SpooledFile, ...] = ()


# --- inbox ---------------------------------------------------------------------------------------------------------


def append(
    connection: Connection,
    tables: ChannelTables,
    message: InboundMessage,
    *,
    state: InboxState,
    reason: str,
    now: datetime,
    also: Also | None = None,
) -> bool:
    """Store a message and move its chat's cursor; false when the message is known already, and then `also` is left.

    A scheduled prompt moves no cursor: its id is ours, and the platform would not understand it.
    """
    is_new = insert_new(
        connection,
        tables.inbox,
        {
            "channel": platform_of(message.chat),
            "chat": message.chat,
            "message_id": message.id,
            "sender_id": message.sender.id,
            "sender_name": message.sender.name,
            "is_bot": message.sender.is_bot,
            "text": message.text,
            "payload": _payload(message),
            "sent_at": message.sent_at,
            "received_at": now,
            "state": state,
            "reason": reason,
            "settled_at": now if state in ("ignored", "done", "dead") else None,
        },
    )
    if not message.task_run:
        _see_chat(connection, tables, message, now)
    if is_new and also is not None:
        also(connection)
    return is_new


def _see_chat(connection: Connection, tables: ChannelTables, message: InboundMessage, now: datetime) -> None:
    chat = tables.chat
    row = connection.execute(
        select(chat.c.last_message_id, chat.c.first_seen_at).where(chat.c.id == message.chat)
    ).first()
    newest = message.id if row is None else max(row.last_message_id, message.id, key=age_order)
    upsert(
        connection,
        chat,
        {
            "id": message.chat,
            "channel": platform_of(message.chat),
            "name": message.chat_name,
            "kind": message.chat_kind,
            "guild": message.guild,
            "parent": message.parent,
            "last_message_id": newest,
            "first_seen_at": now if row is None else row.first_seen_at,
            "last_seen_at": now,
        },
        key=["id"],
    )


TAKEN_BACK = "taken back by its author"


def edit(
    connection: Connection, tables: ChannelTables, message: InboundMessage, *, wanted: InboxState, reason: str
) -> Literal["unknown", "late", "updated", "opened"]:
    """Let a stored message read as its author changed it, as long as nobody answers or answered it.

    What already waits for an answer goes on waiting. What was only background is opened when it is to be answered
    now (``opened``), even when an agent has seen it as background. Stored files are kept.
    """
    inbox = tables.inbox
    row = connection.execute(
        select(inbox).where(inbox.c.channel == platform_of(message.chat), inbox.c.message_id == message.id)
    ).first()
    if row is None:
        return "unknown"
    was_background = row.attempts == 0 and row.state in ("context", "ignored", "done") and row.reason != TAKEN_BACK
    if row.state != "new" and not was_background:
        return "late"
    known = _inbox_item(row).message
    message = replace(
        message,
        reply_to=message.reply_to or known.reply_to,
        reply_to_sender=message.reply_to_sender or known.reply_to_sender,
        attachments=_with_fates(message.attachments, known.attachments),
        task_run=known.task_run,
    )
    values: dict[str, Any] = {"text": message.text, "payload": _payload(message)}
    is_news = row.text != message.text or (message.addressed and not known.addressed)
    opens = was_background and wanted == "new" and is_news
    if opens:
        values |= {"state": "new", "reason": reason, "run_id": "", "settled_at": None, "next_try_at": None}
    elif row.state == "done":
        return "late"
    connection.execute(update(inbox).where(inbox.c.id == row.id).values(values))
    return "opened" if opens else "updated"


def take_back(
    connection: Connection, tables: ChannelTables, chat: ChatId, message: MessageId, *, now: datetime
) -> InboxItem | None:
    """Let nobody answer or see a message its author deleted; None when it is unknown, being answered, or was."""
    inbox = tables.inbox
    row = connection.execute(
        update(inbox)
        .where(
            inbox.c.channel == platform_of(chat),
            inbox.c.message_id == message,
            inbox.c.state.in_(["new", "context", "ignored"]),
        )
        .values(state="ignored", reason=TAKEN_BACK, next_try_at=None, settled_at=now)
        .returning(*inbox.c)
    ).first()
    return None if row is None else _inbox_item(row)


def note_attachments(
    connection: Connection, tables: ChannelTables, chat: ChatId, message: MessageId, fates: Sequence[Attachment]
) -> InboundMessage | None:
    """Remember with a message what became of its files; returns it, None when it is unknown."""
    inbox = tables.inbox
    row = connection.execute(
        select(inbox).where(inbox.c.channel == platform_of(chat), inbox.c.message_id == message)
    ).first()
    if row is None:
        return None
    known = _inbox_item(row).message
    noted = replace(known, attachments=_with_fates(known.attachments, fates))
    connection.execute(update(inbox).where(inbox.c.id == row.id).values(payload=_payload(noted)))
    return noted


def _with_fates(attachments: Sequence[Attachment], fates: Sequence[Attachment]) -> tuple[Attachment, ...]:
    """The attachments with the path or the problem that is known of each."""
    known = {fate.id: fate for fate in fates}
    return tuple(
        replace(item, path=fate.path, problem=fate.problem) if (fate := known.get(item.id)) else item
        for item in attachments
    )


def claim(
    connection: Connection,
    tables: ChannelTables,
    chat: ChatId,
    *,
    run_id: str,
    now: datetime,
    context_limit: int,
    even_if_early: bool = False,
) -> list[InboxItem]:
    """Take the first batch that is open in a chat, oldest first; nothing when none of the chat is due.

    A batch is one scheduled prompt alone, or all that people wrote up to the next scheduled prompt.
    """
    inbox = tables.inbox
    batch = _first_batch(connection, tables, chat, now, even_if_early=even_if_early)
    if batch is None:
        return []
    if batch.is_prompt:
        context_limit = 0
    context = connection.scalars(
        select(inbox.c.id)
        .where(inbox.c.chat == chat, inbox.c.state == "context", inbox.c.id < batch.last)
        .order_by(inbox.c.id.desc())
        .limit(context_limit)
    ).all()
    taken = connection.execute(
        update(inbox)
        .where(inbox.c.chat == chat, inbox.c.state == "new", inbox.c.id <= batch.last)
        .values(
            state="claimed",
            attempts=inbox.c.attempts + 1,
            next_try_at=None,
            run_id=func.coalesce(func.nullif(inbox.c.run_id, ""), run_id),
        )
        .returning(*inbox.c)
    ).all()
    along = connection.execute(select(inbox).where(inbox.c.id.in_(context))).all() if context else []
    items = [_inbox_item(row) for row in taken] + [_inbox_item(row, context=True) for row in along]
    return sorted(items, key=lambda item: item.id)


@dataclass(frozen=True, slots=True)
class _Batch:
    last: int
    is_prompt: bool


def _first_batch(
    connection: Connection, tables: ChannelTables, chat: ChatId, now: datetime, *, even_if_early: bool
) -> _Batch | None:
    """Where the first open batch of a chat ends; nothing when none of the chat is due."""
    inbox = tables.inbox
    is_due = or_(inbox.c.next_try_at.is_(None), inbox.c.next_try_at <= now, literal(even_if_early))
    is_prompt = _is_prompt(tables)
    is_open = (inbox.c.chat == chat) & (inbox.c.state == "new")
    first, due, prompt = connection.execute(
        select(
            func.min(inbox.c.id), func.max(case((is_due, inbox.c.id))), func.min(case((is_prompt, inbox.c.id)))
        ).where(is_open)
    ).one()
    if due is None:
        return None
    if prompt == first:
        return _Batch(first, is_prompt=True)
    before = is_open if prompt is None else is_open & (inbox.c.id < prompt)
    return _Batch(connection.execute(select(func.max(inbox.c.id)).where(before)).scalar_one(), is_prompt=False)


def is_open(connection: Connection, tables: ChannelTables, chat: ChatId) -> bool:
    """Something in a chat waits for an answer, now or later."""
    inbox = tables.inbox
    query = select(inbox.c.id).where(inbox.c.chat == chat, inbox.c.state == "new").limit(1)
    return connection.execute(query).first() is not None


def settle(
    connection: Connection,
    tables: ChannelTables,
    ids: Sequence[int],
    *,
    state: InboxState,
    reason: str,
    now: datetime,
    run_id: str | None = None,
    next_try_at: datetime | None = None,
    also: Also | None = None,
) -> None:
    """Give messages a new state with its reason, and do `also`."""
    values: dict[str, Any] = {"state": state, "reason": reason, "next_try_at": next_try_at}
    values["settled_at"] = now if state in ("done", "ignored", "dead") else None
    if run_id is not None:
        values["run_id"] = run_id
    connection.execute(update(tables.inbox).where(tables.inbox.c.id.in_(list(ids))).values(values))
    if also is not None:
        also(connection)


def use_context(
    connection: Connection, tables: ChannelTables, chat: ChatId, *, up_to: int, run_id: str, now: datetime
) -> None:
    """Mark a chat's context as used by a run: it will not come along again."""
    inbox = tables.inbox
    connection.execute(
        update(inbox)
        .where(inbox.c.chat == chat, inbox.c.state == "context", inbox.c.id < up_to)
        .values(state="done", run_id=run_id, settled_at=now)
    )


def reset_claims(connection: Connection, tables: ChannelTables, *, reason: str, keep: Sequence[int] = ()) -> int:
    """Open again what a process that is gone had taken, but for the ids in `keep`; returns how many."""
    inbox = tables.inbox
    result = connection.execute(
        update(inbox)
        .where(inbox.c.state == "claimed", inbox.c.id.not_in(list(keep)))
        .values(state="new", reason=reason, next_try_at=None)
    )
    return result.rowcount


def give_back(connection: Connection, tables: ChannelTables, ids: Sequence[int], *, reason: str) -> None:
    """Open claimed messages again as if they had not been taken: the try does not count."""
    inbox = tables.inbox
    connection.execute(
        update(inbox)
        .where(inbox.c.id.in_(list(ids)), inbox.c.state == "claimed")
        .values(state="new", attempts=inbox.c.attempts - 1, reason=reason, next_try_at=None)
    )


def stop(
    connection: Connection,
    tables: ChannelTables,
    chats: Sequence[ChatId],
    *,
    states: Sequence[InboxState],
    reason: str,
    now: datetime,
) -> None:
    """Settle all messages of some chats that are in one of the states; a prompt nobody had begun is ignored."""
    inbox = tables.inbox
    is_withdrawn = (inbox.c.state == "new") & (inbox.c.attempts == 0) & _is_prompt(tables)
    connection.execute(
        update(inbox)
        .where(inbox.c.chat.in_(list(chats)), inbox.c.state.in_(list(states)))
        .values(state=case((is_withdrawn, "ignored"), else_="done"), reason=reason, next_try_at=None, settled_at=now)
    )


def _is_prompt(tables: ChannelTables) -> ColumnElement[bool]:
    return func.coalesce(tables.inbox.c.payload["task_run"].as_string(), "") != ""


def count_waiting(connection: Connection, tables: ChannelTables, chat: ChatId) -> int:
    """Messages of a chat that nobody has taken yet."""
    inbox = tables.inbox
    query = select(func.count()).where(inbox.c.chat == chat, inbox.c.state == "new")
    return connection.execute(query).scalar_one()


def open_chats(connection: Connection, tables: ChannelTables) -> list[OpenChat]:
    """Chats with unclaimed messages, the longest waiting first."""
    inbox, chat = tables.inbox, tables.chat
    first = func.min(inbox.c.id)
    due = func.min(func.coalesce(inbox.c.next_try_at, inbox.c.received_at))
    rows = connection.execute(
        select(inbox.c.chat, func.count(), first, due, func.coalesce(chat.c.parent, ""))
        .join(chat, chat.c.id == inbox.c.chat, isouter=True)
        .where(inbox.c.state == "new")
        .group_by(inbox.c.chat, chat.c.parent)
        .order_by(first)
    ).all()
    return [OpenChat(*row) for row in rows]


def inbox_items(connection: Connection, tables: ChannelTables, *, state: InboxState, limit: int) -> list[InboxItem]:
    """The newest messages in a state, oldest first."""
    inbox = tables.inbox
    rows = connection.execute(
        select(inbox).where(inbox.c.state == state).order_by(inbox.c.id.desc()).limit(limit)
    ).all()
    return [_inbox_item(row) for row in reversed(rows)]


def recent(connection: Connection, tables: ChannelTables, limit: int, *, chat: ChatId = "") -> list[InboxItem]:
    """The newest messages in any state, newest first."""
    inbox = tables.inbox
    query = select(inbox).order_by(inbox.c.id.desc()).limit(limit)
    if chat:
        query = query.where(inbox.c.chat == chat)
    return [_inbox_item(row) for row in connection.execute(query)]


def waiting(connection: Connection, tables: ChannelTables, chat: ChatId, limit: int) -> list[InboxItem]:
    """Messages of a chat that wait for an answer, oldest first."""
    inbox = tables.inbox
    rows = connection.execute(
        select(inbox).where(inbox.c.chat == chat, inbox.c.state == "new").order_by(inbox.c.id).limit(limit)
    ).all()
    return [_inbox_item(row) for row in rows]


def inbox_items_by_id(connection: Connection, tables: ChannelTables, ids: Sequence[int]) -> list[InboxItem]:
    """The messages of some ids that there are, oldest first."""
    inbox = tables.inbox
    rows = connection.execute(select(inbox).where(inbox.c.id.in_(list(ids))).order_by(inbox.c.id)).all()
    return [_inbox_item(row) for row in rows]


def inbox_item(connection: Connection, tables: ChannelTables, item_id: int) -> InboxItem | None:
    """One message."""
    row = connection.execute(select(tables.inbox).where(tables.inbox.c.id == item_id)).first()
    return None if row is None else _inbox_item(row)


def inbox_by_message(
    connection: Connection, tables: ChannelTables, chat: ChatId, message: MessageId
) -> InboxItem | None:
    """The item of a platform's message."""
    inbox = tables.inbox
    row = connection.execute(
        select(inbox).where(inbox.c.channel == platform_of(chat), inbox.c.message_id == message)
    ).first()
    return None if row is None else _inbox_item(row)


def revive_inbox(connection: Connection, tables: ChannelTables, item_id: int) -> InboxItem | None:
    """Open a dead message again, with a fresh count of tries and no run."""
    inbox = tables.inbox
    row = connection.execute(
        update(inbox)
        .where(inbox.c.id == item_id, inbox.c.state == "dead")
        .values(
            state="new", attempts=0, run_id="", reason="requeued by the operator", next_try_at=None, settled_at=None
        )
        .returning(*inbox.c)
    ).first()
    return None if row is None else _inbox_item(row)


def has_open_run(connection: Connection, tables: ChannelTables, run_id: str) -> bool:
    """Whether any message of a run waits to be answered or is being answered."""
    inbox = tables.inbox
    is_open = (inbox.c.run_id == run_id) & inbox.c.state.in_(["new", "claimed"])
    return connection.execute(select(inbox.c.id).where(is_open).limit(1)).first() is not None


def seen_chats(connection: Connection, tables: ChannelTables, limit: int) -> list[SeenChat]:
    """Known chats, the most recently heard ones first."""
    chat = tables.chat
    columns = (chat.c.id, chat.c.name, chat.c.kind, chat.c.parent, chat.c.last_seen_at)
    rows = connection.execute(select(*columns).order_by(chat.c.last_seen_at.desc(), chat.c.id).limit(limit))
    return [SeenChat(*row) for row in rows]


def count_inbox(connection: Connection, tables: ChannelTables) -> dict[str, int]:
    """How many messages are in each state."""
    rows = connection.execute(select(tables.inbox.c.state, func.count()).group_by(tables.inbox.c.state)).all()
    return {state: count for state, count in rows}  # noqa: C416 - rows are not tuples to the type checker


def inbox_progress(connection: Connection, tables: ChannelTables) -> tuple[int, datetime | None]:
    """The newest message's number, and when the oldest one came that has no answer yet."""
    inbox = tables.inbox
    newest = connection.execute(select(func.max(inbox.c.id))).scalar_one()
    oldest = connection.execute(
        select(func.min(inbox.c.received_at)).where(inbox.c.state.in_(["new", "claimed"]))
    ).scalar_one()
    return newest or 0, oldest


def outbox_progress(connection: Connection, tables: ChannelTables) -> tuple[int, int]:
    """The newest message's number, and how often those that are not sent yet were tried."""
    outbox = tables.outbox
    newest = connection.execute(select(func.max(outbox.c.id))).scalar_one()
    tries = connection.execute(select(func.sum(outbox.c.attempts)).where(outbox.c.state == "pending")).scalar_one()
    return newest or 0, tries or 0


def cursors(connection: Connection, tables: ChannelTables, platform: str) -> dict[ChatId, MessageId]:
    """Every known chat of a platform with the newest message stored of it."""
    rows = connection.execute(
        select(tables.chat.c.id, tables.chat.c.last_message_id).where(tables.chat.c.channel == platform)
    )
    return {row.id: row.last_message_id for row in rows}


def prune_inbox(connection: Connection, tables: ChannelTables, *, before: datetime) -> int:
    """Forget messages settled before a time; dead ones stay."""
    inbox = tables.inbox
    result = connection.execute(
        delete(inbox).where(inbox.c.state.in_(["done", "ignored"]), inbox.c.settled_at < before)
    )
    return result.rowcount


# --- outbox --------------------------------------------------------------------------------------------------------


def put(
    connection: Connection,
    tables: ChannelTables,
    key: str,
    drafts: Iterable[Draft],
    *,
    whole: bool,
    now: datetime,
    also: Also | None = None,
) -> list[OutboxRow]:
    """Store messages under a key, and do `also`; a message that is there already stays as it is.

    With `whole` the drafts are all the messages of the key: when it has some already, they are another telling of the
    same answer, and nothing is added.
    """
    if not (whole and outbox_rows(connection, tables, key)):
        for draft in drafts:
            insert_new(connection, tables.outbox, _outbox_values(key, draft, now))
    if also is not None:
        also(connection)
    return outbox_rows(connection, tables, key)


def rewrite(
    connection: Connection,
    tables: ChannelTables,
    key: str,
    drafts: Sequence[Draft],
    *,
    shown: Mapping[int, str],
    now: datetime,
    also: Also | None = None,
) -> list[OutboxRow]:
    """Make the messages of a key read like `drafts`: new ones are added, others edited, superfluous ones deleted.

    Args:
        connection: inside a write transaction.
        tables: where the rows are.
        key: whose messages.
        drafts: the final parts, in order.
        shown: text each ordinal is known to show on the platform now; equal text needs no edit.
        now: when.
        also: further work for the transaction.
    """
    outbox = tables.outbox
    existing = {row.ordinal: row for row in outbox_rows(connection, tables, key)}
    for draft in drafts:
        row = existing.pop(draft.ordinal, None)
        if row is None:
            insert_new(connection, outbox, _outbox_values(key, draft, now))
        elif row.state in ("pending", "sent"):
            settled = bool(row.message_id) and row.buttons == draft.buttons and shown.get(draft.ordinal) == draft.text
            _change(
                connection,
                tables,
                row.id,
                text=draft.text,
                buttons=_buttons(draft.buttons),
                state="sent" if settled else "pending",
            )
    for row in existing.values():
        if row.message_id or (row.state == "pending" and row.doubt_at is not None):
            _change(connection, tables, row.id, text="", buttons=[], files=[], state="pending")
        elif row.state == "pending":
            # Nobody saw it and nobody misses it: that is no dead letter.
            gone = {"text": "", "buttons": [], "state": "sent", "sent_at": now}
            _change(connection, tables, row.id, reason="withdrawn before it was sent", **gone)
    if also is not None:
        also(connection)
    return outbox_rows(connection, tables, key)


def _change(connection: Connection, tables: ChannelTables, row_id: int, **values: object) -> None:
    if values.get("state") == "pending":
        values |= {"next_try_at": None, "attempts": 0}
    connection.execute(update(tables.outbox).where(tables.outbox.c.id == row_id).values(values))


def head(connection: Connection, tables: ChannelTables, chat: ChatId) -> OutboxRow | None:
    """The message of a chat that has to go next."""
    outbox = tables.outbox
    row = connection.execute(
        select(outbox).where(outbox.c.state == "pending", outbox.c.chat == chat).order_by(outbox.c.id).limit(1)
    ).first()
    return None if row is None else _outbox_row(row)


def begin_try(connection: Connection, tables: ChannelTables, row_id: int, *, now: datetime) -> OutboxRow | None:
    """Note that a try begins: from here until it is settled the outcome is in doubt."""
    outbox = tables.outbox
    row = connection.execute(
        update(outbox)
        .where(outbox.c.id == row_id, outbox.c.state == "pending")
        .values(
            attempts=outbox.c.attempts + 1,
            doubt_at=func.coalesce(outbox.c.doubt_at, literal(now, outbox.c.doubt_at.type)),
            doubt_text=func.coalesce(outbox.c.doubt_text, outbox.c.text),
        )
        .returning(*outbox.c)
    ).first()
    return None if row is None else _outbox_row(row)


def settle_sent(
    connection: Connection,
    tables: ChannelTables,
    row_id: int,
    *,
    message_id: MessageId,
    text: str,
    buttons: tuple[Button, ...],
    now: datetime,
) -> OutboxRow:
    """Note what the platform shows as `message_id`; the row stays pending when it asks for something else by now."""
    outbox = tables.outbox
    wanted = connection.execute(select(outbox.c.text, outbox.c.buttons).where(outbox.c.id == row_id)).one()
    is_as_wanted = wanted.text == text and (not text or wanted.buttons == _buttons(buttons))
    row = connection.execute(
        update(outbox)
        .where(outbox.c.id == row_id)
        .values(
            message_id=message_id,
            sent_at=now,
            state="sent" if is_as_wanted else "pending",
            reason="",
            attempts=0,
            next_try_at=None,
            doubt_at=None,
            doubt_text=None,
        )
        .returning(*outbox.c)
    ).one()
    return _outbox_row(row)


def settle_failed(
    connection: Connection,
    tables: ChannelTables,
    row_id: int,
    *,
    state: OutboxState,
    reason: str,
    next_try_at: datetime | None = None,
    clear_doubt: bool = False,
    refund: bool = False,
) -> OutboxRow:
    """Note a try that did not work.

    Args:
        connection: inside a write transaction.
        tables: where the row is.
        row_id: which.
        state: ``pending`` to try again, ``failed`` or ``dead`` for good.
        reason: for people.
        next_try_at: when to try again.
        clear_doubt: the platform is known not to have made the message.
        refund: the try does not count.
    """
    outbox = tables.outbox
    values: dict[str, Any] = {"state": state, "reason": reason, "next_try_at": next_try_at}
    if clear_doubt:
        values |= {"doubt_at": None, "doubt_text": None}
    if refund:
        values["attempts"] = outbox.c.attempts - 1
    return _outbox_row(
        connection.execute(update(outbox).where(outbox.c.id == row_id).values(values).returning(*outbox.c)).one()
    )


def outbox_rows(connection: Connection, tables: ChannelTables, key: str) -> list[OutboxRow]:
    """The messages of a key, in order."""
    outbox = tables.outbox
    return [
        _outbox_row(row)
        for row in connection.execute(select(outbox).where(outbox.c.key == key).order_by(outbox.c.ordinal))
    ]


def outbox_in_state(
    connection: Connection, tables: ChannelTables, states: Sequence[OutboxState], limit: int
) -> list[OutboxRow]:
    """The newest messages in the states, oldest first."""
    outbox = tables.outbox
    rows = connection.execute(
        select(outbox).where(outbox.c.state.in_(list(states))).order_by(outbox.c.id.desc()).limit(limit)
    ).all()
    return [_outbox_row(row) for row in reversed(rows)]


def shown_keys(connection: Connection, tables: ChannelTables, prefix: str) -> list[str]:
    """Keys with a prefix of which something is shown or is still to be sent."""
    outbox = tables.outbox
    query = (
        select(outbox.c.key)
        .where(outbox.c.key.startswith(prefix, autoescape=True), outbox.c.state.in_(["pending", "sent"]))
        .where(outbox.c.text != "")
        .distinct()
    )
    return list(connection.scalars(query))


def pending_chats(connection: Connection, tables: ChannelTables) -> list[ChatId]:
    """Chats with something to send."""
    outbox = tables.outbox
    return list(connection.scalars(select(outbox.c.chat).where(outbox.c.state == "pending").distinct()))


def count_outbox(connection: Connection, tables: ChannelTables) -> dict[str, int]:
    """How many messages are in each state."""
    rows = connection.execute(select(tables.outbox.c.state, func.count()).group_by(tables.outbox.c.state)).all()
    return {state: count for state, count in rows}  # noqa: C416 - rows are not tuples to the type checker


def known_message_ids(connection: Connection, tables: ChannelTables, chat: ChatId, limit: int) -> frozenset[MessageId]:
    """Ids of the messages of ours that we know of in a chat, the newest ones."""
    outbox = tables.outbox
    return frozenset(
        connection.scalars(
            select(outbox.c.message_id)
            .where(outbox.c.chat == chat, outbox.c.message_id != "")
            .order_by(outbox.c.id.desc())
            .limit(limit)
        )
    )


def revive_outbox(connection: Connection, tables: ChannelTables, row_id: int) -> OutboxRow | None:
    """Make a failed or dead message pending again, with a fresh count of tries."""
    outbox = tables.outbox
    row = connection.execute(
        update(outbox)
        .where(outbox.c.id == row_id, outbox.c.state.in_(["failed", "dead"]))
        .values(state="pending", attempts=0, next_try_at=None, reason="requeued by the operator")
        .returning(*outbox.c)
    ).first()
    return None if row is None else _outbox_row(row)


def spooled(connection: Connection, tables: ChannelTables) -> frozenset[str]:
    """Names in the spool of the files that messages not made yet have."""
    outbox = tables.outbox
    rows = connection.scalars(select(outbox.c.files).where(outbox.c.state != "sent", outbox.c.message_id == ""))
    return frozenset(file["kept_as"] for files in rows for file in files)


def prune_outbox(connection: Connection, tables: ChannelTables, *, before: datetime) -> int:
    """Forget messages delivered before a time."""
    outbox = tables.outbox
    return connection.execute(delete(outbox).where(outbox.c.state == "sent", outbox.c.sent_at < before)).rowcount


# --- marks ---------------------------------------------------------------------------------------------------------


def get_mark(connection: Connection, tables: ChannelTables, name: str) -> str:
    """A stored fact, empty when there is none."""
    return connection.execute(select(tables.mark.c.value).where(tables.mark.c.name == name)).scalar() or ""


def put_mark(connection: Connection, tables: ChannelTables, name: str, value: str) -> None:
    """Store a fact."""
    upsert(connection, tables.mark, {"name": name, "value": value}, key=["name"])


# --- rows and values -----------------------------------------------------------------------------------------------


def platform_of(chat: ChatId) -> str:
    """The platform's prefix of a chat address: ``dc`` of ``dc:123``."""
    return chat.partition(":")[0]


def _payload(message: InboundMessage) -> dict[str, Any]:
    return {
        "chat_name": message.chat_name,
        "chat_kind": message.chat_kind,
        "addressed": message.addressed,
        "guild": message.guild,
        "parent": message.parent,
        "reply_to": message.reply_to,
        "reply_to_sender": message.reply_to_sender,
        "attachments": [asdict(attachment) for attachment in message.attachments],
        "task_run": message.task_run,
        "parent_name": message.parent_name,
        "notice": message.notice,
        "sender_roles": list(message.sender.roles),
    }


def _inbox_item(row: Row[Any], *, context: bool = False) -> InboxItem:
    payload = dict(row.payload)
    attachments = tuple(Attachment(**attachment) for attachment in payload.pop("attachments"))
    roles = tuple(payload.pop("sender_roles", ()))  # absent in rows of earlier versions
    message = InboundMessage(
        chat=row.chat,
        id=row.message_id,
        sender=Sender(row.sender_id, row.sender_name, is_bot=row.is_bot, roles=roles),
        text=row.text,
        sent_at=row.sent_at,
        attachments=attachments,
        **payload,
    )
    return InboxItem(
        id=row.id,
        message=message,
        state=row.state,
        reason=row.reason,
        run_id=row.run_id,
        attempts=row.attempts,
        received_at=row.received_at,
        next_try_at=row.next_try_at,
        context=context,
    )


def _buttons(buttons: tuple[Button, ...]) -> list[dict[str, str]]:
    return [asdict(button) for button in buttons]


def _outbox_values(key: str, draft: Draft, now: datetime) -> dict[str, Any]:
    return {
        "key": key,
        "ordinal": draft.ordinal,
        "chat": draft.chat,
        "text": draft.text,
        "nonce": draft.nonce,
        "buttons": _buttons(draft.buttons),
        "reply_to": draft.reply_to,
        "files": [asdict(file) for file in draft.files],
        "state": "pending",
        "created_at": now,
    }


def _outbox_row(row: Row[Any]) -> OutboxRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    values["buttons"] = tuple(Button(**button) for button in values["buttons"])
    values["files"] = tuple(SpooledFile(**file) for file in values["files"])
    return OutboxRow(**values)
