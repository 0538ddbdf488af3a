"""The gateway's jobs. This list is the one place where a job is added."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from gateway.audit.control import AuditDesk
from gateway.backup.drill import as_sentence, drill
from gateway.backup.policy import load_backup
from gateway.backup.service import Backups
from gateway.budget.policy import BudgetsPolicy
from gateway.credentials.models import CredentialStatus
from gateway.egress.service import Egress
from gateway.maintenance.disk import decide_disk_notice, look
from gateway.notices.models import NoticeKind, OwnerNotice
from gateway.notices.service import Notices
from gateway.notices.watch import SignInWatch
from gateway.social.upkeep import Upkeep
from gateway.store import GatewayStore
from gateway.workers.images import WorkerImages
from gateway.workers.room import Rooms
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.parse import parse_zone
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.errors import ConfigError
from shared.maintenance.jobs import TENANT_JOBS, own_jobs, process_logs
from shared.maintenance.models import Job, JobState
from shared.maintenance.policy import MaintenancePolicy
from shared.maintenance.service import Maintenance
from shared.storage import Database

GATEWAY_JOBS: Final = frozenset(
    {
        *("logs.rotate", "logs.delete", "database.check", "disk.watch", "tokens.check", "docker.prune", "audit"),
        *("backup", "backup.drill", "backup.watch", "posts.insights", "posts.tidy", "posts.keys"),
        "ledger.forget",
    }
)
"""Names of `gateway_jobs`, for whoever checks a policy without a gateway."""

BUILD_CACHE_TIMES: Final = "0 4 * * 0"
"""Sunday 04:00 on the owner's clock (policy row G4)."""

_DISK: Final[frozenset[NoticeKind]] = frozenset({"disk_filling", "disk_budget"})


@dataclass(frozen=True, slots=True)
class GatewayParts:
    """What the jobs work on.

    Attributes:
        images: None without an engine that has images.
        rooms: how much of the disk groups and tenants take.
        tenants: their names, as they are now.
        docker_host: the engine's address.
    """

    paths: Paths
    database: Database
    store: GatewayStore
    budgets: BudgetsPolicy
    egress: Egress
    notices: Notices
    watch: SignInWatch
    backups: Backups
    posts: Upkeep
    audit: AuditDesk
    images: WorkerImages | None
    rooms: Rooms
    tenants: Callable[[], Iterable[str]]
    docker_host: str = ""
    clock: Clock = SYSTEM_CLOCK


def gateway_jobs(parts: GatewayParts, policy: MaintenancePolicy) -> list[Job]:
    """Everything the gateway does by itself; times are on the owner's clock (policy G3, G4, G10, G12)."""
    does = _Works(parts, policy)
    return [
        *own_jobs(parts.database, lambda: [process_logs(parts.paths, "gateway")], policy, clock=parts.clock),
        Job(
            "disk.watch",
            "tells the owner when the disk fills up or somebody takes too much of it",
            "*/15 * * * *",
            does.watch_disk,
        ),
        Job("tokens.check", "looks at all sign-ins and when they end", "0 6 * * *", does.check_tokens),
        Job(
            "docker.prune", "empties the build cache and drops worker images nobody uses", BUILD_CACHE_TIMES, does.prune
        ),
        Job(
            "backup",
            "backs up policies, ledger and posts, encrypted, to their git remote",
            "10 5 * * *",
            parts.backups.own,
        ),
        Job(
            "backup.drill",
            "restores every backup elsewhere, starts the sandbox on it, and compares",
            "0 6 * * 0",
            does.drill,
            timeout_s=1800.0,
        ),
        Job("backup.watch", "tells the owner when a newest backup is too old", "0 6 * * *", parts.backups.watch),
        Job(
            "posts.insights", "reads how published posts are doing", "20 5 * * *", parts.posts.measure, timeout_s=1800.0
        ),
        Job("posts.tidy", "removes files and drafts that no post needs", "*/30 * * * *", parts.posts.tidy),
        Job(
            "posts.keys",
            "changes the keys of served files and the Graph hosts' certificate",
            "40 3 * * *",
            parts.posts.renew,
        ),
        Job("audit", "looks at security, and tells the owner when its score fell", random_minute(), parts.audit.work),
        Job("ledger.forget", "forgets old model calls, web requests and notices", "30 3 * * *", does.forget),
    ]


def random_minute() -> str:
    """Once a day at a moment that nobody can prepare for: chosen anew at each start of the gateway."""
    return f"{secrets.randbelow(60)} {secrets.randbelow(24)} * * *"


