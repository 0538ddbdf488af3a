"""Would this version take over an installation that another version runs? Everything is tried on copies."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.app import build_engine
from gateway.doctor import boot
from gateway.doctor.patient import Patient
from gateway.doctor.tenants import tenant_rows
from gateway.maintenance.report import Process, processes_of
from gateway.sandbox.canary import lost_rows, rows_of, run_canary
from gateway.settings import Settings, engine_address
from gateway.upgrade.models import Report, Step
from gateway.workers.image.build import ensure_image
from shared.backup.snapshot import copy_database
from shared.config.paths import Paths
from shared.config.process import program_version
from shared.errors import GatewayError
from shared.storage import Database

_CODE: Final = "upgrade.canary"
_FROM_FILES: Final = frozenset({"settings", "policies", "zone", "policy", "config.invalid", "state.writable"})
"""Rows of doctors that this version's reading of the operator's files decides; the others are the machine's."""


async def check(paths: Paths, folder: Path, *, builds_image: bool = False, docker_host: str = "") -> Report:
    """Try this version on copies of an installation, which may run meanwhile.

    Args:
        paths: the installation; nothing in it is changed.
        folder: empty and private; the copies are made there.
        builds_image: build the worker image that this version needs if it is missing.
        docker_host: engine for the canary; the installation's own when empty.
    """
    steps = [await _policies(paths)]
    if not steps[0].ok:
        return Report(program_version(), tuple(steps))
    settings = await asyncio.to_thread(Settings.load, paths)
    steps.append(await _image(settings, builds=builds_image))
    fresh = Paths(folder / "state", folder / "run")
    processes = await asyncio.to_thread(processes_of, paths)
    before: dict[str, Mapping[str, int]] = {}
    for process in processes:
        step, before[process.name] = await _migrate(process, _copy_of(process, fresh))
        steps.append(step)
    if all(step.ok for step in steps):
        steps.append(await _canary(paths, fresh, folder, before, docker_host or _engine_of(settings)))
    return Report(program_version(), tuple(steps))


def _copy_of(process: Process, fresh: Paths) -> Path:
    return fresh.gateway_db if process.name == "gateway" else fresh.tenant_db(process.name)


async def _policies(paths: Paths) -> Step:
    patient = await asyncio.to_thread(Patient.of, paths)
    examinations = (boot.settings, boot.policies, boot.zone)
    rows = await asyncio.to_thread(lambda: [row for examination in examinations for row in examination(patient)])
    if patient.settings is not None:
        rows += [row for found in (await tenant_rows(patient, patient.settings)).values() for row in found]
    wrong = [row.detail for row in rows if row.level == "fail" and _is_of_files(row.id)]
    if wrong:
        return Step("policies", ok=False, detail="; ".join(wrong))
    return Step("policies", ok=True, detail="this version takes all policy files, .env and openclaw.json as they are")


def _is_of_files(row_id: str) -> bool:
    return row_id in _FROM_FILES or row_id.startswith("policies.")


async def _image(settings: Settings, *, builds: bool) -> Step:
    image, engine = settings.policy.workers.image, build_engine(settings)
    try:
        await engine.image_id(image)
    except GatewayError as error:
        if error.code != "engine.image_missing" or not builds:
            return Step(
                "image", ok=error.code == "engine.image_missing", detail=f"{error.detail}; `upgrade run` builds it"
            )
    else:
        return Step("image", ok=True, detail="the worker image is there")
    finally:
        await engine.close()
    try:
        built = await asyncio.to_thread(
            ensure_image, engine_address(settings), progress=lambda _line: None, image=image
        )
    except GatewayError as error:
        return Step("image", ok=False, detail=error.detail)
    return Step("image", ok=True, detail=f"{built.tag} was built")


async def _migrate(process: Process, copy: Path) -> tuple[Step, Mapping[str, int]]:
    """Bring a copy of a database to this version's schema, and count what a person would miss."""
    name = f"database.{process.name}"
    if not process.database.exists():
        return Step(name, ok=True, detail="made at the first start"), {}
    copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        if shutil.disk_usage(copy.parent).free < 3 * process.database.stat().st_size:
            return Step(name, ok=False, detail=f"no room for a copy in {copy.parent}: set TMPDIR to a larger disk"), {}
        await asyncio.to_thread(copy_database, process.database, copy)
        before = await asyncio.to_thread(rows_of, copy)
        database = Database(copy, migrations=process.migrations)
        schema = (await asyncio.to_thread(database.examine)).current
        await database.open()
        await database.close()
        standing = await asyncio.to_thread(database.examine)
        _, lost = await asyncio.to_thread(lost_rows, before, copy)
    except GatewayError as error:
        return Step(name, ok=False, detail=error.detail), {}
    except Exception as error:  # noqa: BLE001 - whatever a migration stumbles over, the answer is no
        return Step(name, ok=False, detail=f"the migration failed: {type(error).__name__}: {error}"), {}
    moved = f"schema {standing.known}" if schema == standing.known else f"schema {schema} → {standing.current}"
    return Step(name, ok=not lost, detail=lost or f"{moved}, {sum(before.values())} rows kept"), before


async def _canary(
    paths: Paths, fresh: Paths, folder: Path, before: Mapping[str, Mapping[str, int]], docker_host: str
) -> Step:
    """Start everything on the copies, in the sandbox."""
    await asyncio.to_thread(_copy_policies, paths, fresh)
    try:
        await run_canary(fresh, folder, docker_host=docker_host, code=_CODE)
    except GatewayError as error:
        return Step("canary", ok=False, detail=error.detail)
    for name, rows in before.items():
        database = fresh.gateway_db if name == "gateway" else fresh.tenant_db(name)
        _, lost = await asyncio.to_thread(lost_rows, rows, database)
        if lost:
            return Step("canary", ok=False, detail=f"{name}: {lost}")
    return Step("canary", ok=True, detail=f"{', '.join(before)}: all came up on the copies and answered")


def _engine_of(settings: Settings) -> str:
    return engine_address(settings) if settings.policy.engine.kind == "docker" else ""


def _copy_policies(paths: Paths, fresh: Paths) -> None:
    if paths.policies.exists():
        shutil.copytree(paths.policies, fresh.policies)
