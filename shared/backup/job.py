"""The job by which a tenant hands its copy to the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from shared.backup.plans import TIMES, selection_of
from shared.backup.snapshot import take_snapshot
from shared.config.paths import Paths
from shared.maintenance.models import Job

NAME: Final = "backup"
_LARGEST = 20_000_000_000
"""Of a copy on this side; the gateway's policy is stricter."""

_LIMIT_S = 1800.0


class BackupGateway(Protocol):
    """What the job asks of `shared.gatewayclient.GatewayClient`."""

    async def hand_over_backup(self, file: Path) -> Mapping[str, Any]:
        """Send the copy; answers when it is on the remote."""
        ...


def backup_job(kind: Literal["nanoclaw", "openclaw"], tenant: str, paths: Paths, gateway: BackupGateway) -> Job:
    """Copies the tenant's state at its time and has the gateway back it up (policy G5)."""

    async def work() -> str:
        file = paths.backup_snapshot(tenant)
        try:
            await take_snapshot(file, paths.tenant(tenant), selection_of(kind, tenant), most_bytes=_LARGEST)
            return str((await gateway.hand_over_backup(file))["detail"])
        finally:
            file.unlink(missing_ok=True)

    return Job(
        NAME, "backs up what belongs to the tenant, encrypted, to its git remote", TIMES[kind], work, timeout_s=_LIMIT_S
    )
