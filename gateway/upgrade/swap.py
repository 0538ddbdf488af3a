"""Putting a new version in the old one's place: beside it first, tried, then one link and one restart."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gateway.maintenance.report import processes_of
from gateway.units.render import GATEWAY_UNIT, UNIT_FOLDER, is_ours
from gateway.upgrade.layout import environment_in_use, link_beside, switch
from gateway.upgrade.models import Report
from shared.backup.snapshot import copy_database
from shared.config.paths import Paths
from shared.config.process import child_environment, environment, program_version
from shared.errors import Conflict, GatewayError, Invalid, Unavailable
from shared.lifecycle.control import call
from shared.secrets.keyring import KEYS_VARIABLE

_WHEEL = re.compile(r"clawgate-(?P<version>[0-9][A-Za-z0-9.+!]*)-py3-none-any\.whl")
_HANDED_ON: Final = ("DOCKER_HOST", "CLAWGATE_RUNTIME", KEYS_VARIABLE, "TMPDIR")
_COME_UP_S = 180.0
_LOOK_EVERY_S = 0.3

Say = Callable[[str], None]


def prepare(source: Path, say: Say) -> tuple[Path, bool]:
    """The environment with the new version; says whether it was made here.

    Args:
        source: a wheel of ours, or an environment that has it.
        say: told what is done.

    Raises:
        Invalid: it is neither.
        Conflict: an environment of that version is there, or it is the one in use.
        Unavailable: it could not be installed; nothing of it is left.
    """
    if source.is_dir():
        target = source.resolve()
        if not (target / "bin" / "python").exists():
            raise Invalid(f"{source} is no Python environment: it has no bin/python", code="upgrade.source")
        if target == environment_in_use():
            raise Conflict(f"{source} is the environment in use", code="upgrade.same")
        return target, False
    found = _WHEEL.fullmatch(source.name)
    if found is None or not source.is_file():
        raise Invalid(
            f"{source} is neither a file clawgate-VERSION-py3-none-any.whl nor a Python environment",
            code="upgrade.source",
        )
    target = environment_in_use().parent / found["version"]
    if target.exists():
        raise Conflict(f"{target} is there already: give that folder to --to, or remove it", code="upgrade.there")
    say(f"installing {source.name} into {target}")
    try:
        _run([sys.executable, "-m", "venv", str(target)])
        _run(
            [str(target / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(source)]
        )
    except Unavailable:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return target, True


def tried(target: Path, paths: Paths) -> Report:
    """What the new version's own `upgrade check` says of this installation; blocks for a minute or so.

    Raises:
        Unavailable: it says nothing that can be read.
    """
    words = [str(target / "bin/python"), "-m", "gateway.cli.main", "upgrade", "check", "--build"]
    done = subprocess.run(
        [*words, "--state", str(paths.state), "--json"],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env=_environment(),
    )
    try:
        return Report.from_json(json.loads(done.stdout))
    except (ValueError, KeyError, TypeError):
        said = (done.stdout + done.stderr).strip()[-400:]
        raise Unavailable(
            f"the new version could not be tried: {said or done.returncode}; the old one runs on", code="upgrade.check"
        ) from None


def keep_databases(paths: Paths) -> Path:
    """Copies of all databases as this version leaves them; an earlier attempt's are replaced. Blocks."""
    folder = paths.before_upgrade(program_version())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    for process in processes_of(paths):
        if process.database.exists():
            copy_database(process.database, folder / process.database.name)
    return folder


def put_in_place(target: Path) -> tuple[Path, Path]:
    """Have the link lead to the new environment; returns the link and the environment it led to before.

    Raises:
        Conflict: something else lies where the link belongs.
        Unavailable: the folder cannot be written.
    """
    before = environment_in_use()
    link = link_beside(before)
    if link.exists() and not link.is_symlink():
        raise Conflict(f"{link} is not a link; move it away", code="upgrade.link")
    try:
        switch(link, target)
    except OSError as error:
        raise Unavailable(f"{link} cannot be set: {error.strerror}; run this with sudo", code="upgrade.link") from None
    return link, before


def restart(target: Path, paths: Paths, say: Say) -> bool:
    """Have what runs go on as the new version, and wait until it does; false when nothing of ours runs here.

    Raises:
        Unavailable: it did not come up.
    """
    try:
        call(paths.control_socket("up"), "succeed", program=str(target / "bin/python"))
    except Unavailable as error:
        if error.code != "control.not_running":
            raise
        return _restart_units(target, paths, say)
    asyncio.run(_until_new(target, paths))
    return True


async def _until_new(target: Path, paths: Paths) -> None:
    """Wait until the new version's processes are ready."""
    try:
        async with asyncio.timeout(_COME_UP_S):
            while True:
                if await asyncio.to_thread(_is_new, target, paths):
                    return
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError:
        raise Unavailable(
            f"the new version is not up after {_COME_UP_S:.0f} s: clawgate status, clawgate doctor", code="upgrade.slow"
        ) from None


def _is_new(target: Path, paths: Paths) -> bool:
    try:
        about: dict[str, Any] = call(paths.control_socket("up"), "about", timeout_s=5.0)
        processes = call(paths.control_socket("up"), "status", timeout_s=5.0)
    except GatewayError:
        return False  # between the two
    is_target = Path(about["program"]).parent.parent.resolve() == target
    return is_target and len(processes) > 1 and all(process["state"] == "ready" for process in processes)


def _restart_units(target: Path, paths: Paths, say: Say) -> bool:
    """Under systemd: service files of the new version where they differ, then a restart of every service."""
    unit = Path("/") / UNIT_FOLDER / GATEWAY_UNIT
    if not unit.exists() or not is_ours(unit.read_text(encoding="utf-8", errors="replace")):
        return False
    program = [str(target / "bin/python"), "-m", "gateway.cli.main", "install", "systemd", "--state", str(paths.state)]
    _run([*program, "--apply"])
    services = [GATEWAY_UNIT, "nanoclaw*.service", "openclaw*.service"]
    _run(["systemctl", "restart", *services])
    say(f"systemctl restart {' '.join(services)}")
    return True


def _environment() -> dict[str, str]:
    return child_environment(**{name: value for name in _HANDED_ON if (value := environment(name))})


def _run(words: list[str]) -> None:
    """Run a command.

    Raises:
        Unavailable: it is not there, or failed; with its last words.
    """
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True, cwd="/")
    except OSError as error:
        raise Unavailable(f"{words[0]}: {error.strerror}", code="upgrade.command") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise Unavailable(f"{' '.join(words[:6])} …: {said or done.returncode}", code="upgrade.command")
