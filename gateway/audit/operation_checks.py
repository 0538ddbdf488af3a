"""Checks of operation and of the tenants' separation (AUD-OPS, AUD-TEN)."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.audit.base import GatewayCheck
from gateway.audit.facts import Facts
from shared.audit.models import Outcome, holds
from shared.audit.words import shown_canaries
from shared.maintenance.policy import MaintenancePolicy

BACKUP_AGE: Final = timedelta(hours=26)
DRILL_AGE: Final = timedelta(days=90)
JOB_GRACE: Final = timedelta(hours=1)
_ROTATED: Final = re.compile(r".+\.(?:log|jsonl)\.(\d+)(?:\.gz)?")
_LOGS: Final = re.compile(r".+\.(?:log|jsonl)(?:\.\d+)?(?:\.gz)?")
_NEEDED_JOBS: Final = {
    "gateway": ("logs.rotate", "logs.delete", "docker.prune", "tokens.check", "audit"),
    "tenant": ("logs.rotate", "logs.delete", "database.check"),
}
DISK_PERCENT: Final = 85
MUST_REFUSE: Final = ("worker", "model", "post", "web", "exec")
"""What a stopped installation refuses; each is tried."""


class KillSwitch(GatewayCheck):
    """A drill in the running processes: each is asked as if it were halted, and must refuse."""

    id = "AUD-OPS-001"
    severity = "high"
    title = "`clawgate halt` stops workers, model calls, posts, the web and commands in both tenants"
    remediation = "restart every process; restore the shipped shared/lifecycle/halt.py"
    fix = "manual"

    def look(self, facts: Facts) -> Outcome:
        answers = facts.drill.get()
        wanted = [name for name in MUST_REFUSE if name != "exec" or facts.profile.openclaw]
        problems = [
            f"{name}: {answers.get(name, 'was not tried')}" for name in wanted if answers.get(name) != "refused"
        ]
        return holds(problems, f"{', '.join(wanted)} were refused")


class BackedUp(GatewayCheck):
    """What is stored of the newest backups, and of the newest drill."""

    id = "AUD-OPS-002"
    severity = "high"
    title = "Every tenant was backed up within 26 hours, encrypted, and a restore was tried within 90 days"
    remediation = (
        "clawgate backup run; clawgate maintenance run backup.drill; see docs/backup.md for remotes and recipients"
    )

    def applies(self, facts: Facts) -> bool:
        """On servers always; elsewhere when policies/backup.toml names a remote."""
        return facts.profile.is_server or bool(facts.profile.backups)

    def look(self, facts: Facts) -> Outcome:
        problems = []
        done = facts.backups.get()
        for tenant in facts.settings.enabled_tenants():
            if tenant not in facts.profile.backups:
                problems.append(f"{tenant} has no remote")
                continue
            at = (done.get(tenant) or {}).get("ok_at")
            if at is None or facts.now - datetime.fromisoformat(str(at)) > BACKUP_AGE:
                problems.append(f"{tenant} was backed up {at or 'never'}")
        drill = next((job for job in facts.jobs["gateway"].get() if job["name"] == "backup.drill"), None)
        tried = drill["ended_at"] if drill and drill["outcome"] == "ok" else None
        if tried is None or facts.now - datetime.fromisoformat(tried) > DRILL_AGE:
            problems.append(f"a restore was tried {tried or 'never'}")
        return holds(problems, "all within 26 hours")


class Redaction(GatewayCheck):
    """Canaries through the redactor of this process; tenants try their own."""

    id = "AUD-OPS-003"
    severity = "high"
    title = "Secrets do not reach any log"
    remediation = "restore the shipped shared/obs/redact.py; replace the secrets that the named logs show"
    fix = "manual"

    def look(self, facts: Facts) -> Outcome:
        return holds(list(shown_canaries()), "every canary stayed hidden")


class Logs(GatewayCheck):
    """Every log folder."""

    id = "AUD-OPS-004"
    severity = "medium"
    subject = "host"
    title = "No log is older than 14 days or kept in more than 7 generations, and only its owner writes it"
    remediation = "clawgate maintenance run logs.delete; chmod go-w the named folders"
    fix = "auto"

    def look(self, facts: Facts) -> Outcome:
        policy = MaintenancePolicy.load(facts.paths)
        problems = []
        for folder in log_folders(facts):
            if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                problems.append(f"{folder} can be written by others")
            for place in sorted(folder.iterdir()):
                if place.is_symlink() or not place.is_file() or not _LOGS.fullmatch(place.name):
                    continue
                age = facts.now - datetime.fromtimestamp(place.stat().st_mtime, UTC)
                if age > timedelta(days=min(policy.log_days, 14) + 1):  # the job runs once a day
                    problems.append(f"{place} is {age.days} days old")
                if (match := _ROTATED.fullmatch(place.name)) and int(match[1]) > 7:
                    problems.append(f"{place} is one generation too many")
        return holds(problems, "rotated and deleted in time")


def log_folders(facts: Facts) -> Iterator[Path]:
    """Every folder with logs of ours that is there."""
    paths = facts.paths
    named = [paths.state / "logs", *(paths.process_log(name).parent for name in ("gateway", *facts.tenant_folders))]
    for tenant in facts.profile.nanoclaw:
        named += sorted(paths.group(tenant, "x").parent.glob("*/logs"))
    for folder in named:
        if folder.is_dir() and not folder.is_symlink():
            yield folder


class Jobs(GatewayCheck):
    """The jobs of every process, as it has them."""

    id = "AUD-OPS-005"
    severity = "medium"
    subject = "host"
    title = "What every process has to do by itself is scheduled, in time, and went well"
    remediation = "clawgate maintenance list shows the failure; then clawgate maintenance run NAME"
    fix = "auto"

    def look(self, facts: Facts) -> Outcome:
        problems = []
        for process, asked in facts.jobs.items():
            rows = {str(row["name"]): row for row in asked.get()}
            needed = _NEEDED_JOBS["gateway" if process == "gateway" else "tenant"]
            problems += [f"{process} has no job {name}" for name in needed if name not in rows]
            for name, row in rows.items():
                if row["failures"]:
                    problems.append(f"{process}/{name} failed: {row['detail']}")
                elif facts.now - datetime.fromisoformat(str(row["next_at"])) > JOB_GRACE and not row["running"]:
                    problems.append(f"{process}/{name} was due at {row['next_at']}")
        return holds(problems, f"{len(facts.jobs)} processes")


class Units(GatewayCheck):
    """Each unit as it lies there, against the one that we write, whose exposure the tests measure."""

    id = "AUD-OPS-006"
    severity = "medium"
    subject = "host"
    title = "The services' units are the hardened ones, and only the gateway's is in the engine's group"
    remediation = "clawgate install systemd --apply --replace"
    fix = "auto"

    def applies(self, facts: Facts) -> bool:
        """Where systemd runs it."""
        return facts.profile.deployment == "systemd"

    def look(self, facts: Facts) -> Outcome:
        from gateway.units.install import installation_of, look

        root = Path("/")
        changes = look(installation_of(facts.settings, root), root)
        return holds([f"{c.target} is {c.standing}" for c in changes if c.standing != "same"], f"{len(changes)} files")


class OneEach(GatewayCheck):
    """Who holds each lock."""

    id = "AUD-OPS-007"
    severity = "medium"
    subject = "host"
    title = "Each process is the only one of its kind, and holds its lock"
    remediation = "clawgate down, end what is left, clawgate up"

    def look(self, facts: Facts) -> Outcome:
        problems = [f"{name} runs without its lock" for name, p in facts.processes.items() if not p.get().holds_lock]
        return holds(problems, f"{len(facts.processes)} processes")


class Spending(GatewayCheck):
    """Limits in force for each tenant."""

    id = "AUD-OPS-008"
    severity = "medium"
    title = "What an agent can spend in an hour and in a day is limited"
    remediation = "set [budgets.*] in policies/budgets.toml with reset = hours and day for every tenant"

    def look(self, facts: Facts) -> Outcome:
        problems = []
        for tenant in facts.settings.enabled_tenants():
            mine = [
                limit.reset
                for limit in facts.budgets.budgets.values()
                if limit.tenant in ("", tenant) and limit.per == "tenant" and not limit.provider and not limit.bucket
            ]
            if not any(reset.every == "hours" and reset.hours <= 1 for reset in mine):
                problems.append(f"{tenant} has no hourly limit")
            if not any(reset.every == "day" for reset in mine):
                problems.append(f"{tenant} has no daily limit")
        return holds(problems, "hourly and daily, checked before each call")


class NotWritable(GatewayCheck):
    """Every folder and file below the state directory."""

    id = "AUD-OPS-009"
    severity = "medium"
    subject = "host"
    title = "Nobody else can write the installation's data"
    remediation = "chmod -R o-w the named places"
    fix = "auto"

    def look(self, facts: Facts) -> Outcome:
        return holds([f"{place} can be written by everybody" for place in world_writable(facts.paths.state)], "none")


def world_writable(root: Path) -> Iterator[Path]:
    """What everybody may write; links and sockets have no mode of their own."""
    for folder, names, files in os.walk(root, followlinks=False):
        for place in (Path(folder), *(Path(folder, name) for name in files)):
            info = place.lstat()
            if info.st_mode & stat.S_IWOTH and (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
                yield place
        names.sort()


class Host(GatewayCheck):
    """Disk, swap and the SSH server's file."""

    id = "AUD-OPS-010"
    severity = "low"
    subject = "host"
    title = "The machine has room, swap, and no login of root or by password"
    remediation = "free the disk, add swap, set PermitRootLogin no and PasswordAuthentication no in sshd_config"

    def applies(self, facts: Facts) -> bool:
        """On servers; a sandbox or a desktop is its owner's."""
        return facts.profile.is_server

    def look(self, facts: Facts) -> Outcome:
        machine = facts.machine.get()
        problems = []
        if machine.disk_percent >= DISK_PERCENT:
            problems.append(f"the disk is {machine.disk_percent} % full")
        if not machine.has_swap:
            problems.append("there is no swap")
        if machine.sshd:
            switched_off = {
                key: re.search(rf"^\s*{key}\s+no\b", machine.sshd, re.MULTILINE | re.IGNORECASE)
                for key in ("PermitRootLogin", "PasswordAuthentication")
            }
            problems += [f"{key} is not switched off" for key, off in switched_off.items() if not off]
        return holds(problems, "all well")


