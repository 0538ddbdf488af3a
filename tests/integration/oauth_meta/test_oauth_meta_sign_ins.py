"""All the parts together: sign-ins of Threads, Instagram and Copilot, kept in the vault, renewed by the refresher."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.credentials.settings import OAuthPolicy
from gateway.credentials.setup import build_sign_ins
from gateway.sandbox.meta import MetaWorld
from gateway.sandbox.models import ModelWorld
from shared.clock import FakeClock
from shared.config.paths import Paths
from shared.errors import Invalid
from shared.http.client import HttpPool
from shared.oauth.copilot_settings import CopilotOAuthSettings
from shared.oauth.instagram import InstagramOAuthSettings
from shared.oauth.threads import ThreadsOAuthSettings
from shared.secrets.vault import Vault


async def test_login_renewal_and_logout_through_the_vault(tmp_path: Path) -> None:
    paths, clock = Paths(tmp_path / "state", tmp_path / "run"), FakeClock()
    vault = Vault.at(paths.gateway / "vault", clock=clock)
    async with MetaWorld(clock=clock) as meta, ModelWorld(clock=clock) as models, HttpPool() as http:
        mine = meta.new_app("threads", "https://localhost:3000/callback")
        other = meta.new_app("instagram", "https://localhost/")
        env = {
            "THREADS_APP_ID": mine.app_id,
            "THREADS_APP_SECRET": mine.secret,
            "OPENCLAW_INSTAGRAM_APP_ID": other.app_id,
            "OPENCLAW_INSTAGRAM_APP_SECRET": other.secret,
        }
        policy = OAuthPolicy(
            copilot=CopilotOAuthSettings(login_base=models.github_base, api_base=models.github_api_base),
            threads=ThreadsOAuthSettings(**meta.endpoints("threads")),
            instagram=InstagramOAuthSettings(**meta.endpoints("instagram")),
        )
        sign_ins = build_sign_ins(
            paths=paths,
            policy=policy,
            claude_file=tmp_path / "claude.json",
            http=http,
            tenants={"nanoclaw": "nanoclaw", "openclaw": "openclaw"},
            env=env,
            store=vault,
            clock=clock,
        )

        asked = await sign_ins.begin("threads", "nanoclaw")
        with pytest.raises(Invalid, match="User Token Generator"):
            await sign_ins.complete("threads", "nanoclaw", meta.generate("threads", mine, ("x",)).value)
        done = await sign_ins.complete("threads", "nanoclaw", meta.allow("threads", asked["url"]))
        assert (done["done"], done["account"], done["can_refresh"]) == (True, "sandbox.threads", True)

        asked = await sign_ins.begin("copilot")
        assert (await sign_ins.poll("copilot", asked["tenant"]))["done"] is False
        clock.advance(asked["interval_s"])
        models.decide_device(asked["user_code"])
        assert (await sign_ins.poll("copilot", asked["tenant"]))["account"] == "sandbox-owner"

        first = await vault.get("nanoclaw", "threads")
        clock.advance(54 * 86400)
        renewed = await sign_ins.refresh("threads", "nanoclaw")
        assert renewed["expires_at"] == (clock.now() + timedelta(seconds=5_183_944)).isoformat()
        assert await vault.get("nanoclaw", "threads") != first
        lines = {line["provider"]: line for line in await sign_ins.status()}
        assert lines["threads"]["health"] == "ok"
        assert lines["copilot"]["health"] == "ok"

        secrets = [grant.value.encode() for grant in meta.tokens._grants.values()]
        written = [path for path in tmp_path.rglob("*") if path.is_file() and path != paths.env_file]
        assert paths.tenant("nanoclaw") / "data" / "threads-token-state.json" in written
        assert paths.tenant("openclaw") / "agents" / "main" / "agent" / "auth-profiles.json" in written
        assert "THREADS_ACCESS_TOKEN=TH" in paths.env_file.read_text()
        for path in written:
            assert not any(secret in path.read_bytes() for secret in secrets), path

        await sign_ins.logout("threads", "nanoclaw")
        assert await vault.get("nanoclaw", "threads") is None
        assert [entry.name for entry in await vault.names()] == ["copilot"]
