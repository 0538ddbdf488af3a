"""The channel tables."""

from alembic import op

from shared.channels.schema import create_channel_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    create_channel_tables(op)
