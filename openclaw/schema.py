"""OpenClaw's tables. Migrations repeat them on purpose: history must not change when this file does."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text

from shared.channels.schema import channel_tables
from shared.storage import BigId, JsonValue, UtcTime

metadata = MetaData()

channels = channel_tables(metadata)

devices = Table(
    "devices",
    metadata,
    Column("device_id", String(64), primary_key=True),
    Column("public_key", String(64), nullable=False),
    Column("display_name", Text),
    Column("platform", Text, nullable=False),
    Column("device_family", Text, nullable=False),
    Column("client_id", String(40), nullable=False),
    Column("client_mode", String(20), nullable=False),
    Column("role", String(20), nullable=False),
    Column("roles", JsonValue, nullable=False),
    Column("scopes", JsonValue, nullable=False),
    Column("remote_ip", String(64)),
    Column("created_at", UtcTime, nullable=False),
    Column("approved_at", UtcTime, nullable=False),
)

device_tokens = Table(
    "device_tokens",
    metadata,
    Column("device_id", String(64), primary_key=True),
    Column("role", String(20), primary_key=True),
    # The token itself is derived from the gateway token and this serial: nothing here opens a door.
    Column("serial", String(32), nullable=False),
    Column("scopes", JsonValue, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("rotated_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
)

pair_requests = Table(
    "pair_requests",
    metadata,
    Column("request_id", String(36), primary_key=True),
    Column("device_id", String(64), nullable=False, unique=True),
    Column("record", JsonValue, nullable=False),
    Column("knocked_at", UtcTime, nullable=False),
)

dm_requests = Table(
    "dm_requests",
    metadata,
    Column("channel", String(40), primary_key=True),
    Column("sender_id", String(40), primary_key=True),
    Column("code", String(8), nullable=False),
    Column("sender_name", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)

dm_allowed = Table(
    "dm_allowed",
    metadata,
    Column("channel", String(40), primary_key=True),
    Column("sender_id", String(40), primary_key=True),
    Column("sender_name", Text, nullable=False),
    Column("approved_at", UtcTime, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("session_id", String(36), nullable=False),
    Column("chat_type", String(20), nullable=False),
    Column("channel", String(40), nullable=False),
    Column("display_name", Text),
    Column("last_to", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("aborted_last_run", Integer, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("context_tokens", Integer, nullable=False),
    Column("model", Text),
    # What `sessions.patch` set, in the protocol's spelling.
    Column("settings", JsonValue, nullable=False, server_default="{}"),
)

# One row for each run: what it used, kept when the session is reset or deleted.
usage = Table(
    "usage",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("session_key", String(200), nullable=False),
    Column("session_id", String(36), nullable=False),
    Column("channel", String(40), nullable=False),
    Column("model", Text, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    # Part of the input that the provider read from its cache.
    Column("cached_tokens", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("usage_at", "at"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("session_id", String(36), nullable=False),
    Column("entry_id", String(40), nullable=False, unique=True),
    Column("run_id", Text, nullable=False),
    Column("role", String(20), nullable=False),
    Column("offset", Integer, nullable=False),
    Column("length", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Index("messages_session", "session_id", "id"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(200), primary_key=True),
    Column("session_key", String(200), nullable=False),
    # The key as the caller wrote it: answers outside the agent stream echo it.
    Column("asked_key", String(200), nullable=False),
    Column("source", String(20), nullable=False),
    # The run that carries out a message which had to wait behind another run.
    Column("continued_as", String(200)),
    Column("text", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("error", Text),
    Column("created_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Index("runs_open", "state"),
)


approvals = Table(
    "approvals",
    metadata,
    Column("approval_id", String(40), primary_key=True),
    Column("session_key", String(200), nullable=False),
    Column("run_id", String(200), nullable=False),
    # Where the request came from; empty for the Control UI.
    Column("chat", Text, nullable=False),
    Column("question", JsonValue, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("decided_at", UtcTime),
    Column("decided_by", Text, nullable=False),
    # Set before the command starts: it runs at most once, whatever happens.
    Column("started_at", UtcTime),
    Column("outcome", Text),
    # Set when the conversation has heard the outcome.
    Column("told_at", UtcTime),
    Index("approvals_open", "told_at"),
)

exec_grants = Table(
    "exec_grants",
    metadata,
    Column("grant_id", String(40), primary_key=True),
    Column("grant", JsonValue, nullable=False),
    Column("approval_id", String(40), nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("last_used_at", UtcTime),
)

cron_jobs = Table(
    "cron_jobs",
    metadata,
    Column("job_id", String(40), primary_key=True),
    # As the protocol writes a job; what it says is checked when it comes in and again when it is read.
    Column("spec", JsonValue, nullable=False),
    Column("state", JsonValue, nullable=False),
    Column("enabled", Integer, nullable=False),
    Column("next_at", UtcTime),
    Column("made_by", Text, nullable=False),
    # Names the call that made it, so that a repeated call finds it.
    Column("creation_key", String(300), unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

cron_runs = Table(
    "cron_runs",
    metadata,
    Column("run_id", String(100), primary_key=True),
    Column("job_id", String(40), nullable=False),
    Column("spec", JsonValue, nullable=False),
    Column("occurrence_at", UtcTime, nullable=False),
    Column("claimed_at", UtcTime, nullable=False),
    Column("start_at", UtcTime, nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by_hand", Integer, nullable=False),
    Column("session_key", String(200), nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("summary", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("delivery", String(20), nullable=False),
    Column("delivery_error", Text, nullable=False),
    Index("cron_runs_job", "job_id", "claimed_at"),
    Index("cron_runs_state", "state"),
)
