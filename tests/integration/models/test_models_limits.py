"""The subscription's limit is reached: prepaid money pays where policy allows it, and nobody pays where it does not."""

from __future__ import annotations

import asyncio
import os
import secrets
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.app import running_gateway
from gateway.broker.auth import hash_key
from gateway.credentials.priority import ClaudeAuthPolicy
from gateway.credentials.settings import OAuthPolicy
from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.models import ModelWorld
from gateway.settings import Settings
from shared.clock import FakeClock
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.secrets.files import write_private
from tests.support.offline_settings import write_offline_settings

SPENDS = OAuthPolicy(claude_auth=ClaudeAuthPolicy(spend_on_429=True))
SPENDS_ELSEWHERE = OAuthPolicy(claude_auth=ClaudeAuthPolicy(spend_on_failure=True))
BODY = {"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}
HEADERS = {"anthropic-version": "2023-06-01", "authorization": "Bearer placeholder"}
ERROR = {"type": "error", "error": {"type": "rate_limit_error", "message": "This would exceed your account's limit."}}


def limit(*which: int, **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Fault(upstream="claude", op="messages", nth=which, kind="status", status=429, headers=named, body=ERROR)


async def ask(client: httpx.AsyncClient, **more: object) -> httpx.Response:
    return await client.post("/v1/messages", json={**BODY, **more}, headers=HEADERS)


def said(answer: httpx.Response) -> str:
    return "".join(block.get("text", "") for block in answer.json()["content"])


def paid_with(r) -> list[str]:
    """What each request was let in with; a refused one stopped before it was looked at."""
    return [entry.credential or "limited" for entry in r.world.of("claude", "messages")]


@pytest.mark.parametrize("stream", [False, True])
async def test_where_policy_allows_it_the_key_pays_until_the_limit_resets(rig, tmp_path, stream) -> None:
    clock = FakeClock()
    async with rig(tmp_path, limit(1, retry_after="120"), policy=SPENDS, clock=clock) as r:
        answer = await ask(r.worker, stream=stream)
        assert answer.status_code == 200
        assert "message_stop" in answer.text if stream else said(answer) == "echo: hello"
        assert paid_with(r) == ["limited", "api_key"]
        assert "authorization" not in r.world.of("claude", "messages")[1].headers
        record = await r.recorded()
        assert (record.status, record.auth, record.outcome) == (200, "api_key", "answered")
        clock.advance(119)
        await ask(r.worker)
        assert paid_with(r)[2:] == ["api_key"], "the subscription is not asked again before its reset"
        clock.advance(2)
        await ask(r.worker)
        assert paid_with(r)[3:] == ["oauth"]


async def test_a_plans_window_tells_its_end_another_way(rig, tmp_path) -> None:
    clock = FakeClock()
    end = int(clock.now().timestamp()) + 3600
    fault = limit(1, anthropic_ratelimit_unified_reset=str(end))
    async with rig(tmp_path, fault, policy=SPENDS, clock=clock) as r:
        for wait in (0, 3500, 200):
            clock.advance(wait)
            assert (await ask(r.worker)).status_code == 200
        assert paid_with(r) == ["limited", "api_key", "api_key", "oauth"]


@pytest.mark.parametrize("policy", [None, OAuthPolicy(), SPENDS_ELSEWHERE])
async def test_where_it_does_not_the_worker_reads_the_providers_words_and_reset_time(rig, tmp_path, policy) -> None:
    told = {"retry_after": "5400", "anthropic_ratelimit_unified_reset": "1767229200", "x_should_retry": "false"}
    async with rig(tmp_path, limit(1, **told), policy=policy) as r:
        answer = await ask(r.worker, stream=True)
        assert (answer.status_code, answer.json()) == (429, ERROR)
        for name, value in told.items():
            assert answer.headers[name.replace("_", "-")] == value
        assert paid_with(r) == ["limited"]
        record = await r.recorded()
        assert (record.status, record.auth) == (429, "oauth")
        await ask(r.worker)
        assert paid_with(r) == ["limited", "oauth"], "a limit is the provider's to hold, and ours only to tell"


async def test_without_a_key_policy_has_nothing_to_spend(rig, tmp_path) -> None:
    async with rig(tmp_path, limit(1, retry_after="9"), policy=SPENDS, fallback=False) as r:
        answer = await ask(r.worker)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")
        assert paid_with(r) == ["limited"]


async def test_when_the_key_is_limited_as_well_nobody_is_asked_a_third_time(rig, tmp_path) -> None:
    async with rig(tmp_path, limit(1, 2, retry_after="9"), policy=SPENDS) as r:
        assert (await ask(r.worker)).status_code == 429
        assert paid_with(r) == ["limited", "limited"]
        assert (await r.recorded()).auth == "api_key"


@asynccontextmanager
async def gateway(folder, *faults: Fault, spends: bool, budget: dict | None = None):
    """A whole gateway with NanoClaw's socket: credentials, budgets and ledger as they are in the product."""
    async with ModelWorld(faults=FaultPlan.of(faults)) as world:
        paths = Paths(state=folder / "s", runtime=folder / "r")
        files = {name: folder / f"{name}.json" for name in ("claude", "codex", "copilot")}
        world.seed_credentials(**files)
        logins = {f"{name}_file": str(path) for name, path in files.items()}
        write_offline_settings(paths, credentials=logins)
        overlay_file(operator_file("oauth", paths), {"claude_auth": {"spend_on_429": spends}})
        overlay_file(operator_file("upstreams", paths), {"claude": {"api_base": world.claude_base}})
        if budget is not None:
            overlay_file(operator_file("budgets", paths), {"budgets": {"prepaid": budget}})
        write_private(paths.env_file, f"ANTHROPIC_API_KEY_FALLBACK={world.claude_api_key().reveal()}\n")
        async with running_gateway(Settings.load(paths)) as running:
            key = secrets.token_hex(16)
            await running.op_tenant_key({"tenant": "nanoclaw", "sha256": hash_key(key), "uid": os.geteuid()})
            async with httpx.AsyncClient(
                transport=httpx.AsyncHTTPTransport(uds=str(paths.tenant_socket("nanoclaw")), verify=False),
                base_url="http://localhost/v1/model",
                headers={"authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"},
                trust_env=False,
                verify=False,
            ) as client:
                yield world, running, client


async def only_row(running) -> dict:
    async with asyncio.timeout(5):
        while not (found := await running.store.usage()):
            await asyncio.sleep(0.01)
    [row] = found
    return row


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("l")


async def test_in_the_product_what_the_key_paid_is_one_row_of_its_own_bucket(short) -> None:
    async with gateway(short, limit(1, retry_after="60"), spends=True) as (world, running, client):
        answer = await client.post("/messages", json=BODY)
        assert (answer.status_code, said(answer)) == (200, "echo: hello")
        assert [entry.status for entry in world.of("claude", "messages")] == [429, 200]
        row = await only_row(running)
        assert (row["bucket"], row["requests"], row["errors"]) == ("claude-prepaid", 1, 0)
        assert row["cost_micros"] > 0


async def test_in_the_product_a_budget_guards_the_prepaid_money(short) -> None:
    budget = {"bucket": "claude-prepaid", "unit": "requests", "limit": 0.0, "reset": {"every": "day"}}
    async with gateway(short, limit(1, retry_after="60"), spends=True, budget=budget) as (world, running, client):
        answer = await client.post("/messages", json=BODY)
        assert answer.status_code == 429
        assert "the budget prepaid of nanoclaw has no room" in answer.json()["error"]["message"]
        assert len(world.of("claude", "messages")) == 1, "nothing was sent with the key"
        row = await only_row(running)
        assert (row["requests"], row["cost_micros"]) == (1, 0)
        assert sum(counter.reserved for counter in await running.store.counters()) == 0


async def test_in_the_product_what_the_plan_had_set_aside_goes_back_when_the_key_takes_over(short) -> None:
    budget = {"bucket": "claude-plan", "unit": "requests", "limit": 1.0, "reset": {"every": "day"}}
    async with gateway(short, limit(1, retry_after="60"), spends=True, budget=budget) as (_, running, client):
        assert (await client.post("/messages", json=BODY)).status_code == 200
        await only_row(running)
        [counter] = [one for one in await running.store.counters() if one.name == "prepaid"]
        assert (counter.used, counter.reserved) == (0, 0)


async def test_in_the_product_without_leave_the_reset_time_comes_back(short) -> None:
    async with gateway(short, limit(1, retry_after="60"), spends=False) as (world, running, client):
        answer = await client.post("/messages", json=BODY)
        assert (answer.status_code, answer.headers["retry-after"], answer.json()) == (429, "60", ERROR)
        row = await only_row(running)
        assert (row["bucket"], row["errors"], row["cost_micros"]) == ("claude-plan", 1, 0)
        assert len(world.of("claude", "messages")) == 1
