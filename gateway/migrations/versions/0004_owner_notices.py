"""What the owner is told in a chat."""

from alembic import op
from sqlalchemy import Column, String, Text

from shared.storage import UtcTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "owner_notice",
        Column("id", String(40), primary_key=True),
        Column("key", String(200), nullable=False, unique=True),
        Column("kind", String(32), nullable=False),
        Column("text", Text, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("state", String(12), nullable=False),
        Column("reason", String(300), nullable=False),
        Column("tenant", String(31), nullable=False),
        Column("chat", String(120), nullable=False),
        Column("settled_at", UtcTime, nullable=True),
    )
