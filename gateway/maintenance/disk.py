"""How full the disk is, and from when on the owner is told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.notices.models import OwnerNotice


@dataclass(frozen=True, slots=True)
class DiskUse:
    """One look at a file system; bytes.

    Attributes:
        path: a folder on it.
        free: what an ordinary process may still take.
    """

    path: Path
    total: int
    free: int

    @property
    def percent(self) -> int:
        """How full it is, as ``df`` says it, rounded up."""
        return -(-100 * (self.total - self.free) // self.total) if self.total else 100


def look(path: Path) -> DiskUse:
    """Ask the file system that a folder lies on."""
    facts = os.statvfs(path)
    return DiskUse(path, facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize)


def decide_disk_notice(use: DiskUse, warn_percent: int, now: datetime, *, state_option: str = "") -> OwnerNotice | None:
    """What the owner is told, once a week for as long as it lasts; None while there is room."""
    if use.percent < warn_percent:
        return None
    year, week, _ = now.isocalendar()
    return OwnerNotice(
        key=f"disk_filling:{year}-{week}",
        kind="disk_filling",
        text=(
            f"**The disk is {use.percent} % full**\n"
            f"{use.free / 1e9:.1f} of {use.total / 1e9:.1f} GB are left where {use.path} lies. When nothing is left, no"
            " message is taken in any more.\n"
            f"Free build leftovers: `clawgate maintenance run docker.prune{state_option}`"
        ),
    )
