"""What is examined: one installation, looked at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.settings import Settings
from shared.config.paths import Paths
from shared.doctor.rows import Row, refused
from shared.errors import GatewayError, Unavailable
from shared.lifecycle.control import call


@dataclass(frozen=True, slots=True)
class Patient:
    """One installation.

    Attributes:
        settings: None when they cannot be read; then nothing starts.
        refusal: why not.
        running: status by process that answers, ``up`` among them.
        root: where the machine's file system begins.
    """

    paths: Paths
    settings: Settings | None
    refusal: Row | None = None
    running: Mapping[str, Any] = field(default_factory=dict)
    root: Path = Path("/")

    @classmethod
    def of(cls, paths: Paths) -> Patient:
        """Look once; blocks."""
        running = {}
        for name in ("up", "gateway"):
            try:
                running[name] = call(paths.control_socket(name), "status", timeout_s=5.0)
            except Unavailable:
                continue
        try:
            return cls(paths, Settings.load(paths), running=running)
        except GatewayError as error:
            return cls(paths, None, refused("settings", error, _FIXES.get(error.code, "")), running)


_FIXES: Mapping[str, str] = {
    "config.env_mode": "chmod 600 on the named file",
    "config.forbidden_key": "rename it to ANTHROPIC_API_KEY_FALLBACK, or unset it",
    "config.policy": "mend the named line in <state>/policies, then: clawgate doctor",
    "config.syntax": "mend the named line in <state>/policies, then: clawgate doctor",
    "vault.key_missing": "put the right key file back (RUNBOOK.md, A lost vault key)",
    "vault.keys_invalid": "put the right key file back (RUNBOOK.md, A lost vault key)",
}
