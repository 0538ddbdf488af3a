"""What the gateway's audit asks a running OpenClaw: its own checks, its process, and a drill of the kill switch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from openclaw.agent.commands import Commands
from openclaw.audit.catalogue import CATALOGUE
from openclaw.audit.facts import Facts
from shared.audit.process import own_process
from shared.audit.reporting import EventGateway
from shared.audit.runner import run_checks
from shared.config.paths import Paths
from shared.errors import GatewayError, Unavailable
from shared.execpolicy.models import ExecRequest
from shared.lifecycle.control import Operation
from shared.lifecycle.halt import drilling


class AuditGateway(EventGateway, Protocol):
    """Takes events, and has the report of the whole installation."""

    async def audit_report(self) -> dict[str, Any]:
        """Lines in the old script's grammar, and the exit code."""
        ...


def audit_operations(
    name: str,
    paths: Paths,
    commands: Commands,
    allowed: Callable[[], Iterable[str]],
    gateway: AuditGateway | None = None,
) -> Mapping[str, Operation]:
    """The table of operations.

    Args:
        name: the tenant's.
        paths: the installation's.
        commands: runs what the agent wants; asked as if everything were stopped.
        allowed: who may write directly.
        gateway: has the report; None where there is none.
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

    async def whole(_params: dict[str, Any]) -> dict[str, Any]:
        if gateway is None:
            raise Unavailable("there is no gateway to ask for the report", code="audit.no_gateway")
        return await gateway.audit_report()

    return {"audit.part": part, "audit.whole": whole, "pairing.allowed": pairing_allowed}


async def _drill(commands: Commands) -> str:
    """Whether an allowed command is refused while everything is stopped."""
    request = ExecRequest("curl --version", {})
    with drilling():
        try:
            await commands.run(commands.decide(request), request, "audit-drill", 5.0)
        except GatewayError as error:
            return "refused" if error.code == "halted" else f"failed for another reason: {error.detail}"
    return "ran"