class Isolation(GatewayCheck):
    """Workers' mounts and name spaces, and who may enter the tenants' folders; OpenClaw drills its commands."""

    id = "AUD-TEN-001"
    severity = "critical"
    title = "Nothing that an agent runs reaches another tenant's files, processes or sockets"
    remediation = "end the named workers; a kernel without Landlock (5.13) contains no command: upgrade it"
    fix = "manual"

    def look(self, facts: Facts) -> Outcome:
        problems = []
        seen = facts.containers.get() if facts.profile.engine == "docker" else ()
        for container in seen:
            for name, folder in facts.tenant_folders.items():
                sockets = facts.paths.tenant_socket_dir(name)
                for place in container.mounts:
                    source = Path(place.source)
                    for closed in (folder.resolve(), sockets.resolve()):
                        own = name == container.tenant and closed == folder.resolve()
                        if closed.is_relative_to(source) or (source.is_relative_to(closed) and not own):
                            problems.append(f"{container.name} sees {source} of {name}")
        for name, folder in facts.tenant_folders.items():
            if folder.exists() and folder.stat().st_mode & stat.S_IRWXO:
                problems.append(f"everybody may enter {folder} of {name}")
        return holds(sorted(set(problems)), f"{len(seen)} containers, {len(facts.tenant_folders)} tenants")


class Scoped(GatewayCheck):
    """Forged callers at each tenant's socket."""

    id = "AUD-TEN-002"
    severity = "high"
    title = "Who asks in another tenant's name is refused"
    remediation = "restart the gateway; restore the shipped gateway/broker/auth.py"
    fix = "manual"

    def look(self, facts: Facts) -> Outcome:
        knocks = facts.knocks.get()
        return holds([f"{k.what} was answered {k.status}" for k in knocks if k.status < 400], f"{len(knocks)} refused")


OPERATION_CHECKS: Final = (
    KillSwitch(),
    BackedUp(),
    Redaction(),
    Logs(),
    Jobs(),
    Units(),
    OneEach(),
    Spending(),
    NotWritable(),
    Host(),
    Isolation(),
    Scoped(),
)
