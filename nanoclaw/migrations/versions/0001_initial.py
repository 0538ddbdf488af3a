"""Channels, groups, conversations and runs."""

from alembic import op

from nanoclaw.schema import create_own_tables
from shared.channels.schema import create_channel_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_channel_tables(op)
    create_own_tables(op)
