"""Outbound messages carry files."""

from alembic import op

from shared.channels.schema import add_outbox_files

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    add_outbox_files(op)
