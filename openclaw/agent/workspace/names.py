"""Names in the agent's workspace that mean something."""

from __future__ import annotations

from typing import Final

STANDING_FILES: Final = ("AGENTS.md", "SOUL.md", "TOOLS.md", "IDENTITY.md", "USER.md", "HEARTBEAT.md", "MEMORY.md")
"""Files that later prompts are made of."""

SKILLS: Final = "skills"
RESULTS: Final = "results"
