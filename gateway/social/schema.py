"""Tables of publications."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, Text

from shared.storage import BigId, JsonValue, UtcTime

metadata = MetaData()

social_job = Table(
    "social_job",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(31), nullable=False),
    Column("tenant_group", String(31), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("network", String(16), nullable=False),
    Column("account", String(80), nullable=False),
    Column("idempotency_key", String(200), nullable=True),
    Column("digest", String(64), nullable=False),
    Column("content", JsonValue, nullable=False),
    Column("state", String(20), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("next_at", UtcTime, nullable=True),
    Column("error_code", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Column("children", JsonValue, nullable=False),
    Column("container_id", String(64), nullable=False),
    Column("container_at", UtcTime, nullable=True),
    Column("publish_attempts", Integer, nullable=False),
    Column("recreations", Integer, nullable=False),
    Column("intent_at", UtcTime, nullable=True),
    Column("is_unknown", Boolean, nullable=False),
    Column("unknown_since", UtcTime, nullable=True),
    Column("finished_at", UtcTime, nullable=True),
    Column("is_spam_block", Boolean, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("media_id", String(64), nullable=False),
    Column("permalink", Text, nullable=False),
    Column("published_at", UtcTime, nullable=True),
    Column("approved_digest", String(64), nullable=False),
    Column("approved_by", String(120), nullable=False),
    Column("ask_until", UtcTime, nullable=True),
    Column("version", Integer, nullable=False),
    Index("social_job_key", "tenant", "idempotency_key", unique=True),
    Index("social_job_account_digest", "account", "digest"),
    Index("social_job_next", "next_at"),
)
"""One row for each accepted post; what each column means is in `gateway.social.models.Job`."""

social_event = Table(
    "social_event",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("job_id", String(40), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("state", String(20), nullable=False),
    Column("code", String(40), nullable=False),
    Column("detail", Text, nullable=False),
    Index("social_event_job", "job_id", "id"),
)
"""What became of each job, line by line; written with the change itself."""

social_lease = Table(
    "social_lease",
    metadata,
    Column("account", String(80), primary_key=True),
    Column("holder", String(40), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("until", UtcTime, nullable=False),
)
"""Who works for an account; the fence outlives its holder."""

social_hold = Table(
    "social_hold",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("by", String(120), nullable=False),
    Column("at", UtcTime, nullable=False),
)
"""One row while all posting is held."""

social_media = Table(
    "social_media",
    metadata,
    Column("media_id", String(40), primary_key=True),
    Column("tenant", String(31), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("extension", String(8), nullable=False),
    Column("size", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("fetches", Integer, nullable=False),
)
"""Files that are served to the networks until their posts are over."""

social_draft = Table(
    "social_draft",
    metadata,
    Column("draft_id", String(20), primary_key=True),
    Column("tenant", String(31), nullable=False),
    Column("network", String(16), nullable=False),
    Column("form", JsonValue, nullable=False),
    Column("post_id", String(40), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
"""Containers that an agent's curl made here; a network hears of them when they are published."""

social_insight = Table(
    "social_insight",
    metadata,
    Column("job_id", String(40), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("figures", JsonValue, nullable=False),
)
"""The newest figures of each published post, by the network's names."""
