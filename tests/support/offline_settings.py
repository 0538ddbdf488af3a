"""The gateway's settings for a test of the gateway itself: nobody outside is reached, no engine is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file


def write_offline_settings(paths: Paths, **more: Any) -> None:
    """Write them, and further sections such as ``credentials`` or ``tenants``."""
    offline = {"sandbox": True, "engine": {"kind": "process"}, "model_api": {"enabled": False}}
    overlay_file(operator_file("gateway", paths), {**offline, **more})


def sign_ins_in(folder: Path) -> dict[str, str]:
    """The section ``credentials``: sign-ins lie in a folder of the test, not in this user's home."""
    return {f"{name}_file": str(folder / name) for name in ("claude", "codex", "copilot")}
