"""Sessions carry what clients set for them; what runs used is kept beside them."""

import sqlalchemy as sa
from alembic import op

from shared.storage import BigId, JsonValue, UtcTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("settings", JsonValue, nullable=False, server_default="{}"))
    op.create_table(
        "usage",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("session_key", sa.String(200), nullable=False),
        sa.Column("session_id", sa.String(36), nullable=False),
        sa.Column("channel", sa.String(40), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("input_tokens", sa.Integer, nullable=False),
        sa.Column("output_tokens", sa.Integer, nullable=False),
        sa.Column("cached_tokens", sa.Integer, nullable=False),
        sa.Column("at", UtcTime, nullable=False),
    )
    op.create_index("usage_at", "usage", ["at"])
