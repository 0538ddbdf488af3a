"""What each group's agent was asked last, so that a restarted tenant hears a running answer out."""

from alembic import op

from nanoclaw.schema import create_asking_table

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    create_asking_table(op)
