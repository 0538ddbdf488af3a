"""How much of the disk each group and each tenant takes, and what follows when it is more than they may (row G12).

Containers have no quota on a folder of the host, so folders are measured: all of them by the job ``disk.watch``, a
group's after each of its runs, and those of groups with a working agent all the while. A walk follows no link, pauses
often, and is repeated only after twenty times as long as it took.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from gateway.notices.models import OwnerNotice
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import Busy, Denied

MB: Final = 1 << 20
HARD: Final = 2
"""Times its budget at which a group's running agent is ended."""
CODE: Final = "worker.disk"

_PAUSE_EVERY: Final = 2000
_PAUSE_S: Final = 0.002
_BLOCK_BYTES: Final = 512  # what st_blocks counts, whatever the file system's own is
_LEAST_REST_S: Final = 20.0
_REST_FACTOR: Final = 20.0
_FALL_BYTES: Final = 256 * MB
"""When this much free room has gone since the last look, whose it is is looked at now."""

Standing = Literal["ok", "over", "hard"]


@dataclass(frozen=True, slots=True)
class Use:
    """What a group or a whole tenant takes.

    Attributes:
        group: empty for the tenant.
        used_bytes: on disk, as ``du`` counts it.
        limit_bytes: its budget.
    """

    tenant: str
    group: str
    used_bytes: int
    limit_bytes: int

    @property
    def standing(self) -> Standing:
        """Against the budget."""
        if self.used_bytes <= self.limit_bytes:
            return "ok"
        return "hard" if self.used_bytes > HARD * self.limit_bytes else "over"

    def in_words(self) -> str:
        """What is used, the limit, and what to do."""
        figures = f"{self.used_bytes / MB:.0f} MB of the {self.limit_bytes / MB:.0f} MB"
        if self.group:
            return (
                f"the files of group {self.group} take {figures} they may. Remove what is not needed from "
                f"groups/{self.group} in {self.tenant}'s state, or raise group_disk_mb under [workers] in "
                "policies/gateway.toml"
            )
        return (
            f"everything of {self.tenant} takes {figures} it may. Remove what is not needed from its state, or raise "
            f"disk_mb under [tenants.{self.tenant}] in policies/gateway.toml"
        )

    def as_json(self) -> dict[str, Any]:
        """For the control socket and ``--json``."""
        return {
            "tenant": self.tenant,
            "group": self.group,
            "used_bytes": self.used_bytes,
            "limit_bytes": self.limit_bytes,
            "standing": self.standing,
            "detail": self.in_words() if self.standing != "ok" else "",
        }


def folder_bytes(folder: Path, rest: Callable[[float], None] = time.sleep) -> int:
    """What a folder takes on disk: no link is followed, a file with several names counts once, what vanishes is passed.

    Args:
        folder: may be missing.
        rest: waits, so that the walk leaves the disk to others.
    """
    total, seen, files = 0, 0, set[tuple[int, int]]()
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen % _PAUSE_EVERY == 0:
                        rest(_PAUSE_S)
                    facts = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif facts.st_nlink > 1:
                        if (facts.st_dev, facts.st_ino) in files:
                            continue
                        files.add((facts.st_dev, facts.st_ino))
                    total += facts.st_blocks * _BLOCK_BYTES
        except OSError:
            continue
    return total


