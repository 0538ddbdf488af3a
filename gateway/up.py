"""``clawgate up``: check first, then run everything in the foreground until told to stop."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.settings import Settings
from gateway.supervisor.supervisor import Supervisor
from shared.config.paths import Paths
from shared.config.process import log_level
from shared.errors import ConfigError
from shared.lifecycle.signals import stop_on_signals
from shared.lifecycle.singleton import SingleInstance
from shared.obs.log import configure_logging, get_logger, stamp_logs_in

_log = get_logger(__name__)


def require_accounts(settings: Settings) -> None:
    """Refuse to start when no bot could ever log in.

    Raises:
        ConfigError: says what is missing, where it belongs, and how to try the product without accounts.
    """
    if settings.has_accounts():
        return
    names = [
        "DISCORD_BOT_TOKEN (NanoClaw)" if name == "nanoclaw" else f"{name.upper().replace('-', '_')}_DISCORD_BOT_TOKEN"
        for name in settings.enabled_tenants()
    ]
    raise ConfigError(
        f"no accounts are configured: {settings.paths.env_file} and the vault have none of {', '.join(names)}.\n"
        f"Create it with mode 600 and at least one of them, for example:\n"
        f"  install -D -m 600 /dev/null {settings.paths.env_file} && $EDITOR {settings.paths.env_file}\n"
        "or put one into the vault: clawgate secrets set DISCORD_BOT_TOKEN --tenant nanoclaw\n"
        "To try everything without accounts: clawgate sandbox",
        code="config.no_accounts",
    )


def run_up(paths: Paths) -> int:
    """Run the supervisor in the foreground; after an upgrade this process goes on as the new version.

    Raises:
        ConfigError: something must be fixed first; nothing was started.
        Unavailable: the gateway did not come up.
    """
    successor = asyncio.run(_run_up(paths))
    if successor is not None:
        program = str(successor)
        os.execv(program, [program, "-m", "gateway.cli.main", "up", "--state", str(paths.state)])  # noqa: S606 - named by the operator
    return 0


async def _run_up(paths: Paths) -> Path | None:
    """Run until told to stop; says which program takes over, if any.

    Raises:
        ConfigError: something must be fixed first; nothing was started.
        Unavailable: the gateway did not come up.
    """
    configure_logging("up", level=log_level())
    settings = Settings.load(paths)
    stamp_logs_in(ZoneInfo(settings.policy.workers.timezone))
    require_accounts(settings)
    lock = SingleInstance(paths.up_lock, what=f"clawgate with state in {paths.state}")
    lock.acquire()
    stopping = stop_on_signals()
    supervisor = Supervisor(settings)
    try:
        await supervisor.start()
        _log.info("up.started", processes=[process["name"] for process in supervisor.status()])
        await first_of(stopping, supervisor.stop_requested)
    finally:
        await supervisor.stop()
        lock.release()
    return supervisor.successor


async def first_of(*events: asyncio.Event) -> None:
    """Wait until any of some events is set."""
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(event.wait()) for event in events]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
