"""One OpenClaw gateway as a process of its own, without models and channels, for the benchmark."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from openclaw.agent.tools import ToolRegistry
from openclaw.config import OpenClawPolicy
from openclaw.gateway import MIGRATIONS, GatewayOptions, running_gateway
from shared.gatewayclient import GatewayClient
from shared.lifecycle.signals import stop_on_signals
from shared.secrets.files import Secret
from shared.storage import Database


async def serve(folder: Path, port: int, token: str) -> None:
    """Serve until told to stop."""
    stop = asyncio.Event()
    stop_on_signals(stop)
    db = Database(folder / "openclaw.db", migrations=MIGRATIONS)
    await db.open()
    client = GatewayClient(folder / "no.sock", Secret("none"))
    policy = OpenClawPolicy.model_validate({"port": port})
    options = GatewayOptions(
        name="openclaw",
        policy=policy,
        folder=folder,
        secret=Secret(token),
        models=client,
        log_file=folder / "openclaw.log",
        tools=ToolRegistry(),
        drain_s=0.0,
    )
    async with running_gateway(options, db):
        await stop.wait()
    await client.close()
    await db.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
