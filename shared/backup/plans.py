"""What belongs to a backup, and when it is made, by kind of tenant (policy G5)."""

from __future__ import annotations

from typing import Final, Literal

from shared.backup.snapshot import Selection

TIMES: Final = {"nanoclaw": "0 5 * * *", "openclaw": "5 5 * * *"}
"""05:00, and OpenClaw five minutes later but not because of it; on the owner's clock."""

_INCLUDED: Final = {
    # Groups with their memory and files, and the agents' conversations.
    "nanoclaw": ("groups", "data/sessions"),
    # Configuration, devices, conversations, the workspace and skills.
    "openclaw": (
        "openclaw.json",
        "exec-approvals.json",
        "devices",
        "agents",
        "cron",
        "workspace",
        "skills",
        "workspaces",
    ),
}


def selection_of(kind: Literal["nanoclaw", "openclaw"], tenant: str) -> Selection:
    """A tenant's files and its database."""
    return Selection(include=_INCLUDED[kind], database=f"{tenant}.db")
