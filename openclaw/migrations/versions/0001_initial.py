"""First schema: channels, devices, pairing, sessions, transcripts' index, runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.channels.schema import create_channel_tables
from shared.storage import BigId, JsonValue, UtcTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_channel_tables(op)
    op.create_table(
        "devices",
        sa.Column("device_id", sa.String(64), primary_key=True),
        sa.Column("public_key", sa.String(64), nullable=False),
        sa.Column("display_name", sa.Text),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("device_family", sa.Text, nullable=False),
        sa.Column("client_id", sa.String(40), nullable=False),
        sa.Column("client_mode", sa.String(20), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("roles", JsonValue, nullable=False),
        sa.Column("scopes", JsonValue, nullable=False),
        sa.Column("remote_ip", sa.String(64)),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("approved_at", UtcTime, nullable=False),
    )
    op.create_table(
        "device_tokens",
        sa.Column("device_id", sa.String(64), primary_key=True),
        sa.Column("role", sa.String(20), primary_key=True),
        sa.Column("serial", sa.String(32), nullable=False),
        sa.Column("scopes", JsonValue, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("rotated_at", UtcTime),
        sa.Column("revoked_at", UtcTime),
        sa.Column("last_used_at", UtcTime),
    )
    op.create_table(
        "pair_requests",
        sa.Column("request_id", sa.String(36), primary_key=True),
        sa.Column("device_id", sa.String(64), nullable=False, unique=True),
        sa.Column("record", JsonValue, nullable=False),
        sa.Column("knocked_at", UtcTime, nullable=False),
    )
    op.create_table(
        "dm_requests",
        sa.Column("channel", sa.String(40), primary_key=True),
        sa.Column("sender_id", sa.String(40), primary_key=True),
        sa.Column("code", sa.String(8), nullable=False),
        sa.Column("sender_name", sa.Text, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("seen_at", UtcTime, nullable=False),
    )
    op.create_table(
        "dm_allowed",
        sa.Column("channel", sa.String(40), primary_key=True),
        sa.Column("sender_id", sa.String(40), primary_key=True),
        sa.Column("sender_name", sa.Text, nullable=False),
        sa.Column("approved_at", UtcTime, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("session_id", sa.String(36), nullable=False),
        sa.Column("chat_type", sa.String(20), nullable=False),
        sa.Column("channel", sa.String(40), nullable=False),
        sa.Column("display_name", sa.Text),
        sa.Column("last_to", sa.Text),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("updated_at", UtcTime, nullable=False),
        sa.Column("aborted_last_run", sa.Integer, nullable=False),
        sa.Column("input_tokens", sa.Integer, nullable=False),
        sa.Column("output_tokens", sa.Integer, nullable=False),
        sa.Column("context_tokens", sa.Integer, nullable=False),
        sa.Column("model", sa.Text),
    )
    op.create_table(
        "messages",
        sa.Column("id", BigId, primary_key=True, autoincrement=True),
        sa.Column("session_id", sa.String(36), nullable=False),
        sa.Column("entry_id", sa.String(40), nullable=False, unique=True),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("offset", sa.Integer, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("created_at", UtcTime, nullable=False),
    )
    op.create_index("messages_session", "messages", ["session_id", "id"])
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(200), primary_key=True),
        sa.Column("session_key", sa.String(200), nullable=False),
        sa.Column("asked_key", sa.String(200), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("continued_as", sa.String(200)),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("created_at", UtcTime, nullable=False),
        sa.Column("ended_at", UtcTime),
    )
    op.create_index("runs_open", "runs", ["state"])
