"""Jobs that the process does by itself."""

from __future__ import annotations

from alembic import op

from shared.maintenance.schema import create_job_table

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    create_job_table(op)
