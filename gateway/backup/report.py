"""How the newest backups stand, for commands; the gateway may run or not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gateway.backup.policy import BackupPolicy
from gateway.backup.store import read_records
from shared.clock import SYSTEM_CLOCK
from shared.config.paths import Paths
from shared.errors import NotFound
from shared.storage import Database


def backup_rows(paths: Paths, policy: BackupPolicy) -> list[dict[str, Any]]:
    """One row for each remote: what was pushed last, and whether that is too long ago; blocks.

    Raises:
        ConfigError: the gateway's database has another schema than this version's.
    """
    try:
        records = Database(paths.gateway_db, migrations="gateway.migrations").read_at_rest(read_records)
    except NotFound:
        records = []
    known = {record.tenant: record for record in records}
    oldest = SYSTEM_CLOCK.now() - timedelta(hours=policy.alert_after_hours)
    rows = []
    for tenant, remote in policy.remotes.items():
        record = known.get(tenant)
        blank = {
            "tenant": tenant,
            "at": None,
            "ok_at": None,
            "commit": "",
            "files": 0,
            "bytes": 0,
            "detail": "has not run",
        }
        late = record is None or record.ok_at is None or record.ok_at < oldest
        rows.append({**(record.as_json() if record else blank), "remote": remote.url, "late": late})
    return rows
