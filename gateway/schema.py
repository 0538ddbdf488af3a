"""The gateway's tables."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table

from shared.storage import BigId, UtcTime

metadata = MetaData()

tenant_key = Table(
    "tenant_key",
    metadata,
    Column("tenant", String(31), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("uid", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""Of a tenant's key only the hash is kept; a new start replaces it."""

model_request = Table(
    "model_request",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("tenant", String(31), nullable=False),
    Column("worker_id", String(64), nullable=False, default=""),
    Column("route", String(32), nullable=False),
    Column("provider", String(32), nullable=False, default=""),
    Column("model", String(80), nullable=False, default=""),
    Column("status", Integer, nullable=False),
    Column("input_tokens", Integer, nullable=False, default=0),
    Column("output_tokens", Integer, nullable=False, default=0),
    Column("first_byte_ms", Float, nullable=False, default=0.0),
    Column("total_ms", Float, nullable=False, default=0.0),
    Index("model_request_tenant_at", "tenant", "at"),
)
"""The ledger: one row for each model call."""
