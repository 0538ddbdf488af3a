"""What belongs to OpenClaw's backup."""

from __future__ import annotations

from typing import Final

from shared.backup.snapshot import Selection

TIMES: Final = "5 5 * * *"
"""Policy G5: five minutes after NanoClaw, and not because of it."""


def selection(tenant: str) -> Selection:
    """Configuration, devices, conversations, the workspace and skills, and the database."""
    return Selection(
        include=(
            "openclaw.json",
            "exec-approvals.json",
            "devices",
            "agents",
            "cron",
            "workspace",
            "skills",
            "workspaces",
        ),
        database=f"{tenant}.db",
    )
