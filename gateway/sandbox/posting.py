"""Both tenants can post in the offline world: signed in at the emulated networks, with the owner as their approver."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.sandbox.meta import MetaWorld
from gateway.sandbox.meta.tokens import Network
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.lifecycle.control import call

TENANTS = ("nanoclaw", "openclaw")
NETWORKS: tuple[Network, ...] = ("threads", "instagram")


def seed_posting(paths: Paths, meta: MetaWorld, owner_id: str | None, media_port: int) -> None:
    """Open posting to everybody, each post approved by the owner; what a person made of the file stays.

    Args:
        paths: the sandbox's own.
        meta: the emulated networks, at other addresses at every start.
        media_port: where files are served; it is another one at every start.
        owner_id: of the person who owns the emulated server; None when another one is used.
    """
    path = operator_file("social", paths)
    is_new = not path.exists()
    overlay_file(
        path,
        {
            "media": {"public_base": f"http://127.0.0.1:{media_port}", "port": media_port},
            "oembed": {
                "threads": f"{meta.base('threads')}/v1.0/oembed",
                "instagram": f"{meta.base('instagram')}/v25.0/instagram_oembed",
            },
        },
    )
    if not is_new:
        return
    approvers = ["operator", *([owner_id] if owner_id else [])]
    rule = {"groups": ["*"], "mode": "approval", "approvers": approvers, "daily_cap": 50}
    overlay_file(path, {"tenants": {tenant: dict.fromkeys(NETWORKS, rule) for tenant in TENANTS}})


async def sign_in_accounts(paths: Paths, meta: MetaWorld) -> None:
    """Play the person who signs both tenants in at both networks, where that has not been done yet."""
    socket = paths.control_socket("gateway")
    standing: list[dict[str, Any]] = await asyncio.to_thread(call, socket, "auth_status")
    known = {(row["provider"], row["tenant"]) for row in standing if row["health"] != "missing"}
    for tenant in TENANTS:
        for network in NETWORKS:
            if (network, tenant) in known:
                continue
            asked = await asyncio.to_thread(call, socket, "auth_begin", provider=network, tenant=tenant)
            pasted = meta.allow(network, asked["url"])
            await asyncio.to_thread(call, socket, "auth_complete", provider=network, tenant=tenant, pasted=pasted)
