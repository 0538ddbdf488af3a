"""From a refresh that fails to the owner's notice: real keepers, the emulators, a real database."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta

from gateway.credentials.settings import OAuthPolicy
from gateway.credentials.setup import build_sign_ins
from gateway.notices.policy import NoticesPolicy
from gateway.notices.service import Notices
from gateway.notices.store import NoticeStore
from gateway.notices.watch import SignInWatch
from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.meta.world import MetaWorld
from shared.clock import FakeClock
from shared.config.paths import Paths
from shared.http.client import HttpPool
from shared.oauth.threads import ThreadsOAuthSettings
from shared.storage import Database

HOUR = 3600
DAY = 86400
REDIRECT = "https://localhost:3000/callback"


@asynccontextmanager
async def watching(folder, clock):
    """Notices in a database of their own; gives a function that looks at sign-ins and tells what waits."""
    database = Database(folder / "notices.db", migrations="gateway.migrations")
    await database.open()
    notices = Notices(NoticeStore(database, clock), tenant="nanoclaw", chat="", clock=clock)

    async def look(sign_ins) -> list[str]:
        watch = SignInWatch(sign_ins.refresher.status, notices, NoticesPolicy(), clock=clock)
        await watch.look()
        waiting = await notices.wait("nanoclaw", 0)
        for message in waiting:
            await notices.acknowledge("nanoclaw", message.id, "dc:1")
        return [message.text for message in waiting]

    try:
        yield look
    finally:
        await notices.close()
        await database.close()


async def test_a_long_outage_is_told_once_over_restarts_and_its_end_is_not(desk, tmp_path) -> None:
    outage = Fault(upstream="claude", op="token", kind="status", status=503, nth=(1, 2, 3, 4))
    async with desk(tmp_path, outage) as d, watching(tmp_path, d.clock) as look:
        d.clock.advance(8 * HOUR - 200)
        sign_ins = d.sign_ins()
        await sign_ins.refresher.keeper("claude").tick()
        assert await look(sign_ins) == []
        d.clock.advance(HOUR / 2)
        await sign_ins.refresher.keeper("claude").tick()
        assert await look(sign_ins) == []
        d.clock.advance(HOUR / 2)
        restarted = d.sign_ins()
        (told,) = await look(restarted)
        assert "cannot be refreshed since" in told
        assert "503" in told
        assert "It has ended meanwhile" in told
        await restarted.refresher.keeper("claude").tick()
        assert await look(restarted) == [], "the same stretch of failures"
        while (await restarted.refresher.keeper("claude").status()).health == "retrying":
            d.clock.advance(HOUR)
            await restarted.refresher.keeper("claude").tick()
        assert await look(restarted) == []
        assert (await restarted.refresher.keeper("claude").status()).failing_since is None


async def test_a_final_no_is_told_once_and_the_next_sign_ins_end_again(desk, tmp_path) -> None:
    async with desk(tmp_path) as d, watching(tmp_path, d.clock) as look:
        for _ in range(2):
            d.world.tokens.revoke(d.stored()["refreshToken"])
            d.clock.advance(9 * HOUR)
            await d.keeper().tick()
            (told,) = await look(d.sign_ins())
            assert "somebody has to sign in again" in told
            assert await look(d.sign_ins()) == []
            d.world.seed_credentials(claude=d.claude_file)
            assert await look(d.sign_ins()) == []


async def test_a_threads_token_that_cannot_be_renewed_is_told_of_three_days_before_its_end(tmp_path) -> None:
    clock = FakeClock()
    outage = Fault.model_validate({"upstream": "threads", "op": "oauth.refresh", "nth": "*", "kind": "reset"})
    async with (
        MetaWorld(clock=clock, faults=FaultPlan.of([outage])) as world,
        HttpPool() as http,
        watching(tmp_path, clock) as look,
    ):
        app = world.new_app("threads", REDIRECT)
        sign_ins = build_sign_ins(
            paths=Paths(tmp_path / "state", tmp_path / "run"),
            policy=OAuthPolicy(threads=ThreadsOAuthSettings(**world.endpoints("threads"))),
            claude_file=tmp_path / "claude.json",
            http=http,
            tenants={"nanoclaw": "nanoclaw"},
            env={"THREADS_APP_ID": app.app_id, "THREADS_APP_SECRET": app.secret},
            clock=clock,
        )
        begun = await sign_ins.begin("threads", "nanoclaw")
        await sign_ins.complete("threads", "nanoclaw", world.allow("threads", begun["url"]))
        keeper = sign_ins.refresher.keeper("threads", "nanoclaw")
        ends = (await keeper.peek()).expires_at
        told: list[str] = []
        while clock.now() < ends - timedelta(days=3):
            assert not any("cannot be renewed" in text for text in told)
            clock.advance(DAY / 2)
            await keeper.tick()
            told += await look(sign_ins)
        clock.advance(HOUR)
        await keeper.tick()
        told += await look(sign_ins)
        assert [text.partition(" (")[0] for text in told] == ["**Threads of nanoclaw", "**Threads of nanoclaw"]
        assert "cannot be refreshed since" in told[0]
        assert "cannot be renewed" in told[1]
        assert "`clawgate auth login threads --tenant nanoclaw`" in told[1]
