"""Examinations of a NanoClaw with the code of its start, so that none is green when a start would refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from nanoclaw.config import load, with_settings, zone_of
from nanoclaw.schema import MIGRATIONS
from shared.config.paths import Paths
from shared.doctor.rows import Row, refused
from shared.doctor.state import database_rows, folder_rows, lock_rows
from shared.errors import GatewayError, Unavailable
from shared.lifecycle.control import call
from shared.maintenance.policy import MaintenancePolicy
from shared.storage import Database


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined.

    Attributes:
        settings: what the gateway hands over at a start, such as ``ASSISTANT_NAME``.
        running: the running tenant's own status; None when it is not running.
    """

    paths: Paths
    tenant: str
    settings: Mapping[str, str]
    running: dict[str, Any] | None

    @classmethod
    def of(cls, paths: Paths, tenant: str, settings: Mapping[str, str]) -> Patient:
        """Look once."""
        try:
            running = call(paths.control_socket(tenant), "status", timeout_s=5.0)
        except Unavailable:
            running = None
        return cls(paths, tenant, settings, running)


def _policy(patient: Patient) -> Iterator[Row]:
    try:
        policy = with_settings(load(patient.paths, patient.tenant), patient.settings)
        zone = zone_of(patient.settings)
        MaintenancePolicy.load(patient.paths)
    except GatewayError as error:
        yield refused("policy", error, "mend the named line, then: nanoclaw doctor")
        return
    yield Row("policy", "ok", f"valid; it is called {policy.assistant_name}, its clock is {zone.key}")


def _folder(patient: Patient) -> Iterator[Row]:
    return folder_rows(patient.paths.tenant(patient.tenant))


def _lock(patient: Patient) -> Iterator[Row]:
    what = f"the tenant {patient.tenant}"
    return lock_rows(patient.paths.pid_file(patient.tenant), what=what, answers=patient.running is not None)


def _database(patient: Patient) -> Iterator[Row]:
    path = patient.paths.tenant_db(patient.tenant)
    restore = f"clawgate backup restore {patient.tenant} --to FOLDER"
    return database_rows(Database(path, migrations=MIGRATIONS), path, restore=restore)


def _channels(patient: Patient) -> Iterator[Row]:
    if patient.running is None:
        yield Row("running", "warn", f"{patient.tenant} is not running", "clawgate up")
        return
    yield Row("running", "ok", str(patient.running["summary"]))
    for channel in patient.running["channels"]:
        if channel["state"] == "failed":
            yield Row("channels", "fail", f"{channel['name']}: {channel.get('reason', '')}", "docs/discord.md")


EXAMINATIONS: Final[tuple[Callable[[Patient], Iterable[Row]], ...]] = (_policy, _folder, _lock, _database, _channels)
