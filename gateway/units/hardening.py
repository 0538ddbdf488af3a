"""What our units may not do, each line with its reason; the reasons stand in the unit files too.

Only what systemd 249 knows is used. Source: reference notes on units, where the lines were removed one at a time and
the exposure score measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """One directive of a ``[Service]`` section.

    Attributes:
        why: for whoever reads the unit; empty repeats the reason above it.
    """

    name: str
    value: str
    why: str = ""


CONFINEMENT: tuple[Line, ...] = (
    Line("NoNewPrivileges", "yes", "nothing it starts can gain rights, whatever file it finds"),
    Line("ProtectSystem", "strict", "the whole system is read-only but for the paths named above"),
    Line("PrivateTmp", "yes", "its temporary files are its own"),
    Line("PrivateMounts", "yes", "no mount of its reaches the system"),
    Line("PrivateDevices", "yes", "no disk, no memory, no input device"),
    Line("DevicePolicy", "closed"),
    Line(
        "ProtectKernelTunables",
        "yes",
        "it serves chats: the kernel, its modules, log and clock are none of its business",
    ),
    Line("ProtectKernelModules", "yes"),
    Line("ProtectKernelLogs", "yes"),
    Line("ProtectControlGroups", "yes"),
    Line("ProtectClock", "yes"),
    Line("ProtectHostname", "yes"),
    Line("ProtectProc", "invisible", "other users' processes are not to be seen"),
    Line("ProcSubset", "pid"),
    Line("RestrictSUIDSGID", "yes", "it makes no file that gives its owner's rights away"),
    Line("RestrictRealtime", "yes", "it cannot take the processor for itself"),
    Line("RestrictNamespaces", "yes", "containers are made by the engine, not by it"),
    Line("LockPersonality", "yes", "no other execution domain, no foreign system calls"),
    Line("SystemCallArchitectures", "native"),
    Line("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6", "it speaks to its sockets and to the internet"),
    Line("RemoveIPC", "yes", "it leaves nothing behind, and no key of the session is lent to it"),
    Line("KeyringMode", "private"),
)
"""The same for every unit."""

CALLS: tuple[Line, ...] = (
    Line("SystemCallFilter", "@system-service", "what a network service needs"),
    Line("SystemCallFilter", "~@privileged @resources @obsolete", "without what only an administrator's program needs"),
    Line("SystemCallErrorNumber", "EPERM", "a refused call is an error that is reported, not a death"),
)

NO_CAPABILITIES: tuple[Line, ...] = (
    Line("CapabilityBoundingSet", "", "it has none of root's rights and can never get one"),
    Line("AmbientCapabilities", ""),
)

RESTART: tuple[Line, ...] = (
    Line("Restart", "on-failure", "back after 5 seconds (policy); exit 0 is a wanted stop"),
    Line("RestartSec", "5"),
    Line(
        "RestartPreventExitStatus", "77 78", "a refused credential or a wrong setting needs a person, not another try"
    ),
    Line("WatchdogSec", "60", "a process that hangs is ended and started again"),
    Line("TimeoutStartSec", "120"),
    Line("TimeoutStopSec", "45", "running answers may finish"),
    Line("KillMode", "mixed"),
    Line("OOMPolicy", "continue", "a command that took too much memory dies alone"),
)


def written(lines: Sequence[Line]) -> Iterator[str]:
    """Directives as text, each group below its reason."""
    for line in lines:
        if line.why:
            yield f"# {line.why}"
        yield f"{line.name}={line.value}"
