"""What every tenant process does around its own work: harden, log, lock, and meet the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from zoneinfo import ZoneInfo

from shared.config.parse import parse_zone
from shared.config.paths import Paths
from shared.config.process import log_level, tenant_key
from shared.gatewayclient.client import GatewayClient
from shared.gatewayclient.models import TenantStartup
from shared.lifecycle import faultpoints
from shared.lifecycle.harden import make_undumpable
from shared.lifecycle.singleton import SingleInstance
from shared.obs.log import configure_logging, stamp_logs_in

_GATEWAY_WAIT_S = 60.0


@asynccontextmanager
async def tenant_process(name: str, paths: Paths) -> AsyncIterator[tuple[GatewayClient, TenantStartup]]:
    """One tenant's process: single instance, undumpable, connected to the gateway.

    Args:
        name: the tenant's.
        paths: of the installation.

    Raises:
        Occupied: another instance of this tenant runs.
        ConfigError: the process was not started by the supervisor or a unit, or is armed outside a sandbox.
        Unavailable: the gateway did not come up in time.
    """
    make_undumpable()
    configure_logging(name, level=log_level(), file=paths.process_log(name))
    faultpoints.arm(paths)
    lock = SingleInstance(paths.pid_file(name), what=f"the tenant {name}")
    lock.acquire()
    try:
        client = GatewayClient(paths.tenant_socket(name), tenant_key())
        try:
            startup = await client.wait_ready(_GATEWAY_WAIT_S)
            if zone := startup.settings.get("TZ"):
                stamp_logs_in(ZoneInfo(parse_zone(zone)))
            yield client, startup
        finally:
            await client.close()
    finally:
        lock.release()
