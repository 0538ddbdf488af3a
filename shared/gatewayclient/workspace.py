"""Where a worker finds its folders: named to the agent by the tenant, mounted there by the gateway."""

from __future__ import annotations

GROUP_DIR = "/workspace/group"
"""The group's own folder, the agent's working directory."""

GLOBAL_DIR = "/workspace/global"
"""Memory of all groups; only the main group's agent may write there."""
