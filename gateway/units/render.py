"""Unit files of an installation, as text; nothing here looks at the machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.units.hardening import CALLS, CONFINEMENT, NO_CAPABILITIES, RESTART, Line, written
from gateway.users import user_name_of

GATEWAY_UNIT = "clawgate-gateway.service"
MODEL_API_UNIT = "copilot-api.service"
"""The policy's name of what answers on port 4141 (row G2)."""
UNIT_FOLDER = Path("etc/systemd/system")
_MARK = "# clawgate "
_KINDS = {"nanoclaw": "NanoClaw", "openclaw": "OpenClaw"}
_MEMORY = {"nanoclaw": "1G", "openclaw": "2G"}
"""Limits for the policy's host of 24 GB; source: reference notes on Compose, budget."""


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A file of ours on the machine.

    Attributes:
        path: relative to the root of the file system.
        text: with a first line that tells whether somebody changed it.
    """

    path: Path
    text: str

    @property
    def name(self) -> str:
        """Its base name."""
        return self.path.name


@dataclass(frozen=True, slots=True)
class Installation:
    """What the units are rendered from.

    Attributes:
        state: state directory.
        runtime: runtime directory, directly below ``/run``.
        programs: folder with the three commands.
        in_homes: files and folders below ``/home`` or ``/root`` that the processes need to read: the program itself.
        logins: folders of people's logins that the gateway refreshes; below homes or elsewhere.
        tenants: kind by name.
        vault_keys: the operator's file with the vault's keys, kept outside the state; None when the vault has its own.
        tunnel: the tunnel's program and credential file; None without a tunnel.
        zone: the owner's time zone.
        model_api: the gateway listens for programs of this machine, under the policy's name `MODEL_API_UNIT`.
        node: the gateway starts Node for token calls (transport of ``policies/oauth.toml``).
    """

    state: Path
    runtime: Path
    programs: Path
    tenants: dict[str, str]
    zone: str
    in_homes: Sequence[Path] = ()
    logins: Sequence[Path] = ()
    vault_keys: Path | None = None
    tunnel: tuple[Path, Path] | None = None
    model_api: bool = True
    node: bool = False


def render(of: Installation) -> list[UnitFile]:
    """All files, in the order in which they are installed."""
    units = [_unit(GATEWAY_UNIT, _gateway(of))]
    if of.model_api:
        units.append(_unit(MODEL_API_UNIT, _model_api(of)))
    for kind, title in _KINDS.items():
        if of.tenants.get(kind) == kind:
            units.append(_unit(f"{kind}.service", _tenant(of, kind, kind, title)))
        units.append(_unit(f"{kind}@.service", _tenant(of, "%i", kind, title)))
    if of.tunnel is not None:
        units.append(_unit("cloudflared.service", _tunnel(*of.tunnel)))
    users = [f'u {user_name_of(name)} - "Clawgate tenant {name}" {of.state / name}' for name in of.tenants]
    return [
        _file(Path("etc/sysusers.d/clawgate.conf"), users),
        *units,
        _file(
            Path("etc/systemd/journald.conf.d/clawgate.conf"),
            [
                "[Journal]",
                "# the disk is 45 GB, and logs older than 14 days are not wanted",
                "SystemMaxUse=1G",
                "MaxRetentionSec=14day",
            ],
        ),
    ]


def services_of(of: Installation) -> list[str]:
    """Names to enable and start, in order: the gateway and its port, every tenant, the tunnel last."""
    tenants = [f"{name}.service" if name == kind else f"{kind}@{name}.service" for name, kind in of.tenants.items()]
    return [
        GATEWAY_UNIT,
        *([MODEL_API_UNIT] if of.model_api else []),
        *tenants,
        *(["cloudflared.service"] if of.tunnel is not None else []),
    ]


def is_ours(text: str) -> bool:
    """Whether a file was written by us, changed since or not."""
    return text.startswith(_MARK)


def is_untouched(text: str) -> bool:
    """Whether a file is as we wrote it, whichever version did."""
    first, _, rest = text.partition("\n")
    return first == f"{_MARK}{_digest(rest)}"


def _file(path: Path, lines: Iterable[str]) -> UnitFile:
    rest = "\n".join(lines) + "\n"
    return UnitFile(path, f"{_MARK}{_digest(rest)}\n{rest}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _unit(name: str, lines: Iterable[str]) -> UnitFile:
    return _file(UNIT_FOLDER / name, lines)


def _gateway(of: Installation) -> list[str]:
    vault = [Line("LoadCredential", f"vault-keys:{of.vault_keys}", "the vault's keys, readable by this process alone")]
    lines = [
        *_common(of, "gateway", "1G"),
        Line("ExecStart", f"{of.programs}/clawgate gateway --state {of.state}"),
        *(vault if of.vault_keys is not None else []),
        Line(
            "StateDirectory",
            of.state.name if of.state.parent == Path("/var/lib") else "",
            "its state; it hands each tenant's part over to that tenant's user",
        ),
        Line("StateDirectoryMode", "0711"),
        Line("ReadWritePaths", str(of.state)),
        Line("RuntimeDirectory", of.runtime.name, "sockets; kept while it restarts, since tenants and agents go on"),
        Line("RuntimeDirectoryMode", "0711"),
        Line("RuntimeDirectoryPreserve", "yes"),
        Line("CacheDirectory", "clawgate", "downloads for the worker image"),
        Line("Environment", "XDG_CACHE_HOME=/var/cache/clawgate"),
        *_homes(of, writable=of.logins),
        *CONFINEMENT,
        _pages(of),
        *(_SHOWN_AS_MODEL_API if of.model_api else ()),
        Line(
            "CapabilityBoundingSet",
            "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER",
            "whoever may use the container engine is as good as root; of root's rights it keeps only those by which"
            " folders are handed over to tenants and their agents",
        ),
        Line("AmbientCapabilities", ""),
        *CALLS[:2],
        Line("SystemCallFilter", "@chown", "handing over"),
        CALLS[2],
        Line("UMask", "0077", "what others may enter is opened one by one"),
    ]
    return _sections(
        "Clawgate gateway: credentials, models, workers",
        ["network-online.target", "docker.service"],
        [line for line in lines if line != Line("StateDirectory", "", line.why)],
        wants=[MODEL_API_UNIT] if of.model_api else [],
    )


def _pages(of: Installation) -> Line:
    if of.node:
        why = 'Node, which policies/oauth.toml has ask for tokens (transport = "node"), makes code as it runs'
        return Line("MemoryDenyWriteExecute", "no", why)
    return Line("MemoryDenyWriteExecute", "yes", "no page is both written and run")


_SHOWN_AS_MODEL_API = (
    Line(
        "LogExtraFields",
        f"OBJECT_SYSTEMD_UNIT={MODEL_API_UNIT}",
        f"its lines are shown by `journalctl -u {MODEL_API_UNIT.partition('.')[0]}` too, for it answers on that port",
    ),
)
"""journald knows no aliases; it shows what root says about a unit. Source: systemd.journal-fields(7)."""


def _model_api(of: Installation) -> list[str]:
    """The gateway's port 4141 as a unit: there is no process, since credentials and budgets are the gateway's."""
    command = f"{of.programs}/clawgate model-api"
    lines = [
        Line("Type", "oneshot", "the gateway listens; this opens and closes its port"),
        Line("RemainAfterExit", "yes"),
        Line("Environment", f"CLAWGATE_STATE={of.state} CLAWGATE_RUNTIME={of.runtime} TZ={of.zone}"),
        Line("SyslogIdentifier", MODEL_API_UNIT.partition(".")[0]),
        Line("ExecStart", f"{command} open --state {of.state}", "a gateway that has just started listens already"),
        Line("ExecStop", f"-{command} close --state {of.state}", "a gateway that is gone listens no longer anyway"),
        Line("TimeoutStartSec", "60"),
        Line("TimeoutStopSec", "30"),
        *_homes(of),
        *(line for line in CONFINEMENT if line.name != "RestrictAddressFamilies"),
        Line("RestrictAddressFamilies", "AF_UNIX", "it speaks to the gateway's socket alone"),
        Line("PrivateNetwork", "yes"),
        Line("IPAddressDeny", "any"),
        Line("MemoryDenyWriteExecute", "yes", "no page is both written and run"),
        *NO_CAPABILITIES,
        *CALLS,
        Line("UMask", "0077"),
    ]
    return _sections("Clawgate model API on port 4141", [], lines, bound_to=GATEWAY_UNIT)


def _tenant(of: Installation, name: str, kind: str, title: str) -> list[str]:
    user = user_name_of(name)
    own = of.state / name
    lines = [
        *_common(of, name, _MEMORY[kind]),
        Line("User", user, "a user of its own: it reads no neighbour, and no neighbour reads it"),
        Line("Group", user),
        Line(
            "LoadCredential",
            f"tenant-key:{of.runtime}/t/{name}/key.sock",
            "made by the gateway at each start; nothing it runs can read it",
        ),
        Line("ExecStart", f"{of.programs}/{kind} run --tenant {name} --state {of.state}"),
        Line(
            "StateDirectory", f"{of.state.name}/{name}", "of the whole state it sees its own folder, and the policies"
        ),
        Line("StateDirectoryMode", "0750"),
        Line("TemporaryFileSystem", f"{of.state}:ro"),
        Line("BindPaths", str(own)),
        Line("BindReadOnlyPaths", f"-{of.state}/policies"),
        Line("ReadWritePaths", f"{of.runtime}/c/{name}", "its operator's socket"),
        *_homes(of),
        *CONFINEMENT,
        *NO_CAPABILITIES,
        *CALLS[:2],
        *_contained_commands(kind),
        CALLS[2],
        Line("UMask", "0077"),
    ]
    return _sections(f"Clawgate tenant {name} ({title})", ["network-online.target", GATEWAY_UNIT], lines)


def _contained_commands(kind: str) -> list[Line]:
    if kind == "nanoclaw":
        return [Line("MemoryDenyWriteExecute", "yes", "no page is both written and run")]
    return [
        Line(
            "SystemCallFilter",
            "landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp",
            "it confines the commands its agent runs still further; one of them is node, which makes code as it runs",
        ),
        Line("MemoryDenyWriteExecute", "no"),
    ]


def _tunnel(program: Path, credentials: Path) -> list[str]:
    lines = [
        Line("Type", "notify"),
        Line("NotifyAccess", "main"),
        Line("DynamicUser", "yes", "it needs no user that outlives it"),
        Line("LoadCredential", f"tunnel.json:{credentials}", "the tunnel's own credential, and no account certificate"),
        Line(
            "ExecStart",
            f"{program} --no-autoupdate --config /etc/cloudflared/config.yml tunnel run"
            " --credentials-file ${CREDENTIALS_DIRECTORY}/tunnel.json",
        ),
        *(line for line in RESTART if line.name not in {"WatchdogSec", "RestartPreventExitStatus"}),
        Line("MemoryMax", "512M"),
        Line("TasksMax", "256"),
        Line("ProtectHome", "yes", "nothing of any home"),
        *CONFINEMENT,
        *NO_CAPABILITIES,
        *CALLS,
        Line("UMask", "0077"),
    ]
    return _sections("Cloudflare Tunnel of the Control UI", ["network-online.target", GATEWAY_UNIT], lines)


def _common(of: Installation, name: str, memory: str) -> list[Line]:
    return [
        Line("Type", "notify", "it counts as started when it serves"),
        Line("NotifyAccess", "main"),
        Line("Environment", f"CLAWGATE_STATE={of.state} CLAWGATE_RUNTIME={of.runtime} TZ={of.zone}"),
        Line("SyslogIdentifier", f"clawgate-{name}" if name == "gateway" else name),
        *RESTART,
        Line("MemoryMax", memory, "a 24 GB host with five agents of 2 GB each"),
        Line("TasksMax", "512"),
        Line("LimitNOFILE", "65536"),
    ]


def _homes(of: Installation, writable: Sequence[Path] = ()) -> list[Line]:
    """Homes are not there, but for what is named."""
    if not of.in_homes and not writable:
        return [Line("ProtectHome", "yes", "nothing of any home")]
    return [
        Line("ProtectHome", "tmpfs", "of all homes only what is named here"),
        *(Line("BindReadOnlyPaths", str(path)) for path in of.in_homes),
        *(Line("BindPaths", f"-{path}") for path in writable),
    ]


def _sections(
    title: str, after: Sequence[str], lines: Sequence[Line], *, wants: Sequence[str] = (), bound_to: str = ""
) -> list[str]:
    """A whole unit.

    Args:
        title: for people.
        after: started with it and before it.
        lines: of ``[Service]``.
        wants: started with it, in no order.
        bound_to: a unit with which it starts, stops and restarts.
    """
    if bound_to:
        ties = [f"Requires={bound_to}", f"After={bound_to}", f"PartOf={bound_to}"]
    else:
        ties = [f"Wants={' '.join([*after, *wants])}", f"After={' '.join(after)}"]
    return [
        "[Unit]",
        f"Description={title}",
        *ties,
        "# never give up; a loop of crashes shows in `systemctl status`",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *written(lines),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
