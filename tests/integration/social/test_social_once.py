"""Exactly once: what is online is what was accepted, whatever goes wrong at whichever step."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.sandbox.meta.posts import Container
from gateway.social.models import PostRefused
from gateway.social.runner import LEASE
from gateway.social.store import LeaseLost
from shared.errors import Conflict
from tests.support.social_bed import Bed, jpeg, mp4, only, post, settle, social_bed, wish

KINDS = ("text", "image", "video", "story", "carousel")
LOST = {
    "reset": {"kind": "reset"},
    "html": {"kind": "edge_page", "status": 502},
    "server": {"kind": "status", "status": 500},
    "nonsense": {"kind": "malformed"},
    "code 1": {"kind": "status", "status": 400, "body": {"error": {"code": 1}}},
}
SURPRISES = {
    "spam": {"kind": "status", "status": 400, "body": {"error": {"code": 4, "error_subcode": 2207051}}},
    "gone": {"kind": "status", "status": 400, "body": {"error": {"code": 24, "error_subcode": 4279009}}},
    "unknown code": {"kind": "status", "status": 400, "body": {"error": {"code": 99999}}},
}


def a_post(bed: Bed, kind: str, network: str):
    if kind in {"video", "story"}:
        video = bed.pictures.put("a.mp4", mp4(), "video/mp4")
        return wish("" if kind == "story" else "the one post", network=network, media=(video,), story=kind == "story")
    count = {"text": 0, "image": 1, "carousel": 2}[kind]
    media = tuple(bed.pictures.put(f"{number}.jpg", jpeg(800 + number, 800)) for number in range(count))
    return wish("the one post", network=network, media=media)


@pytest.mark.parametrize("network", ["threads", "instagram"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", [*LOST, *SURPRISES])
async def test_a_fault_after_the_effect_of_publishing(tmp_path: Path, fault: str, kind: str, network: str) -> None:
    """The post is online and the answer says something else: found by status and list, never made twice."""
    if (network, kind) in {("instagram", "text"), ("threads", "story")}:
        return
    async with social_bed(tmp_path) as bed:
        what = {**LOST, **SURPRISES}[fault]
        bed.fault("publish", upstream=network, applied=fault != "nonsense", **what)
        social = await bed.service()
        await post(social, a_post(bed, kind, network))
        await settle(social, bed.clock)
        job = await only(social)
        assert (bed.live(network), job.state, job.error_code) == (1, "published", "")
        assert job.media_id == bed.meta.posts.posts(network)[0].media_id
        assert job.permalink


@pytest.mark.parametrize("network", ["threads", "instagram"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", [name for name in (*LOST, *SURPRISES) if name != "nonsense"])
async def test_a_fault_before_the_effect_of_publishing(tmp_path: Path, fault: str, kind: str, network: str) -> None:
    """Nothing is online: the same container is published again once both views say so."""
    if (network, kind) in {("instagram", "text"), ("threads", "story")}:
        return
    async with social_bed(tmp_path) as bed:
        bed.fault("publish", upstream=network, **{**LOST, **SURPRISES}[fault])
        social = await bed.service()
        await post(social, a_post(bed, kind, network))
        await settle(social, bed.clock)
        job = await only(social)
        if fault == "spam":
            assert (bed.live(network), job.state, job.error_code) == (0, "failed", "blocked_by_platform")
        else:
            assert (bed.live(network), job.state) == (1, "published")
            assert len([c for c in bed.meta.posts.containers(network) if not c.is_item]) == 1


@pytest.mark.parametrize("op", ["create", "status", "quota", "list", "media"])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("fault", ["reset", "html"])
async def test_a_fault_at_any_other_step(tmp_path: Path, op: str, fault: str, applied: bool) -> None:
    async with social_bed(tmp_path) as bed:
        bed.fault(op, applied=applied, nth=(1, 2), **LOST[fault])
        social = await bed.service()
        await post(social, a_post(bed, "carousel", "threads"))
        await settle(social, bed.clock)
        assert (bed.live(), (await only(social)).state) == (1, "published")


@pytest.mark.parametrize("lag", [1, 2, 3])
async def test_views_that_lag_behind(tmp_path: Path, lag: int) -> None:
    """With either view up to date nothing is doubled; the emulator would make a second post if asked."""
    for field in ("status_lag", "list_lag"):
        folder = tmp_path / field
        async with social_bed(folder) as bed:
            setattr(bed.meta.posts.behaviour, field, lag)
            bed.meta.posts.behaviour.republish = "duplicate"
            bed.fault("publish", applied=True, **LOST["reset"])
            social = await bed.service()
            await post(social, wish("lagging"))
            await settle(social, bed.clock)
            assert (bed.live(), (await only(social)).state) == (1, "published")


@pytest.mark.parametrize("lag", [1, 3, 5])
async def test_taken_for_spam_and_online_all_the_same(tmp_path: Path, lag: int) -> None:
    """Both views are behind for minutes; a "failed" would make people post it again."""
    async with social_bed(tmp_path) as bed:
        bed.meta.posts.behaviour.status_lag = bed.meta.posts.behaviour.list_lag = lag
        bed.fault("publish", applied=True, **SURPRISES["spam"])
        social = await bed.service()
        await post(social, wish("not spam"))
        await settle(social, bed.clock)
        assert (bed.live(), (await only(social)).state) == (1, "published")
        assert len(bed.meta.of("threads", "publish")) == 1


async def test_one_look_is_not_enough(tmp_path: Path) -> None:
    """Both views are one reading behind, and the network would make a second post if asked."""
    async with social_bed(tmp_path) as bed:
        bed.meta.posts.behaviour.status_lag = bed.meta.posts.behaviour.list_lag = 1
        bed.meta.posts.behaviour.republish = "duplicate"
        bed.fault("publish", applied=True, **LOST["reset"])
        social = await bed.service()
        await post(social, wish("a moment"))
        await settle(social, bed.clock)
        assert (bed.live(), (await only(social)).state) == (1, "published")


@pytest.mark.parametrize(("code", "subcode"), [(9, 2207042), (190, 458), (9007, 2207027), (4, 0), (24, 4279009)])
async def test_a_refusal_after_an_unknown_outcome_is_not_believed(tmp_path: Path, code: int, subcode: int) -> None:
    async with social_bed(tmp_path) as bed:
        bed.meta.posts.behaviour.status_lag = bed.meta.posts.behaviour.list_lag = 999
        bed.fault("publish", applied=True, **LOST["reset"])
        bed.graph_fault("publish", code, subcode, nth="*")
        social = await bed.service()
        await post(social, wish("online"))
        await settle(social, bed.clock)
        assert (bed.live(), (await only(social)).state) == (1, "needs_attention")
        assert len(bed.meta.posts.containers("threads")) == 1


async def test_not_found_for_a_published_container_is_looked_into_before_another_is_made(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        bed.meta.posts.behaviour.status_lag = 99
        bed.fault("publish", applied=True, **SURPRISES["gone"])
        social = await bed.service()
        await post(social, wish("it said no"))
        await settle(social, bed.clock)
        job = await only(social)
        assert (bed.live(), job.state) == (1, "published")
        assert job.media_id == bed.meta.posts.live[0].media_id


async def test_another_jobs_post_is_not_taken_for_ours(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        bed.fault("publish", kind="reset", applied=False, nth=2)
        await post(social, wish("twins"))
        await post(social, wish("twins", allow_duplicate=True))
        await settle(social, bed.clock)
        jobs = await social.store.jobs()
        assert {job.state for job in jobs} == {"published"}
        assert {job.media_id for job in jobs} == {item.media_id for item in bed.meta.posts.live}
        assert bed.live() == 2


async def test_an_older_post_with_the_same_words_is_not_taken_for_ours(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        by_hand = Container("x", "threads", "TEXT", "same words", bed.clock.now())
        theirs = bed.meta.posts.put_online(by_hand).media_id
        bed.clock.advance(3600)
        bed.fault("publish", kind="reset", applied=False)
        await post(social, wish("same words"))
        await settle(social, bed.clock)
        job = await only(social)
        assert (bed.live(), job.state) == (2, "published")
        assert job.media_id != theirs


async def test_both_views_lag_for_longer_than_we_look_and_single_use_still_holds(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        bed.meta.posts.behaviour.status_lag = bed.meta.posts.behaviour.list_lag = 999
        bed.fault("publish", applied=True, **LOST["reset"])
        social = await bed.service()
        await post(social, wish("invisible"))
        await settle(social, bed.clock)
        job = await only(social)
        assert (bed.live(), job.state, job.error_code) == (1, "needs_attention", "publish_outcome_unknown")
        assert len(bed.meta.posts.containers("threads")) == 1
        await social.resolve(job.id, posted=True, by="owner", media_id="17")
        assert (await only(social)).state == "published"


async def test_nothing_can_be_read_so_a_person_decides(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        info = await post(social, wish("doubtful"))
        while (await only(social)).state != "ready":
            await social.runner.run_due()
            bed.clock.advance(1)
        bed.fault("publish", kind="reset", applied=False, nth="*")
        bed.fault("status", kind="edge_page", nth="*")
        bed.fault("list", kind="edge_page", nth="*")
        await settle(social, bed.clock, most_s=200)
        assert "may be online" in (await only(social)).detail
        with pytest.raises(Conflict, match="it may be online"):
            await social.cancel(info.id, by="owner")
        with pytest.raises(PostRefused, match="may be online already") as caught:
            await post(social, wish("doubtful", allow_duplicate=True, idempotency_key="new"))
        assert caught.value.code == "duplicate_content"
        await settle(social, bed.clock)
        job = await only(social)
        assert (job.state, job.error_code) == ("needs_attention", "publish_outcome_unknown")
        assert len(bed.meta.of("threads", "publish")) == 1
        with pytest.raises(Conflict, match="cannot retry"):
            await social.retry(info.id)
        bed.meta.faults.clear()
        await social.resolve(info.id, posted=False, by="owner")
        await social.retry(info.id)
        await settle(social, bed.clock)
        assert (bed.live(), (await only(social)).state) == (1, "published")


async def test_publishing_too_early_is_answered_with_patience_then_a_new_container(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        bed.graph_fault("publish", 24, 4279009, nth=(1, 2))
        social = await bed.service()
        await post(social, wish("race"))
        await settle(social, bed.clock)
        assert (bed.live(), (await only(social)).state) == (1, "published")
        assert len(bed.meta.posts.containers("threads")) == 2


async def test_a_container_that_is_never_found_fails_after_three(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        bed.graph_fault("publish", 24, 4279009, nth="*")
        social = await bed.service()
        await post(social, wish("race"))
        await settle(social, bed.clock)
        job = await only(social)
        assert (bed.live(), job.state, job.error_code) == (0, "failed", "container_not_found")
        assert len(bed.meta.posts.containers("threads")) == 3


async def test_never_a_new_container_after_an_unknown_outcome(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        bed.fault("publish", kind="reset", applied=False, nth=1)
        bed.graph_fault("publish", 24, 4279009, nth="*")
        social = await bed.service()
        await post(social, wish("race"))
        await settle(social, bed.clock)
        assert (await only(social)).state == "needs_attention"
        assert len(bed.meta.posts.containers("threads")) == 1


async def test_the_newest_post_is_not_taken_for_ours(tmp_path: Path) -> None:
    """Somebody posts by hand meanwhile; ours is not online, and theirs is not claimed."""
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        await post(social, wish("ours"))
        while (await only(social)).state != "ready":
            await social.runner.run_due()
            bed.clock.advance(1)
        bed.fault("publish", kind="reset", applied=False)
        bed.fault("status", kind="edge_page", nth="*")
        bed.meta.posts.put_online(Container("x", "threads", "TEXT", "theirs", bed.clock.now()))
        await settle(social, bed.clock)
        job = await only(social)
        assert (job.state, job.media_id) == ("needs_attention", "")


async def test_a_story_made_by_hand_is_not_taken_for_ours(tmp_path: Path) -> None:
    """Stories have no words to be told apart by: only the container's own status says that ours is online."""
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        await post(social, a_post(bed, "story", "instagram"))
        while (await only(social)).state != "ready":
            await social.runner.run_due()
            bed.clock.advance(1)
        bed.fault("publish", upstream="instagram", kind="reset", applied=False)
        theirs = Container("x", "instagram", "STORIES", "", bed.clock.now(), ("https://e.org/a.mp4",))
        bed.meta.posts.put_online(theirs)
        await settle(social, bed.clock)
        job = await only(social)
        assert (job.state, job.media_id, bed.live("instagram")) == ("needs_attention", "", 1)


