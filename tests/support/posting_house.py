"""A real gateway on the process engine, signed in at the emulated networks, and tenants' connections to it."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from gateway.app import Gateway, running_gateway
from gateway.broker.auth import hash_key
from gateway.sandbox.meta import MetaWorld
from gateway.sandbox.seed import register_apps
from gateway.settings import Settings
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.gatewayclient import GatewayClient
from shared.secrets.files import Secret, write_private
from tests.support.offline_settings import write_offline_settings


@dataclass
class PostingHouse:
    gateway: Gateway
    meta: MetaWorld
    clients: dict[str, GatewayClient]

    async def until(self, post_id: str, *states: str) -> Any:
        """The job once it is in one of these states."""
        import asyncio

        async with asyncio.timeout(60):
            while True:
                job = await self.gateway.social.store.get(post_id)
                if job.state in states:
                    return job
                await asyncio.sleep(0.05)


@asynccontextmanager
async def posting_house(
    paths: Paths, rules: Mapping[str, Any], *, networks: tuple[str, ...] = ("threads",)
) -> AsyncIterator[PostingHouse]:
    """Up inside the block.

    Args:
        paths: of the installation.
        rules: policies/social.toml.
        networks: where both tenants are signed in.
    """
    async with MetaWorld() as meta, AsyncExitStack() as stack:
        write_offline_settings(paths)
        overlay_file(operator_file("oauth", paths), {network: meta.endpoints(network) for network in networks})
        overlay_file(operator_file("social", paths), dict(rules))
        write_private(paths.env_file, "".join(f"{k}={v}\n" for k, v in register_apps(paths, meta).items()))
        gateway = await stack.enter_async_context(running_gateway(Settings.load(paths)))
        clients: dict[str, GatewayClient] = {}
        for tenant in ("nanoclaw", "openclaw"):
            for network in networks:
                asked = await gateway.sign_ins.begin(network, tenant)
                await gateway.sign_ins.complete(network, tenant, meta.allow(network, asked["url"]))
            key = secrets.token_hex(16)
            await gateway.op_tenant_key({"tenant": tenant, "sha256": hash_key(key), "uid": os.geteuid()})
            clients[tenant] = GatewayClient(paths.tenant_socket(tenant), Secret(key))
            stack.push_async_callback(clients[tenant].close)
        yield PostingHouse(gateway, meta, clients)
