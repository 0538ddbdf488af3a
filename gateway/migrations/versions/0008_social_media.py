"""Files that the gateway serves to social networks."""

from alembic import op
from sqlalchemy import Column, Integer, String, Text

from shared.storage import UtcTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "social_media",
        Column("media_id", String(40), primary_key=True),
        Column("tenant", String(31), nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("name", Text, nullable=False),
        Column("extension", String(8), nullable=False),
        Column("size", Integer, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("fetches", Integer, nullable=False),
    )
