"""Threads and Instagram under the same keeper: no refresh token, renewed a week ahead, never younger than a day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.credentials.settings import OAuthPolicy
from gateway.credentials.setup import build_sign_ins
from gateway.sandbox.meta.world import MetaWorld
from shared.clock import FakeClock
from shared.config.paths import Paths
from shared.errors import ConfigError
from shared.http.client import HttpPool
from shared.oauth.instagram import InstagramOAuthSettings
from shared.oauth.threads import ThreadsOAuthSettings
from shared.secrets.files import write_private

REDIRECT = "https://localhost:3000/callback"
DAY = 86400


@pytest.mark.parametrize("network", ["threads", "instagram"])
async def test_a_tenants_own_sign_in_is_renewed_a_week_ahead_and_written_where_the_policy_looks(
    tmp_path, network
) -> None:
    clock = FakeClock()
    async with MetaWorld(clock=clock) as world, HttpPool() as http:
        app, prefix = world.new_app(network, REDIRECT), network.upper()
        paths = Paths(tmp_path / "state", tmp_path / "run")
        env = {f"{prefix}_APP_ID": app.app_id, f"{prefix}_APP_SECRET": app.secret}
        write_private(paths.env_file, "THREADS_ACCESS_TOKEN=old\n")
        sign_ins = build_sign_ins(
            paths=paths,
            policy=OAuthPolicy(
                threads=ThreadsOAuthSettings(**world.endpoints("threads")),
                instagram=InstagramOAuthSettings(**world.endpoints("instagram")),
            ),
            claude_file=tmp_path / "claude.json",
            http=http,
            tenants={"nanoclaw": "nanoclaw", "openclaw": "openclaw"},
            env=env,
            clock=clock,
        )
        with pytest.raises(ConfigError, match=f"OPENCLAW_{prefix}_APP_ID"):
            await sign_ins.begin(network, "openclaw")
        begun = await sign_ins.begin(network, "nanoclaw")
        assert (await sign_ins.complete(network, "nanoclaw", world.allow(network, begun["url"])))["done"]
        keeper = sign_ins.refresher.keeper(network, "nanoclaw")
        assert keeper.login_command == f"clawgate auth login {network} --tenant nanoclaw"
        first = await keeper.token()
        status = await keeper.status()
        assert (status.health, status.next_refresh) == ("ok", first.expires_at - timedelta(days=7))
        view = paths.tenant("nanoclaw") / "data" / f"{network}-token-state.json"
        assert first.access.reveal() not in view.read_text()
        if network == "threads":
            assert first.access.reveal() in paths.env_file.read_text()
        clock.advance(50 * DAY)
        await keeper.tick()
        assert (await keeper.token()).access.reveal() == first.access.reveal()
        clock.advance(4 * DAY)
        await keeper.tick()
        second = await keeper.token()
        assert second.access.reveal() != first.access.reveal()
        assert second.expires_at > first.expires_at
        if network == "threads":
            assert paths.env_file.read_text() == f"THREADS_ACCESS_TOKEN={second.access.reveal()}\n"
        await sign_ins.refresher.stop()
