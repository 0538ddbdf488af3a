"""Statements of the outbox: what is to be sent, what the platform shows of it, and what could not be sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, literal, select, update

from shared.channels.base import Button, ChatId, MessageId
from shared.channels.schema import ChannelTables
from shared.channels.spool import SpooledFile
from shared.storage import Also, insert_new

OutboxState = Literal["pending", "sent", "failed", "dead"]


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
    if not (whole and rows(connection, tables, key)):
        for draft in drafts:
            insert_new(connection, tables.outbox, _values(key, draft, now))
    if also is not None:
        also(connection)
    return rows(connection, tables, key)


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
    existing = {row.ordinal: row for row in rows(connection, tables, key)}
    for draft in drafts:
        row = existing.pop(draft.ordinal, None)
        if row is None:
            insert_new(connection, outbox, _values(key, draft, now))
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
    return rows(connection, tables, key)


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
    return None if row is None else _row(row)


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
    return None if row is None else _row(row)


def begin_anew(connection: Connection, tables: ChannelTables, row_id: int, *, nonce: str, now: datetime) -> OutboxRow:
    """Note that a message that is gone from the platform is about to be made again, under another nonce."""
    outbox = tables.outbox
    values = {"message_id": "", "nonce": nonce, "doubt_at": now, "doubt_text": outbox.c.text}
    return _row(
        connection.execute(update(outbox).where(outbox.c.id == row_id).values(values).returning(*outbox.c)).one()
    )


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
    return _row(row)


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
    return _row(
        connection.execute(update(outbox).where(outbox.c.id == row_id).values(values).returning(*outbox.c)).one()
    )


def rows(connection: Connection, tables: ChannelTables, key: str) -> list[OutboxRow]:
    """The messages of a key, in order."""
    outbox = tables.outbox
    return [
        _row(row) for row in connection.execute(select(outbox).where(outbox.c.key == key).order_by(outbox.c.ordinal))
    ]


def in_state(
    connection: Connection, tables: ChannelTables, states: Sequence[OutboxState], limit: int
) -> list[OutboxRow]:
    """The newest messages in the states, oldest first."""
    outbox = tables.outbox
    rows = connection.execute(
        select(outbox).where(outbox.c.state.in_(list(states))).order_by(outbox.c.id.desc()).limit(limit)
    ).all()
    return [_row(row) for row in reversed(rows)]


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


def counts(connection: Connection, tables: ChannelTables) -> dict[str, int]:
    """How many messages are in each state."""
    rows = connection.execute(select(tables.outbox.c.state, func.count()).group_by(tables.outbox.c.state)).all()
    return {state: count for state, count in rows}  # noqa: C416 - rows are not tuples to the type checker


def progress(connection: Connection, tables: ChannelTables) -> tuple[int, int]:
    """The newest message's number, and how often those that are not sent yet were tried."""
    outbox = tables.outbox
    newest = connection.execute(select(func.max(outbox.c.id))).scalar_one()
    tries = connection.execute(select(func.sum(outbox.c.attempts)).where(outbox.c.state == "pending")).scalar_one()
    return newest or 0, tries or 0


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


def revive(connection: Connection, tables: ChannelTables, row_id: int) -> OutboxRow | None:
    """Make a failed or dead message pending again, with a fresh count of tries."""
    outbox = tables.outbox
    row = connection.execute(
        update(outbox)
        .where(outbox.c.id == row_id, outbox.c.state.in_(["failed", "dead"]))
        .values(state="pending", attempts=0, next_try_at=None, reason="requeued by the operator")
        .returning(*outbox.c)
    ).first()
    return None if row is None else _row(row)


def spooled(connection: Connection, tables: ChannelTables) -> frozenset[str]:
    """Names in the spool of the files that messages not made yet have."""
    outbox = tables.outbox
    rows = connection.scalars(select(outbox.c.files).where(outbox.c.state != "sent", outbox.c.message_id == ""))
    return frozenset(file["kept_as"] for files in rows for file in files)


def prune(connection: Connection, tables: ChannelTables, *, before: datetime) -> int:
    """Forget messages delivered before a time."""
    outbox = tables.outbox
    return connection.execute(delete(outbox).where(outbox.c.state == "sent", outbox.c.sent_at < before)).rowcount


def _buttons(buttons: tuple[Button, ...]) -> list[dict[str, str]]:
    return [asdict(button) for button in buttons]


def _values(key: str, draft: Draft, now: datetime) -> dict[str, Any]:
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


def _row(row: Row[Any]) -> OutboxRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    values["buttons"] = tuple(Button(**button) for button in values["buttons"])
    values["files"] = tuple(SpooledFile(**file) for file in values["files"])
    return OutboxRow(**values)
