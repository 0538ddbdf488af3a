"""Threads and Instagram sign-ins against the emulators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.meta import MetaWorld
from gateway.sandbox.meta.tokens import ACCOUNTS, App, Network
from shared.clock import FakeClock
from shared.errors import ConfigError, GatewayError, Invalid, Unavailable
from shared.http.client import HttpPool
from shared.oauth.instagram import InstagramOAuth, InstagramOAuthSettings
from shared.oauth.meta import MetaApp, MetaOAuth, is_due
from shared.oauth.models import EdgeBlocked, LoginNeeded, Token
from shared.oauth.threads import ThreadsOAuth, ThreadsOAuthSettings
from shared.secrets.files import Secret

REDIRECT = "https://localhost:3000/callback"
BOTH = pytest.mark.parametrize("network", ["threads", "instagram"])


@dataclass
class Bed:
    world: MetaWorld
    meta: MetaOAuth
    app: App
    clock: FakeClock
    network: Network

    async def sign_in(self) -> Token:
        pending = await self.meta.begin()
        return await self.meta.complete(pending, self.world.allow(self.network, pending.url))


@asynccontextmanager
async def bed(network: Network, *faults: Fault, secret: str = "") -> AsyncIterator[Bed]:
    clock = FakeClock()
    async with MetaWorld(faults=FaultPlan.of(faults), clock=clock) as world, HttpPool() as http:
        app = world.new_app(network, REDIRECT)
        mine = MetaApp(app.app_id, Secret(secret or app.secret), REDIRECT)
        meta: MetaOAuth
        if network == "threads":
            meta = ThreadsOAuth(ThreadsOAuthSettings(**world.endpoints(network)), mine, http, clock=clock)
        else:
            meta = InstagramOAuth(InstagramOAuthSettings(**world.endpoints(network)), mine, http, clock=clock)
        yield Bed(world, meta, app, clock, network)


def fault(network: str, op: str, kind: str = "status", **more: object) -> Fault:
    return Fault.model_validate({"upstream": network, "op": op, "kind": kind, **more})


@BOTH
@pytest.mark.parametrize("wrapped", [True, False])
async def test_a_login_gives_a_long_token_with_its_owner(network: Network, wrapped: bool) -> None:
    async with bed(network) as b:
        b.world.quirks.wrapped = wrapped
        token = await b.sign_in()
        account = ACCOUNTS[network]
        assert token.account == account.username
        assert token.extra["user_id"] == str(account.user_id), "an id larger than a float holds stays exact"
        assert token.expires_at is not None
        assert token.expires_at - b.clock.now() == timedelta(seconds=5_183_944)
        assert not is_due(token, b.clock.now())
        assert [entry.op for entry in b.world.requests] == ["oauth.code", "oauth.exchange", "me"]
        assert token.access.reveal() not in repr(token)


@BOTH
async def test_renewal_a_week_before_the_end(network: Network) -> None:
    async with bed(network) as b:
        token = await b.sign_in()
        with pytest.raises(Unavailable, match="younger than a day") as caught:
            await b.meta.refresh(token)
        assert caught.value.code == "auth.too_young"
        b.clock.advance(52 * 86400)
        assert not is_due(token, b.clock.now())
        b.clock.advance(2 * 86400)
        assert is_due(token, b.clock.now())
        fresh = await b.meta.refresh(token)
        assert fresh.access.reveal() != token.access.reveal()
        assert fresh.account == token.account
        assert fresh.expires_at is not None
        assert (fresh.expires_at - b.clock.now()).days == 59
        b.clock.advance(61 * 86400)
        before = len(b.world.requests)
        with pytest.raises(LoginNeeded, match=f"expired on .*clawgate auth login {network}"):
            await b.meta.refresh(fresh)
        assert len(b.world.requests) == before, "nobody is asked about an expired token"


@BOTH
@pytest.mark.parametrize("kind", ["reset", "half_body", "malformed", "edge_page"])
async def test_a_cut_exchange_does_not_lose_the_code(network: Network, kind: str) -> None:
    async with bed(network, fault(network, "oauth.exchange", kind)) as b:
        short = await b.sign_in()
        assert short.extra["stage"] == "short"
        assert is_due(short, b.clock.now())
        long = await b.meta.refresh(short)
        assert long.extra["stage"] == "long"
        assert long.account == ACCOUNTS[network].username


@BOTH
async def test_a_lost_owner_does_not_lose_the_login(network: Network) -> None:
    async with bed(network, fault(network, "me", "reset")) as b:
        token = await b.sign_in()
        assert token.extra["stage"] == "long"
        assert token.account == (str(ACCOUNTS[network].user_id))


@BOTH
async def test_pasted_text_that_is_no_answer_of_this_login(network: Network) -> None:
    async with bed(network) as b:
        pending = await b.meta.begin()
        good = b.world.allow(network, pending.url)
        stranger = good.replace(pending.state, "another-state-another-state")
        generated = b.world.generate(network, b.app, ("x",)).value
        for pasted, says in (
            ("", "nothing was pasted"),
            ("AQ-a-bare-code-0123456789", "whole address"),
            ("AQ-a-bare-code-0123456789#_", "whole address"),
            (stranger, "another login"),
            (generated, "User Token Generator"),
            (f" '{generated}'\n", "cannot be exchanged"),
            ("https://localhost/?state=" + pending.state, "no authorization code"),
        ):
            with pytest.raises(Invalid, match=says) as caught:
                await b.meta.complete(pending, pasted)
            assert generated not in caught.value.detail
        with pytest.raises(LoginNeeded, match="access_denied"):
            await b.meta.complete(pending, b.world.deny(pending.url))
        assert b.world.requests == [], "nothing was sent for any of them"
        assert (await b.meta.complete(pending, good)).account, "and the login can still be finished"
        with pytest.raises(LoginNeeded, match="counts once"):
            await b.meta.complete(pending, good)


@BOTH
async def test_a_wrong_secret_is_the_settings_fault(network: Network) -> None:
    async with bed(network, secret="canary-wrong-secret") as b:
        with pytest.raises(ConfigError, match="id and secret") as caught:
            await b.sign_in()
        assert "canary" not in caught.value.detail


@BOTH
@pytest.mark.parametrize(
    ("more", "error", "says"),
    [
        ({"kind": "edge_page"}, EdgeBlocked, "a page"),
        ({"kind": "reset"}, Unavailable, "cut"),
        ({"kind": "half_body"}, Unavailable, "cut"),
        ({"status": 503, "body": {}}, Unavailable, "503"),
        ({"status": 502, "body": "<html>bad</html>"}, Unavailable, "502"),
        ({"status": 429, "body": {}}, Unavailable, "later"),
        ({"status": 200, "body": {"error": {"code": 190, "message": "ECHO"}}}, LoginNeeded, "taken back"),
        ({"status": 400, "body": {"error": {"code": 190, "error_subcode": 460}}}, LoginNeeded, "password"),
        ({"status": 400, "body": {"error": {"code": 10, "message": "ECHO"}}}, LoginNeeded, "permission"),
        ({"status": 400, "body": {"error": {"code": 2}}}, Unavailable, "code 2"),
        ({"status": 400, "body": {"error": {"code": 4}}}, Unavailable, "code 4"),
        ({"status": 400, "body": {"error": {"code": 100, "message": "ECHO"}}}, Unavailable, "kept"),
        ({"status": 400, "body": {"error": {"code": 190, "is_transient": True}}}, Unavailable, "later"),
        ({"status": 400, "body": {"detail": "ECHO"}}, Unavailable, "kept"),
        ({"status": 200, "body": {"detail": "ECHO"}}, Unavailable, "without a token"),
        ({"status": 200, "body": {"access_token": ["ECHO"]}}, Unavailable, "without a token"),
        ({"status": 200, "body": []}, Unavailable, "JSON"),
    ],
)
async def test_what_a_renewal_may_be_answered_with(network: Network, more: dict, error: type, says: str) -> None:
    async with bed(network, fault(network, "oauth.refresh", **more)) as b:
        token = await b.sign_in()
        b.clock.advance(54 * 86400)
        with pytest.raises(error, match=says) as caught:
            await b.meta.refresh(token)
        assert isinstance(caught.value, GatewayError)
        assert error is LoginNeeded or not isinstance(caught.value, LoginNeeded)
        assert "ECHO" not in caught.value.detail
        assert token.access.reveal() not in str(caught.value)
        assert caught.value.__cause__ is None
        assert isinstance(await b.meta.refresh(token), Token), "the old token goes on counting"


@BOTH
@pytest.mark.parametrize("expires_in", [None, 0, -5, "soon", 10**12, True])
async def test_an_answer_without_a_usable_lifetime_is_tried_again_soon(network: Network, expires_in: object) -> None:
    body = {"access_token": "x" * 40, "expires_in": expires_in}
    async with bed(network, fault(network, "oauth.exchange", status=200, body=body)) as b:
        token = await b.sign_in()
        assert token.expires_at is not None
        assert timedelta(days=7) < token.expires_at - b.clock.now() < timedelta(days=9)


@BOTH
async def test_a_new_token_that_does_not_work_is_not_taken(network: Network) -> None:
    body = {"access_token": "y" * 40, "expires_in": 5_000_000}
    async with bed(network, fault(network, "oauth.refresh", status=200, body=body)) as b:
        token = await b.sign_in()
        b.clock.advance(54 * 86400)
        with pytest.raises(Unavailable, match="old one is kept"):
            await b.meta.refresh(token)


@BOTH
async def test_a_revoked_token_asks_for_a_person(network: Network) -> None:
    async with bed(network) as b:
        token = await b.sign_in()
        b.clock.advance(54 * 86400)
        b.world.tokens.revoke(token.access.reveal())
        with pytest.raises(LoginNeeded, match="app was removed"):
            await b.meta.refresh(token)


@BOTH
async def test_a_token_from_elsewhere_is_adopted(network: Network) -> None:
    async with bed(network) as b:
        scopes = ("threads_basic", "instagram_business_basic")
        value = b.world.generate(network, b.app, scopes).value
        b.clock.advance(40 * 86400)
        token = await b.meta.adopt(f"{value}\n")
        assert token.account == ACCOUNTS[network].username
        assert token.expires_at is not None
        left = (token.expires_at - b.clock.now()).days
        assert left == (19 if network == "threads" else 7), "Threads tells when it ends; for Instagram we find out soon"
        b.clock.advance(86400 if network == "instagram" else 14 * 86400)
        assert is_due(token, b.clock.now())
        assert "adopted" not in (await b.meta.refresh(token)).extra
        with pytest.raises(Invalid):
            await b.meta.adopt("not a token")
        with pytest.raises(LoginNeeded):
            await b.meta.adopt("TH" + "x" * 60)


async def test_an_impossible_address_is_refused_without_quoting_what_would_be_sent() -> None:
    async with bed("threads") as b:
        token = await b.sign_in()
        b.clock.advance(54 * 86400)
        b.meta._graph = "http://"
        with pytest.raises(ConfigError) as caught:
            await b.meta.refresh(token)
        assert token.access.reveal() not in str(caught.value)


async def test_there_is_no_waiting_and_no_revoking() -> None:
    async with bed("threads") as b:
        token = await b.sign_in()
        with pytest.raises(Invalid):
            await b.meta.poll(await b.meta.begin())
        with pytest.raises(Unavailable, match="settings"):
            await b.meta.revoke(token)
        assert is_due(replace(token, extra={}), b.clock.now() + timedelta(days=59))
