"""Folders of the agent's workspace that mean something; its standing files are named in `shared.standing_files`."""

from __future__ import annotations

from typing import Final

SKILLS: Final = "skills"
RESULTS: Final = "results"
