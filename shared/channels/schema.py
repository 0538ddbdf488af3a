"""Tables for what came in and what goes out; every tenant's database has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint, false

from shared.storage import BigId, JsonValue, UtcTime


@dataclass(frozen=True, slots=True)
class ChannelTables:
    """The tables as SQLAlchemy knows them.

    Attributes:
        inbox: one row an inbound message, kept after it was dealt with.
        outbox: one row an outbound message, written before it is sent.
        chat: every chat ever seen, with the newest message stored of it.
        mark: small facts that must outlive the process, such as the hash of uploaded commands.
    """

    inbox: Table
    outbox: Table
    chat: Table
    mark: Table


def channel_tables(metadata: MetaData | None = None) -> ChannelTables:
    """Declare the tables in a tenant's metadata, or in one of their own."""
    tables = _revision_1(MetaData() if metadata is None else metadata)
    tables.outbox.append_column(_files())
    return tables


def create_channel_tables(op: Any) -> None:  # noqa: ANN401 - alembic's operations proxy has no public type
    """Create the tables inside a tenant's migration 0001.

    The layout made here is frozen: a later change gets a function of its own, which the tenants call from
    their next revision, so that an old database and a new one end up the same.
    """
    tables = _revision_1(MetaData())
    bind = op.get_bind()
    for table in (tables.chat, tables.inbox, tables.outbox, tables.mark):
        table.create(bind)


def add_outbox_files(op: Any) -> None:  # noqa: ANN401 - alembic's operations proxy has no public type
    """Let outbound messages carry files, inside a tenant's migration 0002; frozen as well."""
    op.add_column("outbox", _files())


def _files() -> Column[Any]:
    """Copies in the tenant's spool that go out with the message."""
    return Column("files", JsonValue, nullable=False, server_default="[]")


def _revision_1(metadata: MetaData) -> ChannelTables:
    return ChannelTables(inbox=_inbox(metadata), outbox=_outbox(metadata), chat=_chat(metadata), mark=_mark(metadata))


def _inbox(metadata: MetaData) -> Table:
    """States: new → claimed → done | ignored | dead; `context` waits to be taken along by the next claim."""
    return Table(
        "inbox",
        metadata,
        Column("id", BigId, primary_key=True, autoincrement=True),
        Column("channel", String(16), nullable=False),
        Column("chat", String(64), nullable=False),
        Column("message_id", String(64), nullable=False),
        Column("sender_id", String(64), nullable=False),
        Column("sender_name", Text, nullable=False),
        Column("is_bot", Boolean, nullable=False, server_default=false()),
        Column("text", Text, nullable=False),
        Column("payload", JsonValue, nullable=False),
        Column("sent_at", UtcTime, nullable=False),
        Column("received_at", UtcTime, nullable=False),
        Column("state", String(8), nullable=False),
        Column("reason", Text, nullable=False, server_default=""),
        Column("run_id", String(64), nullable=False, server_default=""),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("next_try_at", UtcTime),
        Column("settled_at", UtcTime),
        UniqueConstraint("channel", "message_id", name="inbox_message"),
        Index("inbox_chat_state", "chat", "state", "id"),
        Index("inbox_state", "state", "id"),
    )


def _outbox(metadata: MetaData) -> Table:
    """States: pending → sent | failed (refused) | dead (given up).

    A pending row without `message_id` is to be sent; with one it is to be edited, or deleted when it has neither text
    nor files.
    `doubt_at` and `doubt_text` say that a send began whose answer we never got.
    """
    return Table(
        "outbox",
        metadata,
        Column("id", BigId, primary_key=True, autoincrement=True),
        Column("key", String(128), nullable=False),
        Column("ordinal", Integer, nullable=False),
        Column("chat", String(64), nullable=False),
        Column("text", Text, nullable=False),
        Column("nonce", String(25), nullable=False),
        Column("buttons", JsonValue, nullable=False),
        Column("reply_to", String(64), nullable=False, server_default=""),
        Column("state", String(8), nullable=False),
        Column("reason", Text, nullable=False, server_default=""),
        Column("message_id", String(64), nullable=False, server_default=""),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("next_try_at", UtcTime),
        Column("doubt_at", UtcTime),
        Column("doubt_text", Text),
        Column("created_at", UtcTime, nullable=False),
        Column("sent_at", UtcTime),
        UniqueConstraint("key", "ordinal", name="outbox_key"),
        Index("outbox_state_chat", "state", "chat", "id"),
        Index("outbox_chat_message", "chat", "message_id"),
    )


def _chat(metadata: MetaData) -> Table:
    return Table(
        "chat",
        metadata,
        Column("id", String(64), primary_key=True),
        Column("channel", String(16), nullable=False),
        Column("name", Text, nullable=False),
        Column("kind", String(8), nullable=False),
        Column("guild", String(64), nullable=False, server_default=""),
        Column("parent", String(64), nullable=False, server_default=""),
        Column("last_message_id", String(64), nullable=False),
        Column("first_seen_at", UtcTime, nullable=False),
        Column("last_seen_at", UtcTime, nullable=False),
    )


def _mark(metadata: MetaData) -> Table:
    return Table(
        "mark",
        metadata,
        Column("name", String(128), primary_key=True),
        Column("value", Text, nullable=False),
    )
