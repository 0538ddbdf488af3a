"""The newest backup of each tenant."""

from __future__ import annotations

from alembic import op
from sqlalchemy import MetaData

from gateway.backup.schema import backup_table

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    backup_table(MetaData()).create(op.get_bind())
