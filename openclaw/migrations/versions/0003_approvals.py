"""Commands that wait for a person, and what people allowed for good."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.storage import JsonValue, UtcTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("approval_id", sa.String(40), primary_key=True),
        sa.Column("session_key", sa.String(200), nullable=False),
        sa.Column("run_id", sa.String(200), nullable=False),
        sa.Column("chat", sa.Text, nullable=False),
        sa.Column("question", JsonValue, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("requested_at", UtcTime, nullable=False),
        sa.Column("expires_at", UtcTime, nullable=False),
        sa.Column("decided_at", UtcTime),
        sa.Column("decided_by", sa.Text, nullable=False),
        sa.Column("started_at", UtcTime),
        sa.Column("outcome", sa.Text),
        sa.Column("told_at", UtcTime),
    )
    op.create_index("approvals_open", "approvals", ["told_at"])
    op.create_table(
        "exec_grants",
        sa.Column("grant_id", sa.String(40), primary_key=True),
        sa.Column("grant", JsonValue, nullable=False),
        sa.Column("approval_id", sa.String(40), nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("last_used_at", UtcTime),
    )
