"""OpenClaw's Copilot files: taken over, shown again as views, and never mistaken for each other."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from gateway.credentials.service import Credentials
from shared.clock import unix_ms
from shared.errors import AuthRequired, Conflict, Invalid
from shared.oauth.models import LoginNeeded
from shared.secrets.files import Secret

MINUTES = 60


def service(d, sign_ins) -> Credentials:
    return Credentials(
        http=d.http,
        claude_file=d.claude_file,
        claude_base=d.world.claude_base,
        claude_fallback_key=Secret(""),
        codex_file=d.codex_file,
        codex_base=d.world.codex_base,
        copilot_file=d.paths.state / "home" / "github_token",
        copilot_base=d.world.copilot_base,
        github_api_base=d.world.github_api_base,
        clock=d.clock,
        refresher=sign_ins.refresher,
        policy=d.policy(),
        on_copilot_bearer=sign_ins.on_copilot_bearer,
    )


def cache_file(d, minutes: float = 20) -> str:
    bearer = d.world.tokens.issue("copilot", lifetime=timedelta(minutes=minutes)).value
    ends = unix_ms(d.clock.now() + timedelta(minutes=minutes))
    return json.dumps({"token": bearer, "expiresAt": ends, "updatedAt": unix_ms(d.clock.now())})


async def test_an_imported_bearer_serves_until_it_ends_and_then_the_login_is_asked_for(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins()
        text = cache_file(d)
        done = await sign_ins.take("copilot", "gateway", text)
        assert (done["done"], done["can_refresh"]) == (True, False)
        credentials = service(d, sign_ins)
        auth = await credentials.headers_for("copilot")
        assert ("Authorization", f"Bearer {json.loads(text)['token']}") in auth.headers
        assert auth.base_url == d.world.copilot_base
        assert d.world.of("github") == [], "there is no GitHub token to exchange"
        with pytest.raises(AuthRequired, match="clawgate auth login copilot"):
            await credentials.github_token()

        d.clock.advance(21 * MINUTES)
        with pytest.raises(AuthRequired, match="clawgate auth login copilot"):
            await credentials.headers_for("copilot")
        line = next(line for line in await sign_ins.status() if line["provider"] == "copilot")
        assert (line["health"], "clawgate auth login copilot" in line["detail"]) == ("login_needed", True)


async def test_the_view_of_an_imported_bearer_has_its_end_and_is_not_imported_again(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins(tenants={"openclaw": "openclaw"})
        text = cache_file(d)
        await sign_ins.take("copilot", "gateway", text)
        view = (d.paths.tenant("openclaw") / "credentials" / "github-copilot.token.json").read_text()
        assert json.loads(view) == json.loads(text) | {"token": "held-by-gateway"}
        with pytest.raises(Invalid, match="one of ours"):
            await sign_ins.take("copilot", "gateway", view)
        profiles = (d.paths.tenant("openclaw") / "agents" / "main" / "agent" / "auth-profiles.json").read_text()
        for provider in ("copilot", "codex"):
            with pytest.raises(Invalid, match="one of ours"):
                await sign_ins.take(provider, "gateway", profiles)
        assert (await sign_ins.refresher.keeper("copilot").peek()).access.reveal() == json.loads(text)["token"]


async def test_the_view_names_the_end_of_each_bearer_bought(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins(tenants={"openclaw": "openclaw"})
        await sign_ins.take("copilot", "gateway", d.world.tokens.issue("github", lifetime=timedelta(days=9)).value)
        credentials = service(d, sign_ins)
        await credentials.headers_for("copilot")
        d.clock.advance(26 * MINUTES)
        await credentials.headers_for("copilot")
        await sign_ins.refresher.stop()
        view = json.loads((d.paths.tenant("openclaw") / "credentials" / "github-copilot.token.json").read_text())
        assert view["expiresAt"] == unix_ms(d.clock.now() + timedelta(minutes=30))


async def test_the_github_sign_in_of_profiles_is_taken_over(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        github = d.world.tokens.issue("github", lifetime=timedelta(days=9)).value
        other = {"type": "token", "provider": "github-copilot", "token": "ghu_other"}
        profiles = {
            "github-copilot:another": other,
            "github-copilot:github": other | {"token": github},
            "openai-codex:default": {"type": "oauth", "provider": "openai-codex", "access": "x", "refresh": "y"},
        }
        document = {"version": 1, "profiles": profiles, "order": {"github-copilot": ["github-copilot:github"]}}
        sign_ins = d.sign_ins()
        await sign_ins.take("copilot", "gateway", json.dumps(document))
        await service(d, sign_ins).headers_for("copilot")
        assert len(d.world.of("github", "copilot.token")) == 1
        with pytest.raises(Conflict, match="buys such tokens by itself"):
            await sign_ins.take("copilot", "gateway", cache_file(d))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"token": "tid=1;x=2:s", "expiresAt": 1000}', "ended at 1970"),
        ('{"token": "tid=1;x=2:s"}', "no Copilot token"),
        ('{"token": "tid=1;x=2:s", "expiresAt": "soon"}', "no Copilot token"),
        ('{"token": 1, "expiresAt": 1}', "no Copilot token"),
        ('{"profiles": {}}', "Nothing was changed"),
        ('{"profiles": {"a": {"type": "token", "provider": "github-copilot", "token": "ghp_canary"}}}', "personal"),
        ("{", "Nothing was changed"),
        ("[]", "Nothing was changed|no GitHub token"),
        ("{" * 9000, "Nothing was changed"),
    ],
)
async def test_a_file_without_a_usable_sign_in_is_refused_in_words(desk, tmp_path, text: str, says: str) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins()
        with pytest.raises(Invalid, match=says) as caught:
            await sign_ins.take("copilot", "gateway", text)
        assert "canary" not in caught.value.detail
        assert await sign_ins.refresher.keeper("copilot").peek() is None


async def test_refreshing_a_sign_in_without_an_end_asks_github_and_harms_nothing(desk, tmp_path) -> None:
    async with desk(tmp_path) as d:
        sign_ins = d.sign_ins()
        await sign_ins.take("copilot", "gateway", d.world.tokens.issue("github", lifetime=timedelta(days=9)).value)
        done = await sign_ins.refresh("copilot", "gateway")
        assert (done["account"], "nothing to refresh" in done["detail"]) == ("sandbox-owner", True)
        d.world.revoke("github")
        with pytest.raises(LoginNeeded, match="clawgate auth login copilot"):
            await sign_ins.refresh("copilot", "gateway")
        line = next(line for line in await sign_ins.status() if line["provider"] == "copilot")
        assert line["health"] == "ok", "one look does not end a sign-in"
