"""Writing cloudflared's file, checking it, and asking whether the tunnel is up."""

from __future__ import annotations

import asyncio
import json
import pwd
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.tunnel.document import read_document
from gateway.tunnel.policy import TunnelPolicy
from gateway.tunnel.render import render
from gateway.tunnel.validate import Finding, check
from shared.config.paths import Paths
from shared.config.toml import operator_file, policy_values
from shared.config.tomlwrite import overlay_file
from shared.errors import GatewayError, Invalid, NotFound, Unavailable
from shared.http.client import HttpPool
from shared.secrets.files import require_private, write_private

_METRICS_S = 3.0
_MOST_BYTES = 64 << 10
_UNIT = "cloudflared.service"


def allowed_origins(paths: Paths) -> tuple[str, ...]:
    """Origins that OpenClaw's policy lets connect, beside loopback."""
    control_ui = policy_values("openclaw", paths).get("control_ui", {})
    return tuple(control_ui.get("allowed_origins", ()))


def write(policy: TunnelPolicy, paths: Paths, file: Path) -> list[str]:
    """Write cloudflared's file and let its visitors' origin in; what is there already stays as it is.

    Returns:
        What was done, a sentence each.

    Raises:
        Unavailable: the file cannot be written.
    """
    done = []
    text = render(policy)
    before = file.read_text(encoding="utf-8") if file.exists() else None
    if before == text:
        done.append(f"{file} is up to date")
    else:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if before is not None:
                write_private(file.with_name(f"{file.name}.bak"), before, mode=0o644)
            write_private(file, text, mode=0o644)
        except OSError as error:
            raise Unavailable(f"{file} cannot be written: {error.strerror}", code="tunnel.write") from None
        kept = f"; the earlier one is {file.name}.bak" if before is not None else ""
        done.append(f"{file} written{kept}; restart the tunnel: systemctl restart {_UNIT}")
    origins = allowed_origins(paths)
    if policy.origin not in origins:
        overlay_file(operator_file("openclaw", paths), {"control_ui": {"allowed_origins": [*origins, policy.origin]}})
        done.append(f"{policy.origin} allowed in policies/openclaw.toml; restart openclaw: clawgate restart openclaw")
    return done


def every_home() -> set[Path]:
    """Homes of all users of this machine, and ours, which the environment may have put elsewhere."""
    return {Path.home(), *(Path(user.pw_dir) for user in pwd.getpwall())}


def validate(
    policy: TunnelPolicy, paths: Paths, file: Path, homes: Callable[[], set[Path]] = every_home
) -> list[Finding]:
    """All that is wrong with cloudflared's file and what lies around it.

    Args:
        policy: what should hold.
        paths: the installation's.
        file: cloudflared's.
        homes: where an account's certificate may lie, since ``cloudflared tunnel login`` puts it into its user's.

    Raises:
        NotFound: there is no such file.
        Invalid: it cannot be read as a table.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        fix = f"clawgate tunnel config --write --file {file}"
        raise NotFound(f"there is no {file}; write it: {fix}", code="tunnel.no_file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}", code="tunnel.file") from None
    found = check(read_document(text), policy, allowed_origins(paths))
    return found + _around(policy, [file.parent, *sorted(home / ".cloudflared" for home in homes())])


def _around(policy: TunnelPolicy, folders: Iterable[Path]) -> list[Finding]:
    """The tunnel's credentials, and what must not lie on a server."""
    found = []
    credentials = Path(policy.credentials_file).expanduser()
    try:
        if credentials.exists():
            require_private(credentials)
        else:
            text = f"{credentials} is missing: cloudflared cannot run the tunnel"
            found.append(Finding("error", 0, text, "cloudflared tunnel token --cred-file makes it"))
    except GatewayError as error:
        found.append(Finding("error", 0, error.detail, f"chmod 600 {credentials}"))
    except OSError as error:
        found.append(Finding("warning", 0, f"{credentials}: {error.strerror}", "ask as root"))
    for folder in folders:
        certificate = folder / "cert.pem"
        try:
            lies_there = certificate.exists()
        except OSError:
            continue  # a home that is closed to us; root sees them all
        if lies_there:
            text = f"{certificate} can make and delete every tunnel of the account; a server needs it for nothing"
            found.append(Finding("warning", 0, text, "move it to a machine of your own"))
    return found


@dataclass(frozen=True, slots=True)
class Status:
    """How the tunnel is doing.

    Attributes:
        hostname: where people come from.
        connections: to Cloudflare's edge; None when cloudflared does not answer.
        unit: what systemd says of its service; empty without systemd.
        reason: why it is not up; empty when it is.
    """

    hostname: str
    connections: int | None
    unit: str
    reason: str

    @property
    def is_up(self) -> bool:
        """Visitors can come in."""
        return bool(self.connections)

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self) | {"ok": self.is_up}


async def ask(policy: TunnelPolicy) -> Status:
    """Ask cloudflared itself, by its metrics listener, and systemd."""
    connections, reason = await _ready(policy.metrics)
    unit = await _unit_state()
    if connections is None and unit not in {"", "active"}:
        reason = f"{_UNIT} is {unit}: journalctl -u {_UNIT} -n 50"
    return Status(policy.hostname, connections, unit, reason)


async def _ready(metrics: str) -> tuple[int | None, str]:
    async with HttpPool() as http:
        try:
            answer = await http.request(
                "GET", f"http://{metrics}/ready", read_timeout_s=_METRICS_S, max_bytes=_MOST_BYTES
            )
        except GatewayError:
            return None, f"nothing answers at {metrics}: cloudflared is not running, or listens elsewhere"
    try:
        connections = int(json.loads(answer.body)["readyConnections"])
    except (ValueError, KeyError, TypeError):
        return None, f"what answers at {metrics} is not cloudflared"
    return connections, "" if connections else "cloudflared runs and has no connection to the edge"


async def _unit_state() -> str:
    if shutil.which("systemctl") is None:
        return ""
    process = await asyncio.create_subprocess_exec(
        "systemctl", "is-active", _UNIT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await process.communicate()
    return said.decode(errors="replace").strip()


def worst(findings: Sequence[Finding]) -> bool:
    """Whether some finding is an error."""
    return any(finding.level == "error" for finding in findings)
