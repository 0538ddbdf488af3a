"""Examinations of an installation: with the code of a start, so that none is green when a start would refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from openclaw.agent.mcp.policy import load_mcp_policy
from openclaw.config.issues import told
from openclaw.config.snapshot import Checked, Source
from openclaw.gateway import MIGRATIONS
from shared.config.paths import Paths
from shared.doctor.rows import Level, Row
from shared.doctor.state import database_rows, folder_rows, lock_rows, port_rows
from shared.errors import Invalid, Unavailable
from shared.lifecycle.control import call
from shared.maintenance.policy import MaintenancePolicy
from shared.storage import Database


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined.

    Attributes:
        checked: the configuration as a start would take it.
        running: the running tenant's own status; None when it is not running.
    """

    paths: Paths
    tenant: str
    checked: Checked
    running: dict[str, Any] | None

    @classmethod
    def of(cls, paths: Paths, tenant: str) -> Patient:
        """Look once."""
        try:
            running = call(paths.control_socket(tenant), "status", timeout_s=5.0)
        except Unavailable:
            running = None
        return cls(paths, tenant, Source.of(paths, tenant).check(), running)

    @property
    def folder(self) -> Path:
        """The tenant's state."""
        return self.paths.tenant(self.tenant)


def _config(patient: Patient) -> Iterator[Row]:
    checked = patient.checked
    if checked.snapshot is None:
        for issue in checked.issues:
            yield Row(
                "config.invalid",
                "fail",
                told([issue]),
                "openclaw config unset PATH, or edit the named line",
                "config.openclaw_json",
            )
        return
    known = "valid" if checked.document.exists else "not there: the policy's values hold"
    yield Row("config.valid", "ok", f"{checked.document.path}: {known}")
    for issue in checked.snapshot.warnings():
        yield Row("config.unused", "note", issue.told(), "it may stay")
    for decision in checked.snapshot.decisions:
        if decision.reason and decision.wanted is not None and decision.decided_by.startswith("policies/"):
            detail = f"{decision.path} is not what openclaw.json asks for: {decision.reason}"
            yield Row("config.ceiling", "note", detail, f"openclaw config get {decision.path} --effective")


def _pending(patient: Patient) -> Iterator[Row]:
    state = (patient.running or {}).get("config")
    if state is None:
        return
    if state["state"] == "pending-invalid":
        what = "; ".join(f"{issue['path']}: {issue['message']}" for issue in state["issues"])
        yield Row("config.pending", "fail", f"pending invalid, the last good one is in force: {what}", "mend the file")
    if state["waitsForRestart"]:
        waits = ", ".join(state["waitsForRestart"])
        yield Row("config.restart", "warn", f"changed and not in force yet: {waits}", "clawgate restart openclaw")


def _folder(patient: Patient) -> Iterator[Row]:
    return folder_rows(patient.folder)


def _lock(patient: Patient) -> Iterator[Row]:
    what = f"the tenant {patient.tenant}"
    return lock_rows(patient.paths.pid_file(patient.tenant), what=what, answers=patient.running is not None)


def _port(patient: Patient) -> Iterator[Row]:
    if patient.checked.snapshot is None:
        return
    policy = patient.checked.snapshot.policy
    serves = f"serving on {patient.running['http_url']}" if patient.running is not None else ""
    yield from port_rows(policy.bind, policy.port, serves=serves, setting="gateway.port")


def _servers(patient: Patient) -> Iterator[Row]:
    load_mcp_policy(patient.paths)
    MaintenancePolicy.load(patient.paths)
    yield Row("policies", "ok", "mcp.toml and maintenance.toml are valid")


def _database(patient: Patient) -> Iterator[Row]:
    path = patient.paths.tenant_db(patient.tenant)
    restore = f"clawgate backup restore {patient.tenant} --to FOLDER"
    return database_rows(Database(path, migrations=MIGRATIONS), path, restore=restore)


def _models(patient: Patient) -> Iterator[Row]:
    if patient.checked.snapshot is None:
        return
    from shared.providers.catalog import shipped_catalog

    agent = patient.checked.snapshot.policy.agent
    for number, ref in enumerate((agent.model, *agent.fallbacks)):
        try:
            shipped_catalog().find(ref)
        except Invalid as error:
            level: Level = "warn" if number or agent.fallbacks else "fail"
            yield Row("models", level, f"{ref}: {error.detail}", "openclaw config set agents.defaults.model …")
        else:
            yield Row("models", "ok", ref)


def _channels(patient: Patient) -> Iterator[Row]:
    if patient.running is None:
        yield Row("running", "warn", "OpenClaw is not running", "clawgate up")
        return
    yield Row("running", "ok" if patient.running["ready"] else "warn", patient.running["summary"])
    for channel in patient.running["channels"]:
        if channel["state"] == "failed":
            yield Row(
                "channels", "fail", f"{channel['name']}: {channel.get('reason', '')}", "clawgate auth, docs/discord.md"
            )


EXAMINATIONS: Final[tuple[Callable[[Patient], Iterable[Row]], ...]] = (
    _config,
    _pending,
    _folder,
    _lock,
    _port,
    _servers,
    _database,
    _models,
    _channels,
)
