"""What each group's agent was asked last, so that a restarted tenant hears a running answer out."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, String

from shared.storage import JsonValue, UtcTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "asking",
        Column("folder", String(31), primary_key=True),
        Column("is_isolated", Boolean, primary_key=True),
        Column("run_id", String(64), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("chat", String(64), nullable=False),
        Column("asked", JsonValue, nullable=False),
        Column("context", JsonValue, nullable=False),
        Column("claims", Integer, nullable=False),
        Column("worker_id", String(64), nullable=False),
        Column("prompt_id", String(36), nullable=False),
        Column("line", BigInteger, nullable=False),
        Column("spent_usd", Float, nullable=True),
        Column("began_at", UtcTime, nullable=False),
        Column("resumes", Integer, nullable=False),
    )
