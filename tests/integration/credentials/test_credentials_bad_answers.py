"""Every bad answer of a token endpoint: what is stored survives it, and the message says what to do."""

from __future__ import annotations

import pytest

from gateway.sandbox.faults import Fault
from shared.errors import GatewayError, Unavailable
from shared.oauth.models import LoginNeeded

HOUR = 3600
PASSES = {
    "half a body": ({"kind": "half_body"}, "cut"),
    "cut": ({"kind": "reset"}, "cut"),
    "broken JSON": ({"kind": "malformed"}, "no whole JSON object"),
    "a page of the edge": ({"kind": "edge_page"}, "page instead of JSON"),
    "a 4xx that is a page": ({"kind": "status", "status": 404, "body": "<html>moved</html>"}, "page instead of JSON"),
    "a 4xx that is text": ({"kind": "status", "status": 400, "body": "no"}, "check client_id and token_url"),
    "a 4xx without a reason": ({"kind": "status", "status": 400, "body": {"detail": "no"}}, "check client_id"),
    "a limit": ({"kind": "status", "status": 429, "headers": {"retry-after": "120"}}, "429"),
    "an outage": ({"kind": "status", "status": 503}, "503"),
    "200 with an error": ({"kind": "status", "status": 200, "body": {"error": {"type": "api_error"}}}, "an error"),
    "200 with no token": ({"kind": "status", "status": 200, "body": {"access_token": ""}}, "no token"),
}
ENDS = {
    "revoked": {"status": 400, "body": {"error": "invalid_grant", "error_description": "Refresh token not found"}},
    "expired": {"status": 401, "body": {"error": {"code": "refresh_token_expired"}}},
    "used before": {"status": 401, "body": {"error": {"code": "refresh_token_reused"}}},
}
BOTH = pytest.mark.parametrize("provider", ["claude", "codex"])


async def signed_in(d, provider: str):
    sign_ins = d.sign_ins()
    if provider == "codex":
        await sign_ins.take("codex", "gateway", d.codex_file.read_text())
    return sign_ins, sign_ins.refresher.keeper(provider)


def fault(provider: str, **more) -> Fault:
    return Fault.model_validate({"upstream": provider, "op": "token", "nth": "*", **more})


@BOTH
@pytest.mark.parametrize("what", PASSES)
async def test_what_passes_keeps_the_sign_in_and_says_what_to_do(desk, tmp_path, provider: str, what: str) -> None:
    more, says = PASSES[what]
    async with desk(tmp_path, fault(provider, **more)) as d:
        sign_ins, keeper = await signed_in(d, provider)
        before = (await keeper.peek()).access.reveal()
        with pytest.raises(Unavailable, match=says) as caught:
            await sign_ins.refresh(provider, "gateway")
        actions = (f"clawgate auth refresh {provider}", "policies/oauth.toml")
        assert any(action in caught.value.detail for action in actions), caught.value.detail
        assert (await d.keeper(provider).peek()).access.reveal() == before
        status = await keeper.status()
        assert (status.health, status.detail) == ("retrying", caught.value.detail)
        assert not d.notices


@BOTH
@pytest.mark.parametrize("why", ENDS)
async def test_what_ends_it_names_the_login(desk, tmp_path, provider: str, why: str) -> None:
    async with desk(tmp_path, fault(provider, kind="status", **ENDS[why])) as d:
        sign_ins, keeper = await signed_in(d, provider)
        with pytest.raises(LoginNeeded, match=f"Run: clawgate auth login {provider}"):
            await sign_ins.refresh(provider, "gateway")
        assert (await keeper.status()).health == "login_needed"
        assert len(d.notices) == 1


@BOTH
@pytest.mark.parametrize("expires_in", [None, 0, -5, "soon", 10**12])
async def test_an_answer_without_a_usable_lifetime_is_neither_for_ever_nor_asked_for_again_at_once(
    desk, tmp_path, provider: str, expires_in: object
) -> None:
    body = {"access_token": "opaque-token", "refresh_token": "next", "expires_in": expires_in}
    async with desk(tmp_path, fault(provider, kind="status", status=200, body=body)) as d:
        sign_ins, keeper = await signed_in(d, provider)
        await sign_ins.refresh(provider, "gateway")
        left = ((await keeper.peek()).expires_at - d.clock.now()).total_seconds()
        assert 0 < left <= HOUR
        asked = d.refreshes(provider)
        await keeper.tick()
        assert d.refreshes(provider) == asked


@BOTH
async def test_a_login_that_the_provider_did_not_answer_stays_open_and_works_on_the_next_paste(
    desk, tmp_path, provider: str
) -> None:
    once = Fault.model_validate({"upstream": provider, "op": "token", "nth": 1, "kind": "reset"})
    async with desk(tmp_path, once, seed=False) as d:
        sign_ins = d.sign_ins()
        begun = await sign_ins.begin(provider)
        code, state = d.approve(begun["url"])
        with pytest.raises(GatewayError, match=f"clawgate auth login {provider} --resume"):
            await sign_ins.complete(provider, "gateway", f"{code}#{state}")
        assert (await sign_ins.complete(provider, "gateway", f"{code}#{state}"))["done"]
