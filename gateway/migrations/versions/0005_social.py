"""Publications at social networks: jobs, their history, leases, the hold."""

from alembic import op
from sqlalchemy import Boolean, Column, Integer, String, Text

from shared.storage import BigId, JsonValue, UtcTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "social_job",
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
    )
    op.create_table(
        "social_event",
        Column("id", BigId, primary_key=True),
        Column("job_id", String(40), nullable=False),
        Column("at", UtcTime, nullable=False),
        Column("state", String(20), nullable=False),
        Column("code", String(40), nullable=False),
        Column("detail", Text, nullable=False),
    )
    op.create_table(
        "social_lease",
        Column("account", String(80), primary_key=True),
        Column("holder", String(40), nullable=False),
        Column("fence", Integer, nullable=False),
        Column("until", UtcTime, nullable=False),
    )
    op.create_table(
        "social_hold",
        Column("id", Integer, primary_key=True),
        Column("by", String(120), nullable=False),
        Column("at", UtcTime, nullable=False),
    )
    op.create_index("social_job_key", "social_job", ["tenant", "idempotency_key"], unique=True)
    op.create_index("social_job_account_digest", "social_job", ["account", "digest"])
    op.create_index("social_job_next", "social_job", ["next_at"])
    op.create_index("social_event_job", "social_event", ["job_id", "id"])
