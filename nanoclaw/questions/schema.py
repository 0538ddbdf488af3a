"""The table of questions."""

from __future__ import annotations

from sqlalchemy import Column, Index, MetaData, String, Table, Text

from shared.storage import JsonValue, UtcTime


def question_table(metadata: MetaData | None = None) -> Table:
    """One row a question, kept after it was closed so that a late press gets a fitting reply.

    As made by revision 0004; a later change gets a function of its own.
    """
    return Table(
        "question",
        MetaData() if metadata is None else metadata,
        Column("key", String(80), primary_key=True),
        Column("run_id", String(64), nullable=False),
        Column("folder", String(31), nullable=False),
        Column("chat", String(64), nullable=False),
        Column("text", Text, nullable=False),
        Column("options", JsonValue, nullable=False),
        Column("asked_by", JsonValue, nullable=False),
        Column("asked_at", UtcTime, nullable=False),
        Column("expires_at", UtcTime, nullable=False),
        Column("state", String(12), nullable=False),
        Column("answer", Text, nullable=False),
        Column("answered_by", Text, nullable=False),
        Index("question_asked_at", "asked_at"),
    )
