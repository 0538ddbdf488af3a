"""Examines this machine; each part also takes given texts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from gateway.host.firewall import docker_user_rules, examine_docker_user, saved_rules
from gateway.host.ports import BRIDGE_PORT, UI_PORT, answers, examine_port, own_addresses
from gateway.host.room import GB, examine_disk, examine_memory, examine_swap, parse_meminfo
from gateway.maintenance.disk import look
from gateway.settings import GatewayPolicy, Settings
from gateway.units.render import GATEWAY_UNIT, Installation, render
from shared.config.paths import Paths
from shared.config.toml import load_policy
from shared.doctor.rows import Row, refused
from shared.errors import Unavailable
from shared.lifecycle.listening import listeners
from shared.maintenance.policy import MaintenancePolicy

_UNITS = {"M": 1 << 20, "G": GB}


def examine(paths: Paths, proc: Path = Path("/proc")) -> list[Row]:
    """Everything there is to say about the machine below an installation.

    Raises:
        ConfigError: a policy file is wrong.
    """
    policy = Settings.policy_of(paths)
    folder = next(folder for folder in (paths.state, *paths.state.parents) if folder.exists())
    return [
        *examine_ports(policy.model_api.port, proc),
        *saved_rules((UI_PORT, BRIDGE_PORT, policy.model_api.port)),
        examine_docker_user(docker_user_rules()),
        Row(
            "HOST-CLOUD",
            "note",
            "the cloud's own firewall (Security List) cannot be seen from inside",
            f"in its console no ingress rule should name {UI_PORT}: the tunnel needs none (docs/firewall.md)",
        ),
        *examine_memory_and_swap(policy, proc),
        examine_disk(look(folder), load_policy("maintenance", MaintenancePolicy, paths).disk_warn_percent),
    ]


def examine_memory_and_swap(policy: GatewayPolicy, proc: Path = Path("/proc")) -> list[Row]:
    """Whether memory is enough for everybody's limits, and whether there is swap."""
    memory = parse_meminfo((proc / "meminfo").read_text(encoding="ascii"))
    workers, total = policy.workers, memory.get("MemTotal", 0)
    return [
        examine_memory(memory_limits(policy), workers.max_workers, workers.memory_mb << 20, total),
        examine_swap(memory),
    ]


def examine_ports(
    model_api: int, proc: Path = Path("/proc"), connects: Callable[[str, int], bool] = answers
) -> list[Row]:
    """Whether our ports keep to loopback.

    Args:
        model_api: port of the model API.
        proc: where the kernel tells what listens.
        connects: tries an address.
    """
    try:
        heard = listeners(proc)
    except Unavailable as error:
        return [refused("HOST-PORTS", error, "mount /proc, or ask outside the service or container")]
    addresses = own_addresses(proc)
    return [
        examine_port(UI_PORT, "Control UI", heard, addresses, connects),
        examine_port(BRIDGE_PORT, "the original's bridge", heard, addresses, connects, reserved=True),
        *([examine_port(model_api, "model API", heard, addresses, connects)] if model_api else []),
    ]


def memory_limits(policy: GatewayPolicy) -> dict[str, int]:
    """Bytes that each service may take, as its unit says it."""
    tenants = {name: tenant.kind for name, tenant in policy.tenants.items() if tenant.enabled}
    shell = Installation(
        state=Path("/var/lib/clawgate"),
        runtime=Path("/run/clawgate"),
        programs=Path("/usr/bin"),
        tenants=dict(tenants),
        zone="UTC",
    )
    by_unit = {
        unit.name: int(limit[1]) * _UNITS[limit[2]]
        for unit in render(shell)
        if (limit := re.search(r"^MemoryMax=(\d+)([MG])$", unit.text, re.MULTILINE))
    }
    return {"gateway": by_unit[GATEWAY_UNIT]} | {name: by_unit[f"{kind}@.service"] for name, kind in tenants.items()}
