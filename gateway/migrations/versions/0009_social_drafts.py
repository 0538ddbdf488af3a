"""Containers that an agent's curl made here."""

from alembic import op
from sqlalchemy import Column, String

from shared.storage import JsonValue, UtcTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "social_draft",
        Column("draft_id", String(20), primary_key=True),
        Column("tenant", String(31), nullable=False),
        Column("network", String(16), nullable=False),
        Column("form", JsonValue, nullable=False),
        Column("post_id", String(40), nullable=False),
        Column("created_at", UtcTime, nullable=False),
    )