async def test_an_expired_container_is_made_anew(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        await post(social, wish("overslept"))
        while (await only(social)).state != "ready":
            await social.runner.run_due()
            bed.clock.advance(1)
        bed.clock.advance(25 * 3600)
        await settle(social, bed.clock)
        assert (bed.live(), (await only(social)).state) == (1, "published")


@pytest.mark.parametrize(("code", "subcode", "post_code"), [(190, 458, "auth_expired"), (9, 2207042, "quota_exceeded")])
async def test_a_definite_refusal_fails_without_another_try(
    tmp_path: Path, code: int, subcode: int, post_code: str
) -> None:
    async with social_bed(tmp_path) as bed:
        bed.graph_fault("publish", code, subcode)
        social = await bed.service()
        await post(social, wish("no"))
        await settle(social, bed.clock)
        job = await only(social)
        assert (bed.live(), job.state, job.error_code) == (0, "failed", post_code)
        assert len(bed.meta.of("threads", "publish")) == 1


async def test_a_token_revoked_while_publishing_leaves_no_doubt_unseen(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        bed.fault("publish", kind="reset", applied=True)
        social = await bed.service()
        await post(social, wish("revoked"))
        while not bed.live():
            await social.runner.run_due()
            bed.clock.advance(1)
        bed.meta.tokens.revoke(bed.grants["threads"].value)
        bed.signed_in = False
        await settle(social, bed.clock)
        assert ((await only(social)).state, bed.live()) == ("needs_attention", 1)


async def test_while_one_is_in_doubt_the_accounts_next_post_waits(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        bed.fault("publish", kind="reset", applied=True)
        bed.meta.posts.behaviour.status_lag = bed.meta.posts.behaviour.list_lag = 2
        social = await bed.service()
        first = await post(social, wish("first"))
        bed.clock.advance(1)
        second = await post(social, wish("second"))
        await settle(social, bed.clock, most_s=40)
        assert [(await social.find(one.id))[0].state for one in (first, second)] == ["publishing", "queued"]
        await settle(social, bed.clock)
        assert [live.text for live in bed.meta.posts.posts("threads")] == ["first", "second"]


async def test_two_processes_on_one_database_publish_each_post_once(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        one, two = await bed.service(), await bed.service()
        for number in range(4):
            await post(one, wish(f"post {number}"))
        jpg = bed.pictures.put("a.jpg", jpeg())
        await post(two, wish("insta", network="instagram", media=(jpg,)))
        for _ in range(200):
            await asyncio.gather(one.runner.run_due(), two.runner.run_due())
            _, later = await one.store.due(bed.clock.now())
            bed.clock.advance(2)
            if bed.live() == 4 and bed.live("instagram") == 1 and later is None:
                break
        assert (bed.live(), bed.live("instagram")) == (4, 1)
        assert len(bed.meta.of("threads", "publish")) == 4


async def test_the_same_key_from_two_sides_at_once_is_one_post(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        one, two = await bed.service(), await bed.service()
        request = wish("race", idempotency_key="same")
        answers = await asyncio.gather(*(post(social, request) for social in (one, two) for _ in range(3)))
        assert len({answer.id for answer in answers}) == 1
        await settle(one, bed.clock)
        assert bed.live() == 1


async def test_a_process_that_lost_its_lease_cannot_write(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        job_id = (await post(social, wish("fenced"))).id
        store = social.store
        account = (await store.get(job_id)).account
        old = await store.acquire(account, "a", LEASE)
        assert old is not None
        assert await store.acquire(account, "b", LEASE) is None
        bed.clock.advance(LEASE.total_seconds() + 1)
        new = await store.acquire(account, "b", LEASE)
        assert new is not None
        assert new.fence == old.fence + 1
        job = await store.get(job_id)
        with pytest.raises(LeaseLost):
            await store.update(job, lease=old, state="creating")
        await store.update(job, lease=new, state="creating")
