"""The log of web requests."""

from alembic import op

from gateway.egress.schema import request_table

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    request_table().create(op.get_bind())
