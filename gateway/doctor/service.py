"""One report about an installation: the gateway's start, the machine, the world outside, and every tenant."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from gateway.cli.auth import Console
from gateway.doctor import boot, machine, world
from gateway.doctor.patient import Patient
from gateway.doctor.tenants import tenant_rows
from shared.config.paths import Paths
from shared.doctor.rows import Row, examine, refused
from shared.errors import GatewayError
from shared.lifecycle.singleton import holder_of
from shared.obs.log import configure_logging

GATEWAY: Final = "gateway"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, by process."""

    rows: dict[str, list[Row]]

    @property
    def is_green(self) -> bool:
        """A start would work."""
        return all(row.level != "fail" for rows in self.rows.values() for row in rows)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        rows = [{"process": name, **row.as_json()} for name, rows in self.rows.items() for row in rows]
        return {"ok": self.is_green, "rows": rows}


def diagnose(paths: Paths, *, offline: bool) -> Report:
    """Look at everything; changes nothing. Blocks.

    Args:
        paths: the installation.
        offline: ask nobody outside this machine.
    """
    configure_logging("clawgate", level="ERROR")
    patient = Patient.of(paths)
    rows = {GATEWAY: [*examine((*boot.EXAMINATIONS, *machine.EXAMINATIONS, *world.EXAMINATIONS), patient)]}
    if patient.settings is None:
        return Report(rows)
    # A gateway that hangs is a row of its own; asking it would take all of the command's patience.
    if GATEWAY in patient.running or holder_of(paths.gateway_lock) is None:
        rows[GATEWAY] += _sign_ins(paths)
    if not offline:
        rows[GATEWAY] += asyncio.run(world.upstream_rows(patient.settings))
    return Report(rows | asyncio.run(tenant_rows(patient, patient.settings)))


def _sign_ins(paths: Paths) -> list[Row]:
    try:
        return list(world.sign_in_rows(Console(paths, as_json=True).ask("auth_status")))
    except GatewayError as error:
        return [refused("sign_ins", error)]
