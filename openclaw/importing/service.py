"""Carry an import out: files first, then the database, secrets through the gateway. Safe to repeat."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from openclaw import store
from openclaw.config import OPERATOR, load_config
from openclaw.config.files import Writer, write_config
from openclaw.config.snapshot import Source
from openclaw.cron.service import CronJobs
from openclaw.importing.conversation import Conversation, convert
from openclaw.importing.plan import Plan, Target, decide_import
from openclaw.importing.source import OldSession, OldState, read_state
from openclaw.sessions import AGENT_ID
from openclaw.store import DeviceRow, SessionRow
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.envwrite import write_back
from shared.config.paths import Paths
from shared.errors import GatewayError
from shared.importing import Item, Report, copy_new_files
from shared.json_values import count
from shared.lifecycle.singleton import SingleInstance
from shared.secrets.files import Secret, write_private
from shared.storage import Database

MIGRATIONS: Final = "openclaw.migrations"
_CALL_S: Final = 120


async def run_import(root: Path, tenant: str, paths: Paths, *, dry_run: bool, clock: Clock = SYSTEM_CLOCK) -> Report:
    """Take an original's state directory over into a tenant that is not running.

    Args:
        root: the original's; it stays as it is.
        tenant: which of ours takes it over.
        paths: of the installation.
        dry_run: only say what would happen; nothing is written.
        clock: dates what is made.

    Raises:
        NotFound, Invalid: the folder is no state directory that can be read.
        Occupied: the tenant is running.
    """
    state = await asyncio.to_thread(read_state, root)
    source = Source.of(paths, tenant)
    if dry_run and not paths.tenant_db(tenant).exists():
        return Report(decide_import(state, source, Target(has_config=source.path.exists())).items, dry_run=True)
    lock = SingleInstance(paths.pid_file(tenant), what=f"the tenant {tenant}")
    lock.acquire()
    try:
        db = Database(paths.tenant_db(tenant), migrations=MIGRATIONS)
        await db.open()
        try:
            plan = decide_import(state, source, await _target(db, source, paths, tenant))
            if dry_run:
                return Report(plan.items, dry_run=True)
            problems = await _Work(state, plan, tenant, paths, db, clock).carry_out(source)
            return Report((*plan.items, *problems))
        finally:
            await db.close()
    finally:
        lock.release()


async def _target(db: Database, source: Source, paths: Paths, tenant: str) -> Target:
    devices, _, _ = await db.read(store.all_devices)
    sessions = await db.read(store.all_sessions)
    allowed = await db.read(lambda c: store.allowed_senders(c, "discord"))
    files = paths.tenant(tenant) / "workspace"
    return Target(
        has_config=source.path.exists(),
        devices=frozenset(row.device_id for row in devices),
        sessions=frozenset(row.key for row in sessions),
        allowed=allowed,
        workspace=frozenset(str(f.relative_to(files)) for f in files.rglob("*") if f.is_file()),
    )


class _Work:
    """One import under way."""

    def __init__(self, state: OldState, plan: Plan, tenant: str, paths: Paths, db: Database, clock: Clock) -> None:
        self._state = state
        self._plan = plan
        self._tenant = tenant
        self._paths = paths
        self._folder = paths.tenant(tenant)
        self._db = db
        self._clock = clock

    async def carry_out(self, source: Source) -> list[Item]:
        """Do all of it; returns what went wrong."""
        problems = await asyncio.to_thread(self._secrets)
        if self._plan.config:
            for name, value in self._plan.variables.items():
                await asyncio.to_thread(write_back, source.env_file, (name,), Secret(value))
            writer = Writer(OPERATOR, "import")
            await asyncio.to_thread(
                write_config, source.path, self._plan.config, base_hash=None, writer=writer, clock=self._clock
            )
        if self._state.workspace.is_dir():
            problems += await asyncio.to_thread(copy_new_files, self._state.workspace, self._folder / "workspace")
        for session in self._plan.sessions:
            await self._session(session)
        for device in self._plan.devices:
            await self._device(device)
        now = self._clock.now()

        def allow(c: Any) -> None:  # noqa: ANN401 - a unit of work
            for sender in self._plan.allow:
                store.allow_dm(c, "discord", sender, "", now)

        await self._db.write(allow)
        return problems + await self._jobs()

    def _secrets(self) -> list[Item]:
        """Through the gateway's own commands: this tenant never holds a sign-in."""
        problems = []
        for name, value in self._plan.secrets.items():
            said = self._gateway("secrets", "set", name, given=value)
            problems += [Item("secret", name, "refused", said)] if said else []
        for provider, file in self._plan.sign_ins.items():
            said = self._gateway("auth", "import", provider, str(file))
            problems += [Item("sign-in", provider, "refused", said)] if said else []
        return problems

    def _gateway(self, *words: str, given: str = "") -> str:
        """Run a ``clawgate`` command; returns what it complained about, nothing when it worked."""
        command = [sys.executable, "-m", "gateway.cli.main", *words, "--state", str(self._paths.state)]
        try:
            done = subprocess.run(
                command, input=given.encode(), capture_output=True, check=False, timeout=_CALL_S, env=None
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return type(error).__name__
        said = done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}"
        return said if done.returncode else ""

    async def _session(self, session: OldSession) -> None:
        now = self._clock.now()
        if session.transcript is not None:
            target = self._folder / "agents" / AGENT_ID / "sessions" / f"{session.session_id}.jsonl"
            await asyncio.to_thread(_write_conversation, session.transcript, target, session.session_id, now)
        entry = session.entry
        updated = _moment(entry.get("updatedAt")) or now
        row = SessionRow(
            key=session.key,
            session_id=session.session_id,
            chat_type="channel" if ":channel:" in session.key else "direct",
            channel="discord" if ":discord:" in session.key else "webchat",
            display_name=_text(entry.get("displayName")),
            last_to=_text(entry.get("lastTo")),
            created_at=updated,
            updated_at=updated,
            input_tokens=count(entry.get("inputTokens")),
            output_tokens=count(entry.get("outputTokens")),
        )
        await self._db.write(lambda c: store.save_session(c, row))

    async def _device(self, record: Mapping[str, Any]) -> None:
        now = self._clock.now()
        row = DeviceRow(
            device_id=str(record["deviceId"]),
            public_key=str(record["publicKey"]),
            display_name=_text(record.get("displayName")),
            platform=str(record.get("platform") or ""),
            device_family=str(record.get("deviceFamily") or ""),
            client_id=str(record.get("clientId") or ""),
            client_mode=str(record.get("clientMode") or ""),
            role=str(record.get("role") or "operator"),
            roles=tuple(str(role) for role in record.get("roles") or ["operator"]),
            scopes=tuple(str(scope) for scope in record.get("scopes") or []),
            remote_ip=_text(record.get("remoteIp")),
            created_at=_moment(record.get("createdAtMs")) or now,
            approved_at=_moment(record.get("approvedAtMs")) or now,
        )
        await self._db.write(lambda c: store.save_device(c, row))

    async def _jobs(self) -> list[Item]:
        jobs = CronJobs(self._db, load_config(self._paths, self._tenant).cron, self._clock)
        problems = []
        for job_id, spec in self._plan.jobs.items():
            try:
                await jobs.add(spec, key=f"import.{job_id}")
            except GatewayError as error:
                problems.append(Item("job", job_id, "refused", error.detail))
        return problems


def _write_conversation(source: Path, target: Path, session_id: str, now: datetime) -> None:
    if not target.exists():
        write_private(target, "".join(read_conversation(source, session_id, now).lines))


def read_conversation(source: Path, session_id: str, now: datetime) -> Conversation:
    """An original's transcript file in our form."""
    with source.open(encoding="utf-8", errors="replace") as lines:
        return convert(lines, session_id, now)


def _moment(value: Any) -> datetime | None:  # noqa: ANN401 - not checked yet
    try:
        return datetime.fromtimestamp(value / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _text(value: Any) -> str | None:  # noqa: ANN401 - not checked yet
    return value if isinstance(value, str) and value else None
