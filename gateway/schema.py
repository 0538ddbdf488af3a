"""The gateway's tables."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

from gateway.backup.schema import backup_table
from shared.maintenance.schema import job_table
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
    Column("tenant_group", String(31), nullable=False, default=""),
    Column("run_id", String(64), nullable=False, default=""),
    Column("bucket", String(40), nullable=False, default=""),
    Column("auth", String(16), nullable=False, default=""),
    Column("outcome", String(16), nullable=False, default=""),
    Column("cached_tokens", Integer, nullable=False, default=0),
    Column("cost_micros", BigInteger, nullable=False, default=0),
    Column("premium_micros", BigInteger, nullable=False, default=0),
    Column("request_id", String(80), nullable=False, default=""),
    Index("model_request_tenant_at", "tenant", "at"),
    Index("model_request_bucket_at", "bucket", "at"),
)
"""The ledger: one row for each model call. Costs are millionths of a dollar and of a premium request."""

budget_counter = Table(
    "budget_counter",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("scope", String(120), primary_key=True),
    Column("used", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=True),
)
"""What is spent and set aside of each budget, in its own small unit; `scope` is the tenant, or tenant and run."""

budget_reservation = Table(
    "budget_reservation",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("reservation", String(40), nullable=False),
    Column("name", String(40), nullable=False),
    Column("scope", String(120), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("budget_reservation_of", "reservation"),
)
"""What calls under way have set aside; a row that outlives its process is charged in full at the next start."""

owner_notice = Table(
    "owner_notice",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("key", String(200), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("state", String(12), nullable=False),
    Column("reason", String(300), nullable=False),
    Column("tenant", String(31), nullable=False),
    Column("chat", String(120), nullable=False),
    Column("settled_at", UtcTime, nullable=True),
)
"""What the owner is told in a chat; `key` names the event, so that each is told once."""

maintenance_job = job_table(metadata)
"""What the gateway does by itself from time to time."""

backup = backup_table(metadata)
"""The newest backup of each tenant."""
