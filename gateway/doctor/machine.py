"""The machine: room, kernel, users, service files; most of it weakens something rather than stopping a start."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from gateway.app import build_rooms
from gateway.doctor.patient import Patient
from gateway.host.firewall import saved_rules
from gateway.host.ports import BRIDGE_PORT, UI_PORT
from gateway.host.service import examine_memory_and_swap, examine_ports
from gateway.units.install import OLDEST_SYSTEMD, installation_of, look
from gateway.units.render import GATEWAY_UNIT, UNIT_FOLDER, is_ours
from gateway.workers.room import MB
from shared.config.paths import SERVICE_STATE
from shared.containment import landlock
from shared.doctor.rows import Row
from shared.errors import GatewayError

_GIB = 1 << 30
_DISK_FULL_BYTES = 256 << 20
"""Below this SQLite's log and a worker's answer no longer surely fit."""
_DISK_LOW = 2 * _GIB
_SYSTEMD_PATIENCE_S = 10.0


def _disk(patient: Patient) -> Iterator[Row]:
    place = next(place for place in (patient.paths.state, *patient.paths.state.parents) if place.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / _GIB:.1f} GB free where the state is ({place})"
    fix = "clawgate maintenance run logs.delete; clawgate maintenance run docker.prune; journalctl --vacuum-size=500M"
    if free < _DISK_FULL_BYTES:
        yield Row("disk", "fail", detail, fix, "disk.full")
    elif free < _DISK_LOW:
        yield Row("disk", "warn", detail, fix)
    else:
        yield Row("disk", "ok", detail)


def _rooms(patient: Patient) -> Iterator[Row]:
    """What tenants and their groups take, measured now."""
    if patient.settings is None:
        return
    rooms = build_rooms(patient.settings)
    asyncio.run(rooms.measure_all(patient.settings.enabled_tenants()))
    for use in rooms.known():
        if use.standing != "ok":
            yield Row("disk.budget", "warn", use.in_words())
        elif not use.group:
            yield Row("disk.budget", "ok", f"{use.tenant} takes {use.used_bytes // MB} of {use.limit_bytes // MB} MB")


def _memory(patient: Patient) -> Iterator[Row]:
    if patient.settings is None:
        return
    yield from examine_memory_and_swap(patient.settings.policy)


def _ports(patient: Patient) -> Iterator[Row]:
    """Who listens where, and what the saved firewall rules open; `clawgate host check` also tries the ports."""
    if patient.settings is None:
        return
    model_api = patient.settings.policy.model_api.port
    yield from examine_ports(model_api, connects=lambda _address, _port: False)
    yield from saved_rules((UI_PORT, BRIDGE_PORT, model_api))


def _users(patient: Patient) -> Iterator[Row]:
    if (settings := patient.settings) is None:
        return
    shared = [name for name in settings.enabled_tenants() if settings.user_of(name) is None]
    if shared:
        detail = f"{', '.join(shared)} and the gateway share one user: whoever takes one over can read the others"
        yield Row("users", "warn", detail, "sudo clawgate install systemd --apply gives each a user of its own")
    else:
        yield Row("users", "ok", "every tenant runs as a user of its own")


def _kernel(patient: Patient) -> Iterator[Row]:
    if patient.settings is not None and not patient.settings.tenants_of("openclaw"):
        return
    version = landlock.abi()
    if missing := landlock.gaps(version):
        weaker = "; ".join(missing)
        detail = f"Landlock {version or 'is not there'}: commands of OpenClaw's agent are contained less: {weaker}"
        yield Row("kernel", "warn", detail, "a newer kernel, with `landlock` in its lsm= list")
    else:
        yield Row("kernel", "ok", f"Landlock {version} contains commands of OpenClaw's agent")


def _units(patient: Patient) -> Iterator[Row]:
    installed = patient.root / UNIT_FOLDER / GATEWAY_UNIT
    text = installed.read_text(encoding="utf-8", errors="replace") if installed.exists() else ""
    if not is_ours(text):
        if patient.paths.state == SERVICE_STATE:
            yield Row("units", "note", "no service of ours is installed", "sudo clawgate install systemd --apply")
        return
    version = _systemd_version()
    if version is not None and version < OLDEST_SYSTEMD:
        detail = f"systemd {version} is too old: it needs {OLDEST_SYSTEMD}"
        yield Row("systemd", "fail", detail, "upgrade the system, or run clawgate up", "units.systemd")
    elif version is not None:
        yield Row("systemd", "ok", f"systemd {version}")
    if patient.settings is None:
        return
    try:
        installation = installation_of(patient.settings, patient.root)
    except GatewayError as error:
        yield Row("units", "note", error.detail)
        return
    if installation.node and re.search(r"^MemoryDenyWriteExecute=yes$", text, re.MULTILINE):
        detail = f'transport = "node" in policies/oauth.toml, and {installed} lets no Node run (MemoryDenyWriteExecute)'
        fix = f"sudo clawgate install systemd --apply; sudo systemctl restart {GATEWAY_UNIT}"
        yield Row("units.node", "fail", detail, fix)
    changes = look(installation, patient.root)
    words = {
        "absent": "is not installed",
        "edited": "was changed by hand",
        "foreign": "is not ours",
        "outdated": "is not what this version and its policies say",
    }
    differing = [change for change in changes if change.standing != "same"]
    for change in differing:
        replace = " --replace" if change.standing in {"edited", "foreign"} else ""
        fix = f"sudo clawgate install systemd --dry-run, then --apply{replace}"
        yield Row("units", "warn", f"{change.target} {words[change.standing]}", fix)
    if not differing:
        yield Row("units", "ok", f"{len(changes)} service files are as we wrote them")


def _systemd_version() -> int | None:
    try:
        done = subprocess.run(
            ["systemctl", "--version"], check=False, capture_output=True, text=True, timeout=_SYSTEMD_PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"systemd (\d+)", done.stdout)
    return int(found[1]) if found else None


EXAMINATIONS: Final[tuple[Callable[[Patient], Iterable[Row]], ...]] = (
    _disk,
    _rooms,
    _memory,
    _ports,
    _users,
    _kernel,
    _units,
)
