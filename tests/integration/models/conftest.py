"""A gateway's model side on real sockets: emulators, credentials, proxy, a worker socket and the public port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.credentials.service import Credentials
from gateway.credentials.settings import OAuthPolicy
from gateway.modelproxy.apps import public_app, worker_app
from gateway.modelproxy.identity import ModelIdentity, RequestRecord
from gateway.modelproxy.in_flight import InFlightLimits
from gateway.modelproxy.proxy import ModelProxy
from gateway.modelproxy.public import LISTENER_ROUTES
from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.models import ModelWorld
from gateway.sandbox.script import Script
from shared.clock import SYSTEM_CLOCK, Clock
from shared.http.client import HttpPool
from shared.http.unixserver import AsgiListeners
from shared.secrets.files import Secret

WORKER = ModelIdentity("nanoclaw", "family", "w1", frozenset({"messages"}))
LOCAL = ModelIdentity("local", "", "", LISTENER_ROUTES)
TENANT = ModelIdentity("openclaw", "", "", frozenset({"responses", "chat/completions"}))


class CountingProxy(ModelProxy):
    """Also says how many calls have begun, so that a test can wait for their records."""

    begun = 0

    async def handle(self, *arguments, **more) -> None:
        self.begun += 1
        await super().handle(*arguments, **more)


@dataclass
class Rig:
    """What a test drives and looks at."""

    world: ModelWorld
    credentials: Credentials
    worker: httpx.AsyncClient
    tenant: httpx.AsyncClient
    public: httpx.AsyncClient
    records: list[RequestRecord]
    folder: Path
    faults: FaultPlan
    proxy: CountingProxy

    async def recorded(self) -> RequestRecord:
        """The last call's record, which is written just after its answer."""
        async with asyncio.timeout(2):
            while len(self.records) < self.proxy.begun:
                await asyncio.sleep(0.001)
        return self.records[-1]


@asynccontextmanager
async def running_rig(
    folder: Path,
    *faults: Fault,
    fallback: bool = True,
    script: Script | None = None,
    clock: Clock = SYSTEM_CLOCK,
    seed: bool = True,
    policy: OAuthPolicy | None = None,
    limits: InFlightLimits | None = None,
) -> AsyncIterator[Rig]:
    plan = FaultPlan.of(faults)
    records: list[RequestRecord] = []
    async with ModelWorld(script=script, faults=plan, clock=clock) as world, HttpPool() as pool:
        if seed:
            world.seed_credentials(
                claude=folder / "claude.json", codex=folder / "codex.json", copilot=folder / "copilot"
            )
        credentials = Credentials(
            http=pool,
            claude_file=folder / "claude.json",
            claude_base=world.claude_base,
            claude_fallback_key=world.claude_api_key() if fallback else Secret(""),
            codex_file=folder / "codex.json",
            codex_base=world.codex_base,
            copilot_file=folder / "copilot",
            github_api_base=world.github_api_base,
            clock=clock,
            policy=policy,
        )
        proxy = CountingProxy(credentials, pool, on_request=records.append, limits=limits, clock=clock)

        async def tenant_app(scope, receive, send):
            await proxy.handle(TENANT, scope["path"].removeprefix("/v1/model/"), scope, receive, send)

        known = {"w1": WORKER}
        async with (
            AsgiListeners(worker_app(proxy, known.get)) as workers,
            AsgiListeners(tenant_app) as tenants,
            AsgiListeners(public_app(proxy, LOCAL)) as public,
        ):
            for name in ("w1", "stranger"):
                await workers.add_unix(folder / name, state={"worker": name})
            await tenants.add_unix(folder / "tenant", state={"tenant": "openclaw"})
            port = await public.add_tcp("127.0.0.1", 0, state={})
            async with (
                over(folder / "w1") as worker_http,
                over(folder / "tenant") as tenant_http,
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, verify=False) as public_http,
            ):
                yield Rig(world, credentials, worker_http, tenant_http, public_http, records, folder, plan, proxy)


def over(socket: Path) -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(uds=str(socket), verify=False)
    return httpx.AsyncClient(
        transport=transport, base_url="http://localhost", trust_env=False, timeout=10, verify=False
    )


@pytest.fixture
def rig():
    """Entered in the test's own body: ``async with rig(tmp_path) as r``."""
    return running_rig
