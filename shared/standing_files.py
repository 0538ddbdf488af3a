"""The files of OpenClaw's workspace that its agent is told before every answer: the one list of them."""

from __future__ import annotations

from typing import Final

MEMORY: Final = "MEMORY.md"
"""What the agent itself notes down."""

STANDING_FILES: Final = ("AGENTS.md", "SOUL.md", "TOOLS.md", "IDENTITY.md", "USER.md", "HEARTBEAT.md", MEMORY)
"""Files that later prompts are made of, in the order in which they are shown."""
