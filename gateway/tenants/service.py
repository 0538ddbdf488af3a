"""Adding a tenant in one step and removing one; what runs is told, and the others go on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

from gateway.credentials.vault import open_vault
from gateway.settings import Settings
from gateway.tenants.models import Done, Tenant
from gateway.tenants.names import TenantKind, decide_name
from shared.config.paths import Paths
from shared.config.toml import operator_file, policy_files, policy_values
from shared.config.tomlwrite import drop_table, overlay_file
from shared.doctor.state import port_problem
from shared.errors import Conflict, Denied, GatewayError, Invalid, NotFound, Unavailable
from shared.lifecycle.control import call
from shared.secrets.files import write_private

_LOOPBACK = "127.0.0.1"
_FIRST_FREE_PORT = 18791
"""18789 is the first OpenClaw's; nothing listens on 18790 (policy)."""
_KINDS: Final[tuple[TenantKind, ...]] = ("nanoclaw", "openclaw")
_CHANGE_S = 180.0

Told = Literal["supervisor", "gateway", "nobody"]


def list_tenants(paths: Paths) -> list[Tenant]:
    """Every tenant that policy knows; blocks.

    Raises:
        ConfigError: a policy file or ``.env`` is wrong.
    """
    settings = Settings.load(paths)
    found = []
    for name, tenant in settings.policy.tenants.items():
        secrets = settings.tenant_secrets(name)
        user = settings.user_of(name)
        found.append(
            Tenant(
                name,
                tenant.kind,
                "off" if not tenant.enabled else "runs" if is_running(paths, name) else "stopped",
                _port_of(paths, name) if tenant.kind == "openclaw" else None,
                str(user.uid) if user else "",
                bool(secrets.get("discord_bot_token") or secrets.get("slack_bot_token")),
                str(policy_files(tenant.kind, paths, tenant=name)[-1]),
            )
        )
    return found


def add(paths: Paths, name: str, kind: TenantKind, *, port: int | None = None, called: str = "") -> Done:
    """Write down a further tenant, and have what runs start it; blocks.

    Args:
        paths: the installation.
        name: its name.
        kind: which product it runs.
        port: an OpenClaw's; the first free one when left out.
        called: a NanoClaw's name in chats; the tenant's when empty.

    Raises:
        Invalid: the name or the port cannot be.
        Conflict: there is such a tenant, or the port is taken; nothing was changed.
        ConfigError: a policy file is wrong; nothing was changed.
    """
    settings = Settings.load(paths)
    _require_name(settings, name, kind)
    own = policy_files(kind, paths, tenant=name)[-1]
    if kind == "openclaw":
        mine: dict[str, Any] = {"port": _choose_port(settings, name, port)}
    else:
        mine = {"assistant_name": called or name}
    model = settings.policy.tenants.get(kind)
    entry: dict[str, Any] = {"kind": kind, "routes": list(model.routes if model else ()), "enabled": True}
    gateway = operator_file("gateway", paths)
    with _kept(gateway, own):
        if name != kind:
            overlay_file(own, mine)
        overlay_file(gateway, {"tenants": {name: entry}})
        Settings.load(paths)
    told = take_up(paths)
    details = ", ".join(f"{key} {value}" for key, value in mine.items())
    lines = [f"{gateway}: {name}, a {kind}", *([f"{own}: {details}"] if name != kind else [])]
    return Done(name, (*lines, _said(told, f"{name} was started")), tuple(_after_adding(paths, name, kind, told)))


def remove(paths: Paths, name: str, *, purge: bool) -> Done:
    """Stop a tenant and start it no more; its state stays unless purged. Blocks.

    Raises:
        NotFound: there is no such tenant.
        Conflict: the installation would be without any, the owner's notices go through it, or it runs and nobody can
            stop it from here.
    """
    settings = Settings.load(paths)
    if name not in settings.policy.tenants:
        raise NotFound(
            f"there is no tenant {name!r}; there are: {', '.join(settings.policy.tenants)}", code="tenants.none"
        )
    if settings.policy.notices.tenant == name:
        raise Conflict(
            "the owner's notices go through it: name another under [notices] in policies/gateway.toml first",
            code="tenants.notices",
        )
    if set(settings.enabled_tenants()) == {name}:
        raise Conflict(f"{name} is the only tenant: `clawgate uninstall` takes everything away", code="tenants.last")
    kind = settings.policy.tenants[name].kind
    gateway = operator_file("gateway", paths)
    overlay_file(gateway, {"tenants": {name: {"kind": kind, "enabled": False}}})
    told = take_up(paths)
    lines = [f"{gateway}: {name} is off", _said(told, f"{name} was stopped")]
    if is_running(paths, name):
        unit = unit_of(name, kind)
        raise Conflict(
            f"{name} is off from its next start, and still runs: sudo systemctl disable --now {unit}"
            f" (in Compose: stop its service){', then run this again' if purge else ''}",
            code="tenants.runs",
        )
    if not purge:
        return Done(name, (*lines, f"{paths.tenant(name)} is kept, and so are its secrets; --purge deletes both"), ())
    return Done(name, (*lines, *_purge(paths, name)))


