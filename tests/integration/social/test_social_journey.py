"""A post from its submission to its permalink, and everything people can do on the way."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.social.media import MediaProbe
from gateway.social.models import PostRefused
from shared.errors import Conflict
from tests.support.social_bed import OPEN, jpeg, only, png, post, settle, social_bed, wish

ASK = {"tenants": {"nanoclaw": {"threads": {**OPEN, "mode": "approval"}}}}


async def test_each_kind_goes_online_once_with_its_permalink(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        one, two = bed.pictures.put("1.jpg", jpeg()), bed.pictures.put("2.jpg", jpeg(900, 900))
        wanted = [
            wish("text"),
            wish("picture", media=(one,)),
            wish("several", media=(one, two)),
            wish("answer", reply_to="123"),
            wish("insta", network="instagram", media=(one,)),
            wish("insta several", network="instagram", media=(one, two)),
        ]
        ids = [(await post(social, request)).id for request in wanted]
        await settle(social, bed.clock)
        for post_id in ids:
            job, history = await social.find(post_id)
            assert (job.state, job.error_code) == ("published", "")
            assert job.media_id in job.permalink
            assert [event.state for event in history][-4:] == ["processing", "ready", "publishing", "published"]
        assert (bed.live("threads"), bed.live("instagram")) == (4, 2)
        assert {entry.content_type for entry in bed.meta.posts.fetched} == {"image/jpeg"}


async def test_the_token_travels_in_a_header_only_and_text_posts_are_never_published_by_creating(
    tmp_path: Path,
) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        await post(social, wish("hello"))
        await settle(social, bed.clock)
        for entry in bed.meta.requests:
            assert bed.grants["threads"].value not in f"{entry.query} {entry.body}"
        (created,) = bed.meta.of("threads", "create")
        assert created.body == {"media_type": "TEXT", "text": "hello"}


async def test_a_container_is_waited_for(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        bed.meta.posts.behaviour.processing_reads = 3
        social = await bed.service()
        await post(social, wish("slow"))
        await settle(social, bed.clock)
        assert (await only(social)).state == "published"
        assert len(bed.meta.of("threads", "publish")) == 1


async def test_one_that_is_never_ready_fails_without_being_published(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        bed.meta.posts.behaviour.processing_reads = 999
        social = await bed.service()
        await post(social, wish("stuck"))
        await settle(social, bed.clock)
        assert ((job := await only(social)).state, job.error_code) == ("failed", "media_processing_timeout")
        assert not bed.meta.of("threads", "publish")


async def test_approval_binds_exactly_what_was_seen(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        info = await post(social, wish("please"))
        await settle(social, bed.clock, most_s=60)
        assert (info.state, bed.live()) == ("awaiting_approval", 0)
        with pytest.raises(Conflict, match="not the post that was looked at"):
            await social.approve(info.id, by="owner", digest="0" * 64)
        await social.approve(info.id, by="owner", digest=info.digest)
        with pytest.raises(Conflict, match="it is queued"):
            await social.approve(info.id, by="owner")
        await settle(social, bed.clock)
        job = await only(social)
        assert (job.state, job.approved_by, bed.live()) == ("published", "owner", 1)


async def test_a_picture_changed_after_approval_is_not_posted(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        info = await post(social, wish("look", media=(bed.pictures.put("a.jpg", jpeg()),)))
        await social.approve(info.id, by="owner")
        bed.pictures.put("a.jpg", jpeg(640, 640))
        await settle(social, bed.clock)
        job = await only(social)
        assert (job.state, job.error_code, bed.live()) == ("failed", "media_rejected", 0)
        assert "not the one that was accepted" in job.detail


async def test_unanswered_and_refused_approvals_post_nothing(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        refused = await post(social, wish("one"))
        waiting = await post(social, wish("two"))
        await social.reject(refused.id, by="owner", reason="too early")
        bed.clock.advance(25 * 3600)
        await settle(social, bed.clock)
        jobs = {job.id: job for job in await social.store.jobs()}
        assert (jobs[refused.id].state, jobs[refused.id].detail) == ("rejected", "owner said no: too early")
        assert (jobs[waiting.id].state, jobs[waiting.id].error_code) == ("rejected", "approval_rejected")
        assert bed.live() == 0
        with pytest.raises(Conflict, match="it is rejected"):
            await social.approve(waiting.id, by="owner")


async def test_a_repeated_request_is_the_same_post(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        request = wish("once", idempotency_key="k1", media=(bed.pictures.put("a.jpg", jpeg()),))
        first = await post(social, request)
        await settle(social, bed.clock)
        bed.pictures.files.clear()
        second = await post(social, request)
        assert (second.id, second.is_new, second.state) == (first.id, False, "published")
        assert await refused(social, wish("other", idempotency_key="k1")) == "idempotency_conflict"
        assert bed.live() == 1


async def test_the_same_content_again_needs_a_word(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        await post(social, wish("again"))
        await settle(social, bed.clock)
        assert await refused(social, wish("again")) == "duplicate_content"
        # An agent's key is its place in a run; an operator's says that it is meant.
        assert await refused(social, wish("again", idempotency_key="k2")) == "duplicate_content"
        await post(social, wish("again", idempotency_key="k3", group=""), origin="operator")
        await post(social, wish("again", allow_duplicate=True))
        await settle(social, bed.clock)
        assert bed.live() == 3
        bed.clock.advance(25 * 3600)
        await post(social, wish("again"))
        await settle(social, bed.clock)
        assert bed.live() == 4


async def test_scheduled_cancelled_moved_and_missed(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        at = bed.clock.now() + timedelta(hours=5)
        planned = await post(social, wish("planned", at=at))
        gone = await post(social, wish("gone", at=at))
        moved = await post(social, wish("moved", at=at))
        missed = await post(social, wish("missed", at=at + timedelta(hours=1)))
        assert planned.state == "scheduled"
        await social.cancel(gone.id, by="owner")
        await social.schedule(moved.id, bed.clock.now() + timedelta(hours=1))
        await settle(social, bed.clock, most_s=2 * 3600)
        assert [post.text for post in bed.meta.posts.posts("threads")] == ["moved"]
        await settle(social, bed.clock, most_s=int(3.5 * 3600))
        assert bed.live() == 2
        bed.clock.advance(20 * 3600)
        await settle(social, bed.clock)
        states = {job.id: (job.state, job.error_code) for job in await social.store.jobs()}
        assert states[missed.id] == ("failed", "schedule_missed")
        assert states[gone.id] == ("cancelled", "")
        assert await refused(social, wish("past", at=bed.clock.now() - timedelta(hours=1))) == "invalid_field"


async def test_a_hold_stops_everything_and_lets_it_go_on(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        await social.hold(by="owner")
        await post(social, wish("held"))
        await settle(social, bed.clock, most_s=1800)
        assert (bed.live(), (await only(social)).error_code) == (0, "held")
        await social.release()
        await settle(social, bed.clock)
        assert bed.live() == 1


async def test_a_hold_that_comes_just_before_publishing_still_counts(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        await post(social, wish("held"))
        while (await only(social)).state != "ready":
            await social.runner.run_due()
            bed.clock.advance(1)
        await social.hold(by="owner")
        await settle(social, bed.clock, most_s=300)
        assert (bed.live(), (await only(social)).state) == (0, "ready")
        await social.cancel((await only(social)).id, by="owner")
        await social.release()
        await settle(social, bed.clock)
        assert bed.live() == 0


async def test_caps_quota_and_quiet_hours(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        quiet = {**OPEN, "daily_cap": 2, "quiet_from": "11:00", "quiet_until": "14:30", "timezone": "Europe/Berlin"}
        social = await bed.service({"tenants": {"nanoclaw": {"threads": quiet, "instagram": OPEN}}})
        await post(social, wish("one"))
        await post(social, wish("two"))
        assert await refused(social, wish("three")) == "quota_exceeded"
        await settle(social, bed.clock, most_s=3600)
        assert bed.live() == 0
        await settle(social, bed.clock)
        assert bed.live() == 2
        first = bed.meta.posts.posts("threads")[0]
        assert first.posted_at.hour * 60 + first.posted_at.minute >= 13 * 60 + 30

        bed.meta.posts.behaviour.quota["instagram"] = 0
        await post(social, wish("full", network="instagram", media=(bed.pictures.put("a.jpg", jpeg()),)))
        await settle(social, bed.clock)
        job = next(job for job in await social.store.jobs() if job.network == "instagram")
        assert (job.state, job.error_code) == ("failed", "quota_exceeded")


async def test_a_dry_run_keeps_and_posts_nothing(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        info = await post(social, wish("try", dry_run=True))
        assert (info.id, info.state, info.length, info.limit) == ("", "dry_run_ok", 3, 500)
        assert "a person would be asked" in info.summary
        assert not await social.store.jobs()
        assert not bed.meta.of("threads", "create")


async def test_a_failed_post_is_tried_again_by_command(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        bed.graph_fault("create", 10)
        info = await post(social, wish("later"))
        await settle(social, bed.clock)
        assert (await only(social)).error_code == "permission_missing"
        await social.retry(info.id)
        await settle(social, bed.clock)
        assert ((await only(social)).state, bed.live()) == ("published", 1)
        with pytest.raises(Conflict, match="cannot retry"):
            await social.retry(info.id)


async def test_a_retry_after_the_same_post_was_made_otherwise_is_refused(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        bed.graph_fault("create", 10)
        info = await post(social, wish("twin"))
        await settle(social, bed.clock)
        await post(social, wish("twin"))
        await settle(social, bed.clock)
        with pytest.raises(PostRefused, match="accepted within 24 hours") as caught:
            await social.retry(info.id)
        assert (caught.value.code, bed.live()) == ("duplicate_content", 1)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda bed: wish("x" * 501), "text_too_long"),
        (
            lambda bed: wish("png", network="instagram", media=(bed.pictures.put("a.jpg", png()),)),
            "media_format_unsupported",
        ),
        (lambda bed: wish("html", media=(bed.pictures.put("a.jpg", b"<html>", "text/html"),)), "media_unreachable"),
        (lambda bed: wish("gone", media=(f"{bed.pictures.base}/nothing.jpg",)), "media_unreachable"),
        (lambda bed: wish("file", media=("groups/main/a.jpg",)), "media_unreachable"),
        (lambda bed: wish("foreign", group="other"), "posting_not_allowed"),
    ],
)
async def test_bad_input_is_refused_and_nothing_is_kept(tmp_path: Path, make, code: str) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        assert await refused(social, make(bed)) == code
        assert not await social.store.jobs()
        assert not bed.meta.of("threads", "create")


async def test_signed_out_another_account_and_a_closed_network(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(ASK)
        jpg = bed.pictures.put("a.jpg", jpeg())
        assert await refused(social, wish("x", network="instagram", media=(jpg,))) == "posting_not_allowed"
        info = await post(social, wish("mine"))
        await social.approve(info.id, by="owner")
        bed.users["threads"] = "777"
        await settle(social, bed.clock)
        assert ((await only(social)).error_code, bed.live()) == ("auth_expired", 0)
        bed.signed_in = False
        assert await refused(social, wish("y")) == "auth_expired"


async def test_pictures_on_private_addresses_are_refused_outside_the_sandbox(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        url = bed.pictures.put("a.jpg", jpeg())
        with pytest.raises(PostRefused, match="not a public address"):
            await MediaProbe().look(url)
        with pytest.raises(PostRefused, match="not a public address"):
            await MediaProbe().look(url.replace("127.0.0.1", "localhost"))


async def test_a_post_deleted_by_hand_stays_what_it_was(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        await post(social, wish("short life"))
        while (await only(social)).state != "published":
            await social.runner.run_due()
            bed.clock.advance(1)
        bed.meta.posts.live.clear()
        await settle(social, bed.clock)
        assert (await only(social)).state == "published"
        assert len(bed.meta.of("threads", "publish")) == 1


async def refused(social, request) -> str:
    with pytest.raises(PostRefused) as caught:
        await post(social, request)
    return caught.value.code
