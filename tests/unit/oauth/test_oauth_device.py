"""GitHub's device flow against the emulator: every pace and every refusal, without waiting."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.models import ModelWorld
from shared.clock import FakeClock
from shared.errors import ConfigError, Invalid, RateLimited, Unavailable
from shared.http.client import HttpPool
from shared.oauth.copilot import CopilotOAuth, import_github_token
from shared.oauth.copilot_settings import CopilotOAuthSettings
from shared.oauth.device import wait_for_person
from shared.oauth.github import GithubApi, import_copilot_file
from shared.oauth.models import EdgeBlocked, LoginNeeded, Token
from shared.secrets.files import Secret


def provider(world: ModelWorld, http: HttpPool, clock: FakeClock, **more: str) -> CopilotOAuth:
    settings = CopilotOAuthSettings(login_base=world.github_base, api_base=world.github_api_base, **more)
    return CopilotOAuth(settings, http, clock=clock)


def github_of(world: ModelWorld, http: HttpPool, clock: FakeClock) -> GithubApi:
    settings = CopilotOAuthSettings(login_base=world.github_base, api_base=world.github_api_base)
    return GithubApi(settings, http, clock=clock)


def plan(*faults: Fault) -> FaultPlan:
    return FaultPlan.of(faults)


async def test_pending_then_slower_then_done() -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, HttpPool() as http:
        copilot = provider(world, http, clock)
        pending = await copilot.begin()
        assert pending.user_code in pending.instructions
        assert pending.url in pending.instructions
        assert pending.device_code is not None
        assert pending.device_code.reveal() not in repr(pending)
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            # The second wait is cut short by an impatient clock, and GitHub asks for a slower pace.
            clock.advance(1 if len(waits) == 2 else seconds)
            if len(waits) == 5:
                world.decide_device(pending.user_code)

        token = await wait_for_person(copilot, pending, clock=clock, sleep=sleep)
    assert waits == [5, 5, 10, 10, 10], "slow_down sets the pace for good"
    assert token.access.reveal().startswith("ghu_")
    assert (token.account, token.expires_at, token.refresh) == ("sandbox-owner", None, None)
    assert token.access.reveal() not in repr(token)


async def test_the_person_says_no() -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, HttpPool() as http:
        copilot = provider(world, http, clock)
        pending = await copilot.begin()
        world.decide_device(pending.user_code, approved=False)
        with pytest.raises(LoginNeeded, match=r"refused in the browser \(access_denied\).*clawgate auth login copilot"):
            await copilot.poll(pending)


async def test_the_code_runs_out_here_and_at_github() -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, HttpPool() as http:
        copilot = provider(world, http, clock)
        pending = await copilot.begin()
        clock.advance(601)
        before = len(world.requests)
        with pytest.raises(LoginNeeded, match="not typed in time"):
            await copilot.poll(pending)
        assert len(world.requests) == before, "an expired code is not even asked about"
        clock.advance(400)
        with pytest.raises(LoginNeeded, match="expired_token"):
            await copilot.poll(replace(pending, expires_at=clock.now() + timedelta(hours=1)))


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ({"error": "incorrect_device_code"}, LoginNeeded, "not known any more"),
        ({"error": "device_flow_disabled"}, ConfigError, "oauth.toml"),
        ({"error": "incorrect_client_credentials"}, ConfigError, "oauth.toml"),
        ({"error": "unsupported_grant_type"}, ConfigError, "oauth.toml"),
        ({"error": "something_new"}, Unavailable, "something_new"),
        ({"nothing": True}, Unavailable, "no token"),
        ({"access_token": ""}, Unavailable, "no token"),
        ([], Unavailable, "no whole JSON"),
    ],
)
async def test_answers_with_status_200_that_are_no_token(body: object, error: type, says: str) -> None:
    clock = FakeClock()
    faults = plan(Fault(upstream="github", op="device.token", kind="status", status=200, body=body))
    async with ModelWorld(clock=clock, faults=faults) as world, HttpPool() as http:
        copilot = provider(world, http, clock)
        with pytest.raises(error, match=says):
            await copilot.poll(await copilot.begin())


@pytest.mark.parametrize("kind", ["reset", "half_body", "edge_page", "malformed"])
async def test_trouble_on_the_way_does_not_end_a_login(kind: str) -> None:
    clock = FakeClock()
    faults = plan(Fault(upstream="github", op="device.token", kind=kind, nth=1))
    async with ModelWorld(clock=clock, faults=faults) as world, HttpPool() as http:
        copilot = provider(world, http, clock)
        pending = await copilot.begin()
        world.decide_device(pending.user_code)
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            clock.advance(seconds)

        if kind in {"half_body", "malformed"}:
            # GitHub has handed the token out in the lost answer: the code is spent, and that is said.
            with pytest.raises(LoginNeeded, match="incorrect_device_code"):
                await wait_for_person(copilot, pending, clock=clock, sleep=sleep)
        else:
            assert isinstance(await wait_for_person(copilot, pending, clock=clock, sleep=sleep), Token)
        assert waits == [5, 10]


async def test_an_outage_until_the_code_runs_out_is_reported_as_one() -> None:
    clock = FakeClock()
    faults = plan(Fault(upstream="github", op="device.token", kind="status", nth="*", status=503))
    async with ModelWorld(clock=clock, faults=faults) as world, HttpPool() as http:
        copilot = provider(world, http, clock)

        async def sleep(seconds: float) -> None:
            clock.advance(seconds)

        with pytest.raises(Unavailable, match="503"):
            await wait_for_person(copilot, await copilot.begin(), clock=clock, sleep=sleep)


async def test_a_wrong_client_id_is_the_settings_fault() -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, HttpPool() as http:
        with pytest.raises(ConfigError, match="client id"):
            await provider(world, http, clock, client_id="wrong").begin()


async def test_there_is_nothing_to_paste_and_refresh_keeps_the_token() -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, HttpPool() as http:
        copilot = provider(world, http, clock)
        with pytest.raises(Invalid):
            await copilot.complete(await copilot.begin(), "code")
        token = Token(access=Secret("ghu_x"))
        assert await copilot.refresh(token) is token
        with pytest.raises(Unavailable, match=r"github\.com/settings"):
            await copilot.revoke(token)


async def test_exchange_gives_the_bearer_and_the_apis_address() -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, HttpPool() as http:
        github = github_of(world, http, clock)
        bearer = await github.exchange(Secret(world.tokens.issue("github", lifetime=timedelta(days=1)).value))
        assert bearer.base_url == world.copilot_base
        assert bearer.expires_at == clock.now() + timedelta(minutes=30)
        assert bearer.refresh_in_s == 1500
        assert bearer.token.reveal() not in repr(bearer)
        with pytest.raises(LoginNeeded, match="auth login copilot"):
            await github.exchange(Secret("ghu_nobody"))


@pytest.mark.parametrize("off_s", [-90 * 60, -60, 0, 60, 28 * 60, 40 * 60, 30 * 86400])
async def test_a_bearer_lives_its_time_by_our_clock_however_that_differs(off_s: int) -> None:
    clock = FakeClock()
    async with ModelWorld(clock=clock) as world, HttpPool() as http:
        token = Secret(world.tokens.issue("github", lifetime=timedelta(days=1)).value)
        ours = FakeClock(clock.now() + timedelta(seconds=off_s))
        bearer = await github_of(world, http, ours).exchange(token)
        left = bearer.expires_at - ours.now()
        assert timedelta(minutes=25) <= left <= timedelta(minutes=40)


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (403, {"error_details": {"message": "No seat for canary-sent-token"}}, LoginNeeded, "No seat"),
        (404, {"message": "Not Found"}, LoginNeeded, "not one of a Copilot"),
        (429, {}, RateLimited, "limits"),
        (500, {}, Unavailable, "500"),
        (200, {"message": "no"}, Unavailable, "200"),
        (200, {"token": "tid=1", "expires_at": None}, Unavailable, "expiry"),
    ],
)
async def test_exchange_refusals(status: int, body: object, error: type, says: str) -> None:
    clock = FakeClock()
    faults = plan(Fault(upstream="github", op="copilot.token", kind="status", status=status, body=body))
    async with ModelWorld(clock=clock, faults=faults) as world, HttpPool() as http:
        with pytest.raises(error, match=says) as caught:
            await github_of(world, http, clock).exchange(Secret("canary-sent-token"))
        assert "canary" not in str(caught.value)


async def test_a_page_of_the_edge_is_told_apart() -> None:
    faults = plan(Fault(upstream="github", op="copilot.token", kind="edge_page"))
    async with ModelWorld(faults=faults) as world, HttpPool() as http:
        with pytest.raises(EdgeBlocked):
            await github_of(world, http, FakeClock()).exchange(Secret("x" * 20))


@pytest.mark.parametrize(
    ("bearer", "body", "base"),
    [
        ("tid=1;proxy-ep=proxy.business.githubcopilot.com:s", {}, "https://api.business.githubcopilot.com"),
        ("tid=1;proxy-ep=proxy.evil.example/x", {}, "https://api.individual.githubcopilot.com"),
        ("tid=1;proxy-ep=proxy.business.githubcopilot.com;x=1", {}, "https://api.business.githubcopilot.com"),
        ("tid=1", {"endpoints": {"api": "https://api.enterprise.example/"}}, "https://api.enterprise.example"),
        ("tid=1", {"endpoints": {"api": "http://plain.example"}}, "https://api.individual.githubcopilot.com"),
        ("tid=1", {"endpoints": "nonsense"}, "https://api.individual.githubcopilot.com"),
    ],
)
async def test_where_the_api_is(bearer: str, body: dict, base: str) -> None:
    async with HttpPool() as http:
        assert GithubApi(CopilotOAuthSettings(), http).api_base_of(bearer, body) == base


def test_imports() -> None:
    assert import_github_token("ghu_abc\n", place="f").access.reveal() == "ghu_abc"
    for text, says in (("", "no GitHub token"), ("two words", "no GitHub token"), ("ghp_canary", "personal access")):
        with pytest.raises(Invalid, match=says) as caught:
            import_github_token(text, place="f")
        assert "canary" not in caught.value.detail
    bearer = import_copilot_file(
        '{"token": "tid=1;proxy-ep=proxy.x.githubcopilot.com;y=2", "expiresAt": 1893456000000, "updatedAt": 1}',
        place="f",
    )
    assert (bearer.base_url, bearer.expires_at.year) == ("https://api.x.githubcopilot.com", 2030)
    for text in (
        "",
        "[]",
        "{}",
        '{"token": "held-by-gateway", "expiresAt": 1}',
        '{"token": "tid=1", "expiresAt": "x"}',
    ):
        with pytest.raises(Invalid, match="no Copilot token"):
            import_copilot_file(text, place="f")
