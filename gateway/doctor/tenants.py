"""Each tenant's own doctor, asked as a command and as the tenant's user: applications never import each other."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from gateway.doctor.patient import Patient
from gateway.settings import Settings
from gateway.supervisor.supervisor import ENTRY_POINTS
from shared.config.process import child_environment
from shared.doctor.rows import Row

_PATIENCE_S = 120.0


async def tenant_rows(patient: Patient, settings: Settings) -> dict[str, list[Row]]:
    """The rows of every tenant that is on."""
    names = list(settings.enabled_tenants())
    found = await asyncio.gather(*(_ask(patient, settings, name) for name in names))
    return dict(zip(names, found, strict=True))


async def _ask(patient: Patient, settings: Settings, name: str) -> list[Row]:
    kind, user, paths = settings.policy.tenants[name].kind, settings.user_of(name), patient.paths
    words = [
        sys.executable,
        "-m",
        ENTRY_POINTS[kind],
        "doctor",
        "--tenant",
        name,
        "--state",
        str(paths.state),
        "--json",
    ]
    if kind == "nanoclaw":
        given = settings.tenant_settings(name)
        words += [word for key, value in given.items() for word in ("--setting", f"{key}={value}")]
    environment = {"CLAWGATE_STATE": str(paths.state), "CLAWGATE_RUNTIME": str(paths.runtime)}
    process = await asyncio.create_subprocess_exec(
        *words,
        env=child_environment(**environment),
        cwd=Path("/"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            said, problems = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return [_silent(name, f"gave no answer within {_PATIENCE_S:.0f} s")]
    try:
        return [Row.from_json(row) for row in json.loads(said)["rows"]]
    except (ValueError, KeyError, TypeError):
        words_said = (said + problems).decode(errors="replace").strip()[-300:]
        return [_silent(name, words_said or f"ended with {process.returncode}")]


def _silent(name: str, why: str) -> Row:
    return Row("doctor", "fail", f"the doctor of {name} could not be asked: {why}", "run it by hand", "doctor.failed")