def build_maintenance(parts: GatewayParts, zone_name: str) -> Maintenance:
    """The gateway's jobs by the policy in force; a run that does not end well is told to the owner.

    Args:
        parts: what they work on.
        zone_name: the owner's time zone.

    Raises:
        ConfigError: the policy or the zone cannot be used.
    """
    policy, option = MaintenancePolicy.load(parts.paths), parts.paths.state_option
    jobs = gateway_jobs(parts, policy)
    require_known(policy, parts.paths)
    return Maintenance(
        parts.database,
        jobs,
        policy,
        ZoneInfo(parse_zone(zone_name)),
        on_failure=lambda state: parts.notices.tell(failure_notice(state, state_option=option)),
        clock=parts.clock,
    )


def require_known(policy: MaintenancePolicy, paths: Paths) -> None:
    """Refuse times for jobs that no process has; the gateway checks for all of them.

    Raises:
        ConfigError: names what is unknown, and what there is.
    """
    known, where = GATEWAY_JOBS | TENANT_JOBS, operator_file("maintenance", paths)
    if unknown := sorted(set(policy.times) - known):
        raise ConfigError(
            f"{where}: [times] names no job: {', '.join(unknown)}. There are: {', '.join(sorted(known))}",
            code="config.policy",
        )


def failure_notice(state: JobState, *, state_option: str = "") -> OwnerNotice:
    """What the owner is told of a run that did not end well; once a day for each job."""
    option = f" {state_option.strip()}" if state_option else ""
    return OwnerNotice(
        key=f"job_failed:{state.name}:{state.ended_at:%Y-%m-%d}",
        kind="job_failed",
        text=(
            f"**Maintenance: {state.name} {'failed' if state.outcome == 'failed' else 'was interrupted'}**\n"
            f"{state.detail}\nIt is tried again at {state.next_at:%Y-%m-%d %H:%M} UTC. "
            f"Look: `clawgate maintenance list{option}`; try now: `clawgate maintenance run {state.name}{option}`"
        ),
    )


class _Works:
    """What each job does; every method says in one line what came of it."""

    def __init__(self, parts: GatewayParts, policy: MaintenancePolicy) -> None:
        self._parts = parts
        self._policy = policy

    async def watch_disk(self) -> str:
        parts = self._parts
        use = await asyncio.to_thread(look, parts.paths.state)
        notice = decide_disk_notice(
            use, self._policy.disk_warn_percent, parts.clock.now(), state_option=parts.paths.state_option
        )
        rooms = await parts.rooms.measure_all(parts.tenants())
        found = [*([notice] if notice is not None else []), *parts.rooms.notices()]
        for one in found:
            await parts.notices.record(one)
        await parts.notices.withdraw(_DISK, but=[one.key for one in found])
        return f"{use.percent} % full, {use.free / 1e9:.1f} GB left; {rooms}"

    async def check_tokens(self) -> str:
        statuses = await self._parts.watch.look()
        return summary_of(statuses)

    async def drill(self) -> str:
        policy = await asyncio.to_thread(load_backup, self._parts.paths)
        if not policy.remotes:
            return "no remote is configured"
        with tempfile.TemporaryDirectory(prefix="cg-drill-") as folder:  # a short name: sockets lie below it
            found = await drill(policy, self._parts.paths, Path(folder), docker_host=self._parts.docker_host)
        return as_sentence(found)

    async def forget(self) -> str:
        parts = self._parts
        lasting = [name for name, bucket in parts.budgets.buckets.items() if bucket.reset.every == "never"]
        before = parts.clock.now() - timedelta(days=self._policy.ledger_days)
        calls = await parts.store.forget_calls(before, but_of=lasting)
        requests, notices = await parts.egress.forget(), await parts.notices.forget()
        return f"{calls} model calls, {requests} web requests, {notices} notices forgotten"

    async def prune(self) -> str:
        if self._parts.images is None:
            return "this engine has no images"
        done = await self._parts.images.prune()
        return f"{done['freed_bytes']} bytes freed, {len(done['images']) + done['nameless_images']} images dropped"


def summary_of(statuses: Sequence[CredentialStatus]) -> str:
    """One line about all sign-ins; no secret."""
    signed_in = [status for status in statuses if status.health != "missing"]
    needing = [f"{s.tenant}/{s.provider}" for s in signed_in if s.health == "login_needed"]
    text = f"{len(signed_in)} of {len(statuses)} signed in"
    return f"{text}; a person has to sign in: {', '.join(needing)}" if needing else text
