"""Jobs that more than one process has; a process's list is where it is put together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from shared.channels.inbox import Inbox
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.maintenance.logs import LogFolder, delete_old, rotate
from shared.maintenance.models import Job
from shared.maintenance.policy import MaintenancePolicy
from shared.storage import Database

DAY_S = 86_400.0
TENANT_JOBS = frozenset({"backup", "logs.rotate", "logs.delete", "database.check", "messages.forget"})
"""Names of what every tenant does, for the check of policy."""


def own_jobs(
    database: Database,
    folders: Callable[[], Sequence[LogFolder]],
    policy: MaintenancePolicy,
    *,
    clock: Clock = SYSTEM_CLOCK,
) -> list[Job]:
    """What every process does for its own database and logs.

    Args:
        database: the process's.
        folders: where its logs are now.
        policy: what is kept.
        clock: for ages.
    """

    async def rotate_logs() -> str:
        count = await asyncio.to_thread(lambda: rotate(folders(), keep=policy.log_generations))
        return f"{_count(count, 'file')} set aside"

    async def delete_logs() -> str:
        before = clock.now() - timedelta(days=policy.log_days)
        count, size = await asyncio.to_thread(lambda: delete_old(folders(), before=before))
        return f"{_count(count, 'file')} deleted, {size} bytes"

    async def check_database() -> str:
        return await database.maintain()

    return [
        Job(
            "logs.rotate",
            f"sets logs aside, {policy.log_generations} compressed generations kept",
            "0 0 * * *",
            rotate_logs,
        ),
        Job("logs.delete", f"deletes logs older than {policy.log_days} days", "0 3 * * *", delete_logs),
        Job(
            "database.check",
            "checks the database for damage and empties its write-ahead log",
            "30 2 * * *",
            check_database,
        ),
    ]


def tenant_jobs(
    database: Database,
    inbox: Inbox,
    outbox: Outbox,
    folders: Callable[[], Sequence[LogFolder]],
    policy: MaintenancePolicy,
    *,
    forget_too: Callable[[datetime], Awaitable[str]] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> list[Job]:
    """What every tenant does.

    Args:
        database: as of `own_jobs`, as are `folders`, `policy` and `clock`.
        inbox: what came in.
        outbox: what went out.
        folders: see above.
        policy: see above.
        clock: see above.
        forget_too: forgets what a tenant keeps of its own about messages before a time; returns what that was.
    """

    async def forget_messages() -> str:
        older_than_s = policy.message_days * DAY_S
        received = await inbox.prune(older_than_s=older_than_s)
        sent = await outbox.prune(older_than_s=older_than_s)
        done = f"{received} received and {sent} sent messages forgotten"
        if forget_too is not None:
            done = f"{done}, {await forget_too(clock.now() - timedelta(seconds=older_than_s))}"
        return done

    forget = Job(
        "messages.forget", f"forgets settled messages after {policy.message_days} days", "15 3 * * *", forget_messages
    )
    return [*own_jobs(database, folders, policy, clock=clock), forget]


def process_logs(paths: Paths, name: str) -> LogFolder:
    """Where a process keeps log files of its own."""
    return LogFolder(paths.tenant(name), ("logs",))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
