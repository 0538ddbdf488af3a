"""Outbound messages carry files."""

from alembic import op

from shared.channels.schema import add_outbox_files

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    add_outbox_files(op)
