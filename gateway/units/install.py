"""Puts units onto the machine, tells which of them somebody changed, and takes them away again."""

from __future__ import annotations

import difflib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.credentials.settings import OAuthPolicy
from gateway.settings import Settings
from gateway.units.render import (
    GATEWAY_UNIT,
    MODEL_API_UNIT,
    UNIT_FOLDER,
    Installation,
    UnitFile,
    is_ours,
    is_untouched,
    render,
    services_of,
)
from gateway.upgrade.layout import lasting_prefix
from shared.config.parse import parse_zone
from shared.errors import ConfigError, Conflict, Denied, Unavailable
from shared.secrets.files import write_private

Standing = Literal["absent", "same", "outdated", "edited", "foreign"]
"""``edited``: ours, changed by hand · ``foreign``: somebody else's under the same name."""

OLDEST_SYSTEMD = 247
"""``LoadCredential`` came with it; Ubuntu 22.04 has 249."""

KEPT_ENDING = ".before-clawgate"
_HOMES = (Path("/home"), Path("/root"))
_CLOUDFLARED_CONFIG = Path("etc/cloudflared/config.yml")
_VAULT_KEYS = re.compile(r"^LoadCredential=vault-keys:(?P<path>/.+)$", re.MULTILINE)
_CREDENTIALS_KEY = re.compile(r"^credentials-file:\s*[\"']?(?P<path>/[^\"'\s#]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    """One file and how it stands."""

    file: UnitFile
    target: Path
    standing: Standing

    def diff(self) -> str:
        """What installing changes, as a unified diff; empty when nothing."""
        before = "" if self.standing == "absent" else self.target.read_text(encoding="utf-8", errors="replace")
        lines = difflib.unified_diff(
            before.splitlines(keepends=True),
            self.file.text.splitlines(keepends=True),
            "/dev/null" if self.standing == "absent" else str(self.target),
            str(self.target),
        )
        return "".join(lines)


def installation_of(settings: Settings, root: Path, *, vault_keys: Path | None = None) -> Installation:
    """What the units of this installation are rendered from.

    Args:
        settings: the installation's.
        root: where the file system begins.
        vault_keys: file with the vault's keys; when not given it stays the one that the installed unit names.

    Raises:
        ConfigError: policies/oauth.toml cannot be used; the state or runtime directory is not where a service's can be.
    """
    paths = settings.paths
    if paths.state.parent != Path("/var/lib"):
        raise ConfigError(
            f"a service keeps its state directly below /var/lib, such as /var/lib/clawgate, not in {paths.state}: "
            "move it there and give --state",
            code="units.state",
        )
    if paths.runtime.parent != Path("/run"):
        raise ConfigError(
            f"a service has its sockets directly below /run, not in {paths.runtime}: leave CLAWGATE_RUNTIME unset",
            code="units.runtime",
        )
    program = Path(__file__).resolve().parents[2]
    places = {Path(sys.prefix), lasting_prefix(), Path(sys.base_prefix).resolve(), program}
    logins = {settings.credential_file("claude_file").parent}
    return Installation(
        state=paths.state,
        runtime=paths.runtime,
        programs=lasting_prefix() / "bin",
        tenants={name: tenant.kind for name, tenant in settings.enabled_tenants().items()},
        zone=parse_zone(settings.policy.workers.timezone),
        in_homes=sorted(place for place in places if _in_home(place)),
        logins=sorted(place for place in logins if _in_home(place)),
        vault_keys=vault_keys or _installed_vault_keys(root),
        tunnel=_tunnel_of(root),
        model_api=settings.policy.model_api.enabled,
        node=OAuthPolicy.load(paths).claude.transport == "node",
    )


def look(installation: Installation, root: Path) -> list[Change]:
    """How every file stands."""
    return [Change(file, root / file.path, _standing(file, root / file.path)) for file in render(installation)]


def apply(changes: Sequence[Change], installation: Installation, root: Path, *, replace: bool) -> Iterator[str]:
    """Install; yields what was done, a line at a time. Nothing is started.

    Args:
        changes: from `look`.
        installation: what they were rendered from.
        root: where the file system begins; another one than ``/`` only gets the files.
        replace: also files that are not as we wrote them; each is kept beside the new one, and what units of others
            run is stopped first.

    Raises:
        Conflict: such files are there, and are to stay; names them. Nothing was changed.
        Denied: this process may not write there.
        Unavailable: systemd is missing, too old, or refused.
    """
    in_the_way = [change for change in changes if change.standing in {"edited", "foreign"}]
    if in_the_way and not replace:
        raise Conflict(
            f"{_named(in_the_way)}\n--replace puts ours there, keeps each as *{KEPT_ENDING}, and stops what units of "
            "others run",
            code="units.edited",
        )
    if root == Path("/"):
        _require_systemd()
    for change in in_the_way:
        if change.standing == "foreign" and change.target.suffix == ".service" and "@" not in change.file.name:
            yield from _retire(change.file.name, root)
    for change in changes:
        if change.standing == "same":
            continue
        try:
            if change in in_the_way:
                shutil.copy2(change.target, change.target.with_name(change.target.name + KEPT_ENDING))
            write_private(change.target, change.file.text, mode=0o644)
        except PermissionError:
            raise Denied(
                f"{change.target} may not be written by this user: run this with sudo", code="units.root"
            ) from None
        yield f"{change.target}: {'written' if change.standing == 'absent' else f'replaced ({change.standing})'}"
    if root == Path("/"):
        services = services_of(installation)
        for command in (
            ["systemd-sysusers"],
            ["systemctl", "daemon-reload"],
            ["systemctl", "enable", *services],
        ):
            _run(command)
            yield " ".join(command)
        yield f"start with: systemctl start {' '.join(services)}"


def _retire(unit: str, root: Path) -> Iterator[str]:
    """Stop what somebody else's unit runs, and have it start no more: it holds our ports, and `start` would keep it."""
    if root == Path("/"):
        command = ["systemctl", "disable", "--now", unit]
    elif shutil.which("systemctl") is not None:
        command = ["systemctl", f"--root={root}", "disable", unit]
    else:
        return
    _run(command)
    yield " ".join(command)


def remove(root: Path, *, replace: bool) -> Iterator[str]:
    """Take our units away; state, users and what somebody changed stay. Yields what was done.

    Raises:
        Denied: this process may not do that.
        Unavailable: systemd refused.
    """
    found = [path for path in _candidates(root) if is_ours(path.read_text(encoding="utf-8", errors="replace"))]
    running = root == Path("/") and shutil.which("systemctl") is not None
    units = [path.name for path in found if path.suffix == ".service" and "@" not in path.name]
    if running and units:
        _run(["systemctl", "disable", "--now", *reversed(units)])
        yield f"systemctl disable --now {' '.join(reversed(units))}"
    for path in found:
        if not is_untouched(path.read_text(encoding="utf-8", errors="replace")) and not replace:
            yield f"{path}: kept, it was changed by hand (--replace removes it too)"
            continue
        try:
            path.unlink()
        except PermissionError:
            raise Denied(f"{path} may not be removed by this user: run this with sudo", code="units.root") from None
        yield f"{path}: removed"
    if running and units:
        _run(["systemctl", "daemon-reload"])


def _candidates(root: Path) -> Iterable[Path]:
    places = ("etc/sysusers.d", "etc/systemd/system", "etc/systemd/journald.conf.d")
    names = ("clawgate*", "nanoclaw*.service", "openclaw*.service", "cloudflared.service", MODEL_API_UNIT)
    return sorted(
        path
        for place in places
        for name in names
        for path in (root / place).glob(name)
        if path.is_file() and not path.is_symlink()
    )


def _standing(file: UnitFile, target: Path) -> Standing:
    try:
        text = target.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return "absent"
    if text == file.text:
        return "same"
    if not is_ours(text):
        return "foreign"
    return "outdated" if is_untouched(text) else "edited"


def _named(changes: Sequence[Change]) -> str:
    reasons = {"edited": "was changed by hand after we wrote it", "foreign": "was not written by us"}
    return "\n".join(f"{change.target} {reasons[change.standing]}" for change in changes)


def _installed_vault_keys(root: Path) -> Path | None:
    """What the gateway's unit of an earlier installation names, so that writing it anew does not lock the vault."""
    try:
        text = (root / UNIT_FOLDER / GATEWAY_UNIT).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = _VAULT_KEYS.search(text) if is_ours(text) else None
    return Path(found["path"]) if found else None


def _tunnel_of(root: Path) -> tuple[Path, Path] | None:
    """The tunnel's program and credential file, where a tunnel is set up."""
    program = shutil.which("cloudflared")
    try:
        found = _CREDENTIALS_KEY.search((root / _CLOUDFLARED_CONFIG).read_text(encoding="utf-8"))
    except OSError:
        return None
    return (Path(program), Path(found["path"])) if program and found else None


def _in_home(place: Path) -> bool:
    return any(place.is_relative_to(home) for home in _HOMES)


def _require_systemd() -> None:
    text = _run(["systemctl", "--version"])
    found = re.match(r"systemd (\d+)", text)
    if not found or int(found[1]) < OLDEST_SYSTEMD:
        raise Unavailable(
            f"systemd {found[1] if found else '(unknown)'} is too old: {OLDEST_SYSTEMD} or newer is needed",
            code="units.systemd",
        )


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        raise Unavailable(
            f"{command[0]} is not on this machine: this is for systems with systemd", code="units.systemd"
        ) from None
    if done.returncode:
        raise Unavailable(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}", code="units.systemd")
    return done.stdout
