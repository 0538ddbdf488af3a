"""What belongs to NanoClaw's backup."""

from __future__ import annotations

from typing import Final

from shared.backup.snapshot import Selection

TIMES: Final = "0 5 * * *"
"""Policy G5: 05:00, and OpenClaw five minutes later."""


def selection(tenant: str) -> Selection:
    """Groups with their memory and files, the agents' conversations, and the database."""
    return Selection(include=("groups", "data/sessions"), database=f"{tenant}.db")