def take_up(paths: Paths) -> Told:
    """Have what runs take up the tenants that policy has now; says who was told.

    Raises:
        GatewayError: it refused; policy stays as it is, and the message says why.
    """
    asked: tuple[tuple[str, Told], ...] = (("up", "supervisor"), ("gateway", "gateway"))
    for process, told in asked:
        try:
            call(paths.control_socket(process), "tenants_changed", timeout_s=_CHANGE_S)
        except Unavailable as error:
            if error.code != "control.not_running":
                raise
        else:
            return told
    return "nobody"


def unit_of(name: str, kind: str) -> str:
    """The systemd unit of a tenant."""
    return f"{name}.service" if name == kind else f"{kind}@{name}.service"


def is_running(paths: Paths, name: str) -> bool:
    """Whether a process answers, or holds its socket without answering."""
    try:
        call(paths.control_socket(name), "status", timeout_s=3.0)
    except GatewayError as error:
        return error.code != "control.not_running"
    return True


def _require_name(settings: Settings, name: str, kind: TenantKind) -> None:
    if reason := decide_name(name, kind):
        raise Invalid(reason, code="tenants.name")
    known = settings.policy.tenants.get(name)
    if known is not None and known.enabled:
        raise Conflict(f"there is a tenant {name} already, a {known.kind}", code="tenants.exists")
    if known is not None and known.kind != kind:
        raise Conflict(
            f"{name} was a {known.kind}, and its state is still there: clawgate tenants remove {name} --purge",
            code="tenants.kind",
        )


def _choose_port(settings: Settings, name: str, wanted: int | None) -> int:
    paths = settings.paths
    taken = {
        _port_of(paths, other): other
        for other, tenant in settings.policy.tenants.items()
        if tenant.kind == "openclaw" and other != name
    }
    taken |= {settings.policy.model_api.port: "the model API", 18790: "nothing, on purpose (policy)"}
    if wanted is None:
        ports = range(_FIRST_FREE_PORT, 65536)
        return next(port for port in ports if port not in taken and not port_problem(_LOOPBACK, port))
    if wanted in taken:
        raise Conflict(f"port {wanted} belongs to {taken[wanted]}", code="tenants.port")
    if port_problem(_LOOPBACK, wanted):
        raise Conflict(f"port {wanted} is in use: choose another, or leave --port out", code="tenants.port")
    return wanted


def _port_of(paths: Paths, name: str) -> int:
    return int(policy_values("openclaw", paths, tenant=name).get("port", 0))


class _kept:  # noqa: N801 - a context, read as one
    """Files come back as they were when the block fails."""

    def __init__(self, *files: Path) -> None:
        self._before = {path: path.read_text(encoding="utf-8") if path.exists() else None for path in files}

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, failure: type[BaseException] | None, *_rest: object) -> None:
        if failure is None:
            return
        for path, text in self._before.items():
            if text is None:
                path.unlink(missing_ok=True)
            else:
                write_private(path, text, mode=0o644)


def _said(told: Told, done: str) -> str:
    if told == "supervisor":
        return f"{done}; the others did not notice"
    return "the gateway knows" if told == "gateway" else "nothing runs now; it counts from the next start"


def _after_adding(paths: Paths, name: str, kind: TenantKind, told: Told) -> Iterator[str]:
    option = paths.state_option
    yield f"clawgate init{option} --token {name}=@FILE    # its own bot's token (docs/setup.md)"
    if told == "supervisor":
        yield f"clawgate restart{option} {name}"
    elif told == "gateway":
        yield f"sudo clawgate install systemd{option} --apply && sudo systemctl enable --now {unit_of(name, kind)}"
    else:
        yield f"clawgate up{option}"
    if kind == "openclaw":
        yield f"clawgate init{option} --server {name}=SERVER_ID"
        yield f"openclaw dashboard --tenant {name}{option}"
    else:
        yield f"clawgate init{option} --main {name}=CHANNEL_ID"


def _purge(paths: Paths, name: str) -> Iterator[str]:
    vault = open_vault(paths)

    async def forget() -> int:
        entries = await vault.names(name)
        for entry in entries:
            await vault.delete(name, entry.name)
        return len(entries)

    yield f"{asyncio.run(forget())} secrets of it removed from the vault"
    try:
        if paths.tenant(name).exists():
            shutil.rmtree(paths.tenant(name))
            yield f"{paths.tenant(name)} removed, with everything in it"
    except PermissionError as error:
        raise Denied(
            f"{error.filename} may not be removed by this user: run `clawgate tenants remove {name} --purge` as root",
            code="tenants.purge",
        ) from None
    if name not in _KINDS:
        operator_file(name, paths).unlink(missing_ok=True)
        drop_table(operator_file("gateway", paths), "tenants", name)
        yield f"{name} is forgotten"