class Rooms:
    """Measures, remembers, refuses.

    Args:
        paths: of the installation.
        group_bytes: the budget of a group's folder and its conversations together.
        tenant_bytes: budgets by tenant; tenants that are added later have the largest of them.
        tell: takes the owner's notices; must not block.
        clock: for what was measured when.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        group_bytes: int,
        tenant_bytes: Mapping[str, int],
        tell: Callable[[OwnerNotice], None] = lambda _notice: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._paths = paths
        self._group_bytes = group_bytes
        self._tenant_bytes = dict(tenant_bytes)
        self._tell = tell
        self._clock = clock
        self._known: dict[tuple[str, str], Use] = {}
        self._next_at: dict[tuple[str, str], float] = {}
        self._walking = asyncio.Lock()
        self._free_then = 0

    def known(self) -> list[Use]:
        """Everything as it was last measured; tenants before their groups."""
        return [self._known[key] for key in sorted(self._known)]

    def notices(self) -> list[OwnerNotice]:
        """What the owner is told of now: once a week for each that takes too much."""
        return [self._notice(use) for use in self.known() if use.standing != "ok"]

    async def measure(self, tenant: str, group: str = "", *, anew: bool = True) -> Use:
        """Measure one group, or a tenant as a whole.

        Args:
            tenant: whose.
            group: empty for all of the tenant.
            anew: also when the last walk was so short a time ago that it would be a burden.
        """
        key = (tenant, group)
        known = self._known.get(key)
        if known is not None and not anew and self._clock.monotonic() < self._next_at[key]:
            return known
        async with self._walking:
            began = self._clock.monotonic()
            used = await asyncio.to_thread(lambda: sum(folder_bytes(folder) for folder in self._folders(*key)))
            now = self._clock.monotonic()
        self._next_at[key] = now + max(_LEAST_REST_S, _REST_FACTOR * (now - began))
        use = self._known[key] = Use(tenant, group, used, self._limit(tenant, group))
        if use.standing != "ok":
            self._tell(self._notice(use))
        return use

    async def measure_all(self, tenants: Iterable[str]) -> str:
        """Measure every tenant and each of its groups; says what came of it."""
        found = [await self.measure(*key) for tenant in tenants for key in self._keys(tenant)]
        kept = {(use.tenant, use.group) for use in found}
        self._known = {key: use for key, use in self._known.items() if key in kept}
        over = [f"{use.tenant}/{use.group}".rstrip("/") for use in found if use.standing != "ok"]
        return f"too large: {', '.join(over)}" if over else "all within their budgets"

    async def require_room(self, tenant: str, group: str, *, standby: bool = False) -> None:
        """Refuse a new worker for a group that takes too much; what was known to be too much is measured anew.

        Raises:
            Denied: the group, or its tenant, takes more than it may.
            Busy: the same, for a worker that would only be started ahead.
        """
        for key in ((tenant, group), (tenant, "")):
            use = self._known.get(key)
            if use is None or use.standing == "ok":
                continue
            if (use := await self.measure(*key)).standing != "ok":
                if standby:
                    raise Busy(use.in_words(), retry_after_s=60.0, code="worker.no_room")
                raise Denied(use.in_words(), code=CODE)

    async def overrun(self, working: Iterable[tuple[str, str]]) -> list[Use]:
        """The groups with a working agent that take far too much; asked every few seconds, walks seldom.

        Args:
            working: tenant and group of each.
        """
        groups = sorted(set(working))
        if not groups:
            return []
        free = await asyncio.to_thread(self._free)
        has_fallen = free < self._free_then - _FALL_BYTES
        if has_fallen or free > self._free_then:
            self._free_then = free
        found = [await self.measure(*key, anew=has_fallen) for key in groups]
        return [use for use in found if use.standing == "hard"]

    def _free(self) -> int:
        facts = os.statvfs(self._paths.state)
        return facts.f_bavail * facts.f_frsize

    def _limit(self, tenant: str, group: str) -> int:
        if group:
            return self._group_bytes
        return self._tenant_bytes.get(tenant) or max(self._tenant_bytes.values(), default=self._group_bytes)

    def _folders(self, tenant: str, group: str) -> tuple[Path, ...]:
        if not group:
            return (self._paths.tenant(tenant),)
        return (self._paths.group(tenant, group), self._paths.group_session(tenant, group))

    def _keys(self, tenant: str) -> Iterator[tuple[str, str]]:
        yield tenant, ""
        groups = self._paths.group(tenant, "x").parent
        if groups.is_dir():
            yield from ((tenant, entry.name) for entry in sorted(groups.iterdir()) if entry.is_dir())

    def _notice(self, use: Use) -> OwnerNotice:
        year, week, _ = self._clock.now().isocalendar()
        what = f"group {use.group} of {use.tenant}" if use.group else use.tenant
        words = use.in_words()
        return OwnerNotice(
            key=f"disk_budget:{use.tenant}/{use.group}:{year}-{week}",
            kind="disk_budget",
            text=f"**Too much on disk: {what}**\n{words[0].upper()}{words[1:]}\nUntil then no agent is started for it.",
        )
