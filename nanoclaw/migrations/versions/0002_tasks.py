"""Scheduled tasks and their runs."""

from alembic import op

from nanoclaw.schema import create_task_tables

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    create_task_tables(op)
