"""How published posts are doing."""

from alembic import op
from sqlalchemy import Column, String

from shared.storage import JsonValue, UtcTime

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "social_insight",
        Column("job_id", String(40), primary_key=True),
        Column("at", UtcTime, nullable=False),
        Column("figures", JsonValue, nullable=False),
    )
