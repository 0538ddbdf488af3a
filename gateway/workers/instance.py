"""Which installation a container belongs to."""

from __future__ import annotations

import hashlib

from shared.config.paths import Paths


def installation_id(paths: Paths) -> str:
    """Tells this installation's containers from another's on the same engine; stable for a state directory."""
    return hashlib.sha256(str(paths.state).encode()).hexdigest()[:12]
