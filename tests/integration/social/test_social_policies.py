"""Policy while things happen at once: two processes, two tenants, a hold in the middle, clocks that are set."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.social.models import PostRefused
from gateway.social.runner import LEASE
from shared.errors import Invalid
from shared.posting.tools import read_request
from tests.support.social_bed import EVERYTHING, OPEN, START, post, settle, social_bed, wish

BOTH = {"tenants": {tenant: {"threads": OPEN} for tenant in ("nanoclaw", "openclaw")}}


async def test_a_hold_stops_a_running_queue_at_once_also_from_another_process(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        working, other = await bed.service(), await bed.service()
        for number in range(3):
            await post(working, wish(f"post {number}"))
        while not bed.live():
            await working.runner.run_due()
            bed.clock.advance(1)
        await other.hold(by="owner")
        online = bed.live()
        await settle(working, bed.clock, most_s=1800)
        assert (online, bed.live()) == (1, 1)
        jobs = [job for job in await working.store.jobs() if job.state != "published"]
        # The next one is ready and held; the one behind it has not begun.
        assert "held" in {job.error_code for job in jobs}
        await other.release()
        await settle(working, bed.clock)
        assert bed.live() == 3


async def test_a_hold_reaches_a_runner_that_works_by_itself_within_a_moment(tmp_path: Path) -> None:
    """On the real clock: the runner is in the middle of a post when somebody else holds everything."""
    async with social_bed(tmp_path) as bed:
        working, other = await bed.service(), await bed.service()
        working.runner.start()
        try:
            await post(working, wish("held"))
            async with asyncio.timeout(5):
                while (await working.store.jobs())[0].state != "processing":
                    await asyncio.sleep(0.01)
                await other.hold(by="owner")
                while (await working.store.jobs())[0].error_code != "held":
                    bed.clock.advance(2)
                    working.runner.wake()
                    await asyncio.sleep(0.05)
            assert bed.live() == 0
        finally:
            await working.stop()


async def test_the_daily_cap_holds_for_two_processes_and_two_tenants_of_one_account(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        rules = {"tenants": {name: {"threads": {**OPEN, "daily_cap": 3}} for name in ("nanoclaw", "openclaw")}}
        one, two = await bed.service(rules), await bed.service(rules)
        wishes = [(one, "nanoclaw"), (two, "openclaw"), (two, "nanoclaw"), (one, "openclaw"), (two, "openclaw")]
        made = await asyncio.gather(
            *(social.submit(tenant, "agent", wish(f"post {number}")) for number, (social, tenant) in enumerate(wishes)),
            return_exceptions=True,
        )
        refused = [outcome for outcome in made if isinstance(outcome, PostRefused)]
        assert [error.code for error in refused] == ["quota_exceeded"] * 2
        await asyncio.gather(settle(one, bed.clock), settle(two, bed.clock))
        bed.clock.advance(LEASE.total_seconds() + 1)
        await settle(one, bed.clock)
        assert bed.live() == 3


async def test_two_tenants_at_once_do_not_meet(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(BOTH)
        key: dict[str, Any] = {"idempotency_key": "same"}
        ours = await social.submit("nanoclaw", "agent", wish("ours", **key))
        theirs = await social.submit("openclaw", "agent", wish("theirs", **key))
        assert ours.id != theirs.id
        await settle(social, bed.clock)
        assert sorted(item.text for item in bed.meta.posts.live) == ["ours", "theirs"]
        with pytest.raises(PostRefused, match="belongs to another post") as caught:
            await social.submit("nanoclaw", "agent", wish("changed", **key))
        assert caught.value.code == "idempotency_conflict"
        assert bed.live() == 2


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
async def test_a_clock_that_is_set_makes_nothing_twice(tmp_path: Path, jump_s: float) -> None:
    """As a machine does that takes summer time for a new time."""
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        at = bed.clock.now() + timedelta(hours=2)
        await post(social, wish("planned", at=at))
        await post(social, wish("now"))
        await social.runner.run_due()
        bed.clock.jump(jump_s)
        await settle(social, bed.clock, most_s=6 * 3600)
        bed.clock.jump(-jump_s)
        await settle(social, bed.clock, most_s=6 * 3600)
        assert sorted(item.text for item in bed.meta.posts.live) == ["now", "planned"]
        assert {job.state for job in await social.store.jobs()} == {"published"}


async def test_times_are_absolute_also_in_the_hour_that_comes_twice(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        bed.clock.advance((datetime(2026, 4, 4, 15, tzinfo=UTC) - START).total_seconds())
        # 02:30 in Sydney, first in summer time and an hour later in winter time.
        for text, at in (("later", "2026-04-05T02:30+10:00"), ("sooner", "2026-04-05T02:30+11:00")):
            arguments = {"network": "threads", "text": text, "at": at}
            await post(social, read_request(arguments, group="main", key=text))
        await settle(social, bed.clock, most_s=4 * 3600)
        assert [(item.text, item.posted_at.hour) for item in bed.meta.posts.live] == [("sooner", 15), ("later", 16)]
        for at in ("2026-04-05T02:30", "tomorrow"):
            with pytest.raises(Invalid, match="with its offset"):
                read_request({"network": "threads", "text": "no zone", "at": at}, group="main", key="k")
        with pytest.raises(PostRefused, match="in the past") as caught:
            await post(social, wish("skewed", at=datetime(2026, 4, 4, 15, tzinfo=UTC)))
        assert (caught.value.code, bed.live()) == ("invalid_field", 2)


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.7/a.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00::1]/a.jpg",
        "http://0x7f.1/a.jpg",
        "file:///etc/passwd",
        "https://user:pass@192.168.1.1/a.jpg",
    ],
)
async def test_media_on_a_private_address_is_refused_with_its_code(tmp_path: Path, url: str) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(EVERYTHING)
        with pytest.raises(PostRefused) as caught:
            await post(social, wish("look", media=(url,)))
        assert caught.value.code == "media_unreachable"
        assert not await social.store.jobs()
        assert not bed.meta.of("threads", "create")


async def test_a_token_that_is_revoked_between_creating_and_publishing_posts_nothing(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        await post(social, wish("revoked"))
        while (await social.store.jobs())[0].state != "ready":
            await social.runner.run_due()
            bed.clock.advance(1)
        bed.meta.tokens.revoke(bed.grants["threads"].value)
        await settle(social, bed.clock)
        (job,) = await social.store.jobs()
        assert (job.state, job.error_code, bed.live()) == ("failed", "auth_expired", 0)
