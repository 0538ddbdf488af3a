"""Statements of the inbox: what came in, what became of it, and the chats it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, case, delete, func, literal, or_, select, update

from shared.channels.base import Attachment, ChatId, InboundMessage, MessageId, Sender, age_order, platform_of
from shared.channels.schema import ChannelTables
from shared.storage import Also, insert_new, upsert

InboxState = Literal["new", "claimed", "context", "done", "ignored", "dead"]


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
    row = _row_of(connection, tables, message.chat, message.id)
    if row is None:
        return "unknown"
    was_background = row.attempts == 0 and row.state in ("context", "ignored", "done") and row.reason != TAKEN_BACK
    if row.state != "new" and not was_background:
        return "late"
    known = _item(row).message
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
    return None if row is None else _item(row)


def note_attachments(
    connection: Connection, tables: ChannelTables, chat: ChatId, message: MessageId, fates: Sequence[Attachment]
) -> InboundMessage | None:
    """Remember with a message what became of its files; returns it, None when it is unknown."""
    inbox = tables.inbox
    row = _row_of(connection, tables, chat, message)
    if row is None:
        return None
    known = _item(row).message
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
    items = [_item(row) for row in taken] + [_item(row, context=True) for row in along]
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
    counts: bool = True,
    also: Also | None = None,
) -> None:
    """Give messages a new state with its reason, and do `also`; the last try may be one that does not count."""
    values: dict[str, Any] = {"state": state, "reason": reason, "next_try_at": next_try_at}
    values["settled_at"] = now if state in ("done", "ignored", "dead") else None
    if run_id is not None:
        values["run_id"] = run_id
    if not counts:
        values["attempts"] = tables.inbox.c.attempts - 1
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


def in_state(connection: Connection, tables: ChannelTables, *, state: InboxState, limit: int) -> list[InboxItem]:
    """The newest messages in a state, oldest first."""
    inbox = tables.inbox
    rows = connection.execute(
        select(inbox).where(inbox.c.state == state).order_by(inbox.c.id.desc()).limit(limit)
    ).all()
    return [_item(row) for row in reversed(rows)]


def recent(connection: Connection, tables: ChannelTables, limit: int, *, chat: ChatId = "") -> list[InboxItem]:
    """The newest messages in any state, newest first."""
    inbox = tables.inbox
    query = select(inbox).order_by(inbox.c.id.desc()).limit(limit)
    if chat:
        query = query.where(inbox.c.chat == chat)
    return [_item(row) for row in connection.execute(query)]


def waiting(connection: Connection, tables: ChannelTables, chat: ChatId, limit: int) -> list[InboxItem]:
    """Messages of a chat that wait for an answer, oldest first."""
    inbox = tables.inbox
    rows = connection.execute(
        select(inbox).where(inbox.c.chat == chat, inbox.c.state == "new").order_by(inbox.c.id).limit(limit)
    ).all()
    return [_item(row) for row in rows]


def items_by_id(connection: Connection, tables: ChannelTables, ids: Sequence[int]) -> list[InboxItem]:
    """The messages of some ids that there are, oldest first."""
    inbox = tables.inbox
    rows = connection.execute(select(inbox).where(inbox.c.id.in_(list(ids))).order_by(inbox.c.id)).all()
    return [_item(row) for row in rows]


def item(connection: Connection, tables: ChannelTables, item_id: int) -> InboxItem | None:
    """One message."""
    row = connection.execute(select(tables.inbox).where(tables.inbox.c.id == item_id)).first()
    return None if row is None else _item(row)


def by_message(connection: Connection, tables: ChannelTables, chat: ChatId, message: MessageId) -> InboxItem | None:
    """The item of a platform's message."""
    row = _row_of(connection, tables, chat, message)
    return None if row is None else _item(row)


def revive(connection: Connection, tables: ChannelTables, item_id: int) -> InboxItem | None:
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
    return None if row is None else _item(row)


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


def counts(connection: Connection, tables: ChannelTables) -> dict[str, int]:
    """How many messages are in each state."""
    rows = connection.execute(select(tables.inbox.c.state, func.count()).group_by(tables.inbox.c.state)).all()
    return {state: count for state, count in rows}  # noqa: C416 - rows are not tuples to the type checker


def progress(connection: Connection, tables: ChannelTables) -> tuple[int, datetime | None]:
    """The newest message's number, and when the oldest one came that has no answer yet."""
    inbox = tables.inbox
    newest = connection.execute(select(func.max(inbox.c.id))).scalar_one()
    oldest = connection.execute(
        select(func.min(inbox.c.received_at)).where(inbox.c.state.in_(["new", "claimed"]))
    ).scalar_one()
    return newest or 0, oldest


def cursors(connection: Connection, tables: ChannelTables, platform: str) -> dict[ChatId, MessageId]:
    """Every known chat of a platform with the newest message stored of it."""
    rows = connection.execute(
        select(tables.chat.c.id, tables.chat.c.last_message_id).where(tables.chat.c.channel == platform)
    )
    return {row.id: row.last_message_id for row in rows}


def prune(connection: Connection, tables: ChannelTables, *, before: datetime) -> int:
    """Forget messages settled before a time, and background that came before it unused; dead ones stay."""
    inbox = tables.inbox
    is_settled = inbox.c.state.in_(["done", "ignored"]) & (inbox.c.settled_at < before)
    is_unused = (inbox.c.state == "context") & (inbox.c.received_at < before)
    result = connection.execute(delete(inbox).where(is_settled | is_unused))
    return result.rowcount


def _row_of(connection: Connection, tables: ChannelTables, chat: ChatId, message: MessageId) -> Row[Any] | None:
    inbox = tables.inbox
    query = select(inbox).where(inbox.c.channel == platform_of(chat), inbox.c.message_id == message)
    return connection.execute(query).first()


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


def _item(row: Row[Any], *, context: bool = False) -> InboxItem:
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
