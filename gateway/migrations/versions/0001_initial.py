"""Tenant keys and the ledger."""

from alembic import op
from sqlalchemy import Column, Float, Integer, String

from shared.storage import BigId, UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "tenant_key",
        Column("tenant", String(31), primary_key=True),
        Column("sha256", String(64), nullable=False),
        Column("uid", Integer, nullable=False),
        Column("created_at", UtcTime, nullable=False),
    )
    op.create_table(
        "model_request",
        Column("id", BigId, primary_key=True),
        Column("at", UtcTime, nullable=False),
        Column("tenant", String(31), nullable=False),
        Column("worker_id", String(64), nullable=False),
        Column("route", String(32), nullable=False),
        Column("provider", String(32), nullable=False),
        Column("model", String(80), nullable=False),
        Column("status", Integer, nullable=False),
        Column("input_tokens", Integer, nullable=False),
        Column("output_tokens", Integer, nullable=False),
        Column("first_byte_ms", Float, nullable=False),
        Column("total_ms", Float, nullable=False),
    )
    op.create_index("model_request_tenant_at", "model_request", ["tenant", "at"])
