"""The Threads token before every worker start: refreshed when it is due, and never in the start's way."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.app import Gateway, running_gateway
from gateway.broker.auth import hash_key
from gateway.credentials.freshness import ThreadsBeforeStart
from gateway.credentials.standing import Standing
from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.meta.world import MetaWorld
from gateway.settings import Settings
from shared.clock import SYSTEM_CLOCK, FakeClock
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.gatewayclient import GatewayClient, WorkerRequest
from shared.oauth.models import Token
from shared.secrets.files import Secret, write_private
from tests.support.offline_settings import sign_ins_in, write_offline_settings

AGE = timedelta(days=55)


@dataclass
class Desk:
    gateway: Gateway
    world: MetaWorld
    client: GatewayClient

    @property
    def refreshes(self) -> int:
        return len(self.world.of("threads", "oauth.refresh"))

    async def stored(self) -> Token:
        token = await self.gateway.sign_ins.keeper_of("threads", "nanoclaw").peek()
        assert token is not None
        return token

    async def replaced(self, old: str) -> str:
        async with asyncio.timeout(20):
            while (new := (await self.stored()).access.reveal()) == old:
                await asyncio.sleep(0.02)
        return new

    async def lease(self, group: str) -> str:
        request = WorkerRequest(group=group, session_id="00000000-0000-4000-8000-000000000000")
        info = await self.client.lease_worker(request)
        await self.client.end_worker(info.worker_id)
        return info.state


@asynccontextmanager
async def desk(folder: Path, *faults: Fault) -> AsyncIterator[Desk]:
    """A gateway whose tenant nanoclaw has a Threads token that is due for a refresh."""
    clock = FakeClock(SYSTEM_CLOCK.now() - AGE)
    async with MetaWorld(clock=clock, faults=FaultPlan.of(faults)) as world:
        app = world.new_app("threads", "https://localhost:3000/callback")
        grant = world.tokens.issue("threads", app.app_id, ("threads_basic",), long=True)
        token = Token(
            access=Secret(grant.value),
            expires_at=clock.now() + timedelta(days=60),
            extra={"issued_at": clock.now().isoformat(), "stage": "long"},
        )
        clock.advance(AGE.total_seconds())
        paths = Paths(state=folder / "s", runtime=folder / "r")
        write_private(
            paths.env_file,
            f"THREADS_APP_ID={app.app_id}\nTHREADS_APP_SECRET={app.secret}\nTHREADS_ACCESS_TOKEN={grant.value}\n",
        )
        overlay_file(operator_file("oauth", paths), {"threads": world.endpoints("threads")})
        write_offline_settings(paths, credentials=sign_ins_in(folder))
        async with running_gateway(Settings.load(paths)) as gateway:
            for timer in gateway.sign_ins.refresher._timers:
                timer.cancel()  # it would be faster than the worker
            keeper = gateway.sign_ins.keeper_of("threads", "nanoclaw")
            await keeper.store(token)
            keeper._note(Standing())  # as if it had been stored when it was issued
            key = secrets.token_hex(16)
            await gateway.op_tenant_key({"tenant": "nanoclaw", "sha256": hash_key(key), "uid": os.geteuid()})
            client = GatewayClient(paths.tenant_socket("nanoclaw"), Secret(key))
            try:
                yield Desk(gateway, world, client)
            finally:
                await client.close()


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("t")


async def test_a_due_token_is_refreshed_by_the_start_of_any_groups_worker(short: Path) -> None:
    async with desk(short) as d:
        before = (await d.stored()).access.reveal()
        assert await d.lease("family") == "idle"
        after = await d.replaced(before)
        assert d.refreshes == 1
        async with asyncio.timeout(20):
            while after not in d.gateway.paths.env_file.read_text():
                await asyncio.sleep(0.02)
        assert await d.lease("threads") == "idle"
        await d.gateway.sign_ins.refresher._tasks.drain(5.0)
        assert d.refreshes == 1, "a fresh one is left alone"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 400, "body": {"error": {"code": 190, "error_subcode": 463, "message": "expired"}}},
        {"kind": "reset"},
    ],
    ids=["down", "refused", "cut"],
)
async def test_a_refresh_that_fails_does_not_fail_the_start(short: Path, fault: dict) -> None:
    planned = Fault.model_validate({"upstream": "threads", "op": "oauth.refresh", "nth": "*", **fault})
    async with desk(short, planned) as d:
        assert await d.lease("threads") == "idle"
        await d.gateway.sign_ins.refresher._tasks.drain(5.0)
        assert d.refreshes >= 1


async def test_a_refresh_that_hangs_does_not_hold_up_the_start_and_goes_on(short: Path) -> None:
    stall = Fault(upstream="threads", op="oauth.refresh", kind="stall", body={"seconds": 1})
    async with desk(short, stall) as d:
        old = (await d.stored()).access.reveal()
        await ThreadsBeforeStart(d.gateway.sign_ins.refresher)("nanoclaw")
        assert (await d.stored()).access.reveal() == old, "the old one counts: nobody waits for the new one"
        await d.replaced(old)


async def test_a_tenant_without_an_app_and_an_unknown_one_start_as_ever(short: Path) -> None:
    async with desk(short) as d:
        before = ThreadsBeforeStart(d.gateway.sign_ins.refresher)
        await before("openclaw")
        await before("nobody")
        await d.gateway.sign_ins.logout("threads", "nanoclaw")
        await before("nanoclaw")
        assert d.refreshes == 0
