"""The ledger names run, bucket and cost; budgets have counters and reservations."""

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, String

from shared.storage import BigId, UtcTime

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for column in (
        Column("tenant_group", String(31), nullable=False, server_default=""),
        Column("run_id", String(64), nullable=False, server_default=""),
        Column("bucket", String(40), nullable=False, server_default=""),
        Column("auth", String(16), nullable=False, server_default=""),
        Column("outcome", String(16), nullable=False, server_default=""),
        Column("cached_tokens", Integer, nullable=False, server_default="0"),
        Column("cost_micros", BigInteger, nullable=False, server_default="0"),
        Column("premium_micros", BigInteger, nullable=False, server_default="0"),
        Column("request_id", String(80), nullable=False, server_default=""),
    ):
        op.add_column("model_request", column)
    op.create_index("model_request_bucket_at", "model_request", ["bucket", "at"])
    op.create_table(
        "budget_counter",
        Column("name", String(40), primary_key=True),
        Column("scope", String(120), primary_key=True),
        Column("used", BigInteger, nullable=False),
        Column("reserved", BigInteger, nullable=False),
        Column("started_at", UtcTime, nullable=False),
        Column("ends_at", UtcTime, nullable=True),
    )
    op.create_table(
        "budget_reservation",
        Column("id", BigId, primary_key=True),
        Column("reservation", String(40), nullable=False),
        Column("name", String(40), nullable=False),
        Column("scope", String(120), nullable=False),
        Column("amount", BigInteger, nullable=False),
        Column("at", UtcTime, nullable=False),
    )
    op.create_index("budget_reservation_of", "budget_reservation", ["reservation"])
