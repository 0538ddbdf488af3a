"""A published post is taken offline on a person's word: once, and never "deleted" while it is online."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.social.models import PostRefused
from gateway.social.runner import LEASE
from shared.errors import Conflict, Denied
from shared.gatewayclient.models import PostChange
from tests.support.social_bed import Bed, jpeg, only, post, settle, social_bed, wish
from tests.support.social_kills import Guillotine, Killed, rig


async def online(bed: Bed, **more):
    social = await bed.service(**more)
    info = await post(social, wish("regret"))
    await settle(social, bed.clock)
    assert bed.live() == 1
    return social, info.id


async def test_a_published_post_is_deleted_and_the_same_words_need_a_word(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social, post_id = await online(bed)
        job = await only(social)
        with pytest.raises(Conflict, match="not the post that was looked at"):
            await social.delete(post_id, by="owner", digest="0" * 64)
        await social.delete(post_id, by="owner", digest=job.digest)
        await settle(social, bed.clock)
        job = await only(social)
        assert (job.state, job.error_code, bed.live()) == ("deleted", "", 0)
        assert len(bed.meta.of("threads", "delete")) == 1
        with pytest.raises(Conflict, match="it is deleted"):
            await social.delete(post_id, by="owner")
        with pytest.raises(PostRefused, match="accepted within 24 hours"):
            await post(social, wish("regret"))


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("kind", ["reset", "edge_page"])
async def test_an_unknown_outcome_is_looked_into_before_another_try(tmp_path: Path, kind: str, applied: bool) -> None:
    async with social_bed(tmp_path) as bed:
        social, post_id = await online(bed)
        bed.fault("delete", kind=kind, applied=applied)
        await social.delete(post_id, by="owner")
        await settle(social, bed.clock)
        assert ((await only(social)).state, bed.live()) == ("deleted", 0)
        assert len(bed.meta.of("threads", "delete")) == (1 if applied else 2)


async def test_what_cannot_be_deleted_counts_as_online_and_says_why(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social, post_id = await online(bed)
        bed.graph_fault("delete", 10)
        await social.delete(post_id, by="owner")
        await settle(social, bed.clock)
        job = await only(social)
        assert (job.state, job.error_code, bed.live()) == ("published", "permission_missing", 1)
        assert "could not be deleted" in job.detail
        bed.fault("delete", kind="reset", nth="*")
        await social.delete(post_id, by="owner")
        await settle(social, bed.clock)
        assert ((await only(social)).error_code, bed.live()) == ("upstream_unavailable", 1)


async def test_one_that_was_deleted_by_hand_is_found_gone(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social, post_id = await online(bed)
        bed.meta.posts.live.clear()
        await social.delete(post_id, by="owner")
        await settle(social, bed.clock)
        assert (await only(social)).state == "deleted"


async def test_death_at_every_point_of_deleting(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        for number in range(1, 30):
            info = await post(social, wish(f"post {number}"))
            await settle(social, bed.clock)
            await social.delete(info.id, by="owner")
            bed.clock.advance(LEASE.total_seconds() + 1)
            rigged = rig(await bed.service(), guillotine := Guillotine(number))
            try:
                await settle(rigged, bed.clock)
                break
            except Killed:
                bed.clock.advance(LEASE.total_seconds() + 1)
            finally:
                await settle(social, bed.clock)
                assert ((await social.store.get(info.id)).state, bed.live()) == ("deleted", 0)
        assert "before threads.delete" in guillotine.passed
        assert len(guillotine.passed) < number


async def test_instagram_has_no_call_and_the_control_ui_needs_the_right(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        picture = bed.pictures.put("a.jpg", jpeg())
        info = await post(social, wish("stays", network="instagram", media=(picture,)))
        await settle(social, bed.clock)
        with pytest.raises(PostRefused, match="delete it there by hand") as caught:
            await social.change("nanoclaw", info.id, PostChange(action="delete"))
        assert caught.value.code == "permission_missing"
        rule = {**bed.policy["tenants"]["nanoclaw"]["instagram"], "approvers": ["200"]}
        social = await bed.service({"tenants": {"nanoclaw": {"instagram": rule}}})
        with pytest.raises(Denied, match="approvers"):
            await social.change("nanoclaw", info.id, PostChange(action="delete"))
        assert bed.live("instagram") == 1
