"""Scheduled jobs and their runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.storage import JsonValue, UtcTime

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "cron_jobs",
        sa.Column("job_id", sa.String(40), primary_key=True),
        sa.Column("spec", JsonValue, nullable=False),
        sa.Column("state", JsonValue, nullable=False),
        sa.Column("enabled", sa.Integer, nullable=False),
        sa.Column("next_at", UtcTime),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("creation_key", sa.String(300), unique=True),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
    )
    op.create_table(
        "cron_runs",
        sa.Column("run_id", sa.String(100), primary_key=True),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("spec", JsonValue, nullable=False),
        sa.Column("occurrence_at", UtcTime, nullable=False),
        sa.Column("claimed_at", UtcTime, nullable=False),
        sa.Column("start_at", UtcTime, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by_hand", sa.Integer, nullable=False),
        sa.Column("session_key", sa.String(200), nullable=False),
        sa.Column("started_at", UtcTime),
        sa.Column("ended_at", UtcTime),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("delivery", sa.String(20), nullable=False),
        sa.Column("delivery_error", sa.Text, nullable=False),
    )
    op.create_index("cron_runs_job", "cron_runs", ["job_id", "claimed_at"])
    op.create_index("cron_runs_state", "cron_runs", ["state"])
