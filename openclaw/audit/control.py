"""What the gateway's audit asks a running OpenClaw: its own checks, its process, and a drill of the kill switch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from openclaw.agent.commands import Commands
from openclaw.audit.catalogue import CATALOGUE
from openclaw.audit.facts import Facts
from shared.audit.process import own_process
from shared.audit.runner import run_checks
from shared.config.paths import Paths
from shared.errors import GatewayError
from shared.execpolicy.models import ExecRequest
from shared.lifecycle.control import Operation
from shared.lifecycle.halt import drilling


def audit_operations(
    name: str, paths: Paths, commands: Commands, allowed: Callable[[], Iterable[str]]
) -> Mapping[str, Operation]:
    """The table of operations.

    Args:
        name: the tenant's.
        paths: the installation's.
        commands: runs what the agent wants; asked as if everything were stopped.
        allowed: who may write directly.
    """

    async def part(_params: dict[str, Any]) -> dict[str, Any]:
        report = await run_checks(CATALOGUE, Facts(paths, name))
        return {
            "findings": [finding.as_json() for finding in report.findings],
            "process": own_process(paths.pid_file(name)),
            "drill": {"exec": await _drill(commands)},
        }

    async def pairing_allowed(_params: dict[str, Any]) -> list[str]:
        return sorted(allowed())

    return {"audit.part": part, "pairing.allowed": pairing_allowed}


async def _drill(commands: Commands) -> str:
    """Whether an allowed command is refused while everything is stopped."""
    request = ExecRequest("curl --version", {})
    with drilling():
        try:
            await commands.run(commands.decide(request), request, "audit-drill", 5.0)
        except GatewayError as error:
            return "refused" if error.code == "halted" else f"failed for another reason: {error.detail}"
    return "ran"
