"""Questions agents ask."""

from alembic import op

from nanoclaw.questions.schema import question_table

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    question_table().create(op.get_bind())
