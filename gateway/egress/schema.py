"""The table of web requests."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table, Text

from shared.storage import BigId, UtcTime


def request_table(metadata: MetaData | None = None) -> Table:
    """One row for every address an agent wanted, followed redirects and searches included; never a path or a query.

    As made by revision 0003; a later change gets a function of its own. `state` is ``open`` while the request runs;
    until it is settled, `bytes` is what it may take at most.
    """
    return Table(
        "egress_request",
        MetaData() if metadata is None else metadata,
        Column("id", BigId, primary_key=True, autoincrement=True),
        Column("at", UtcTime, nullable=False),
        Column("tenant", String(31), nullable=False),
        Column("tenant_group", String(31), nullable=False),
        Column("run_id", String(64), nullable=False),
        Column("kind", String(8), nullable=False),
        Column("host", String(253), nullable=False),
        Column("state", String(8), nullable=False),
        Column("decision", String(8), nullable=False),
        Column("reason", Text, nullable=False),
        Column("status", Integer, nullable=False),
        Column("bytes", BigInteger, nullable=False),
        Index("egress_request_run", "tenant", "tenant_group", "run_id"),
        Index("egress_request_at", "at"),
    )
