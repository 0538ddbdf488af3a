"""What ``quick-harden.sh`` does in here: tightens the tenant's own files. Everything else is the gateway's to mend."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from openclaw.audit.state_checks import private_files
from shared.config.paths import Paths


def harden(paths: Paths, tenant: str) -> Iterator[str]:
    """Close the tenant's folder and its secret files to others; a second run finds nothing to do.

    Yields:
        What was done, a sentence each.
    """
    for place, bits in _wanted(paths, tenant):
        if not os.path.lexists(place) or place.is_symlink():
            continue
        mode = stat.S_IMODE(place.stat().st_mode)
        if mode & bits:
            place.chmod(mode & ~bits)
            yield f"{place}: {mode:03o} -> {mode & ~bits:03o}"


def _wanted(paths: Paths, tenant: str) -> Iterator[tuple[Path, int]]:
    yield paths.tenant(tenant), stat.S_IWGRP | stat.S_IRWXO
    for place in private_files(paths, tenant):
        yield place, stat.S_IRWXG | stat.S_IRWXO
