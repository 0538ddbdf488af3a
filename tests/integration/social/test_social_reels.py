"""What Instagram takes beside picture and caption: people marked, a reel's cover, its place among the posts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.social.models import PostRefused
from shared.social.models import Content
from tests.support.social_bed import jpeg, mp4, only, png, post, settle, social_bed, wish

ANA = {"username": "ana", "x": 0.5, "y": 0.2}


async def test_people_are_marked_and_a_reel_has_its_cover(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        one, two = bed.pictures.put("1.jpg", jpeg()), bed.pictures.put("2.jpg", jpeg(900, 900))
        film, cover = bed.pictures.put("a.mp4", mp4(), "video/mp4"), bed.pictures.put("c.jpg", jpeg(640, 1136))
        for request in (
            wish("single", network="instagram", media=(one,), people={1: [ANA]}),
            wish("several", network="instagram", media=(one, two), people={2: [ANA]}),
            wish("film", network="instagram", media=(film,), cover={"url": cover}, share_to_feed=False),
            wish("moment", network="instagram", media=(film,), thumb_offset_ms=2500, people={1: [{"username": "bo"}]}),
        ):
            await post(social, request)
        await settle(social, bed.clock)
        assert {job.state for job in await social.store.jobs()} == {"published"}
        sent = [entry.body for entry in bed.meta.of("instagram", "create")]
        tags = [json.loads(form["user_tags"]) for form in sent if "user_tags" in form]
        assert sorted(tags, key=str) == [[ANA], [ANA], [{"username": "bo"}]]
        (covered,) = [form for form in sent if "cover_url" in form]
        assert (covered["cover_url"], covered["share_to_feed"], covered["media_type"]) == (cover, "false", "REELS")
        (moment,) = [form for form in sent if "thumb_offset" in form]
        assert (moment["thumb_offset"], "share_to_feed" in moment) == ("2500", False)
        assert cover in {entry.url for entry in bed.meta.posts.fetched}


async def test_a_cover_that_changed_is_not_posted_and_every_part_is_approved_with_it(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        film, cover = bed.pictures.put("a.mp4", mp4(), "video/mp4"), bed.pictures.put("c.jpg", jpeg())
        await post(social, wish("film", network="instagram", media=(film,), cover={"url": cover}))
        bed.pictures.put("c.jpg", jpeg(700, 700))
        await settle(social, bed.clock)
        job = await only(social)
        assert (job.state, job.error_code, bed.live("instagram")) == ("failed", "media_rejected", 0)
    plain = Content.model_validate({"network": "instagram", "text": "x", "media": [{"url": "https://e.org/a"}]})
    others: list[dict[str, Any]] = [
        {"thumb_offset_ms": 0},
        {"share_to_feed": False},
        {"cover": {"url": "https://e.org/c"}},
        {"media": [{"url": "https://e.org/a", "people": [ANA]}]},
    ]
    digests = {Content.model_validate({**plain.model_dump(), **more}).digest("a") for more in ({}, *others)}
    assert len(digests) == len(others) + 1


@pytest.mark.parametrize(
    ("more", "kind", "code", "words"),
    [
        ({"cover": True}, "picture", "invalid_field", "only a reel"),
        ({"thumb_offset_ms": 1}, "picture", "invalid_field", "only a reel"),
        ({"share_to_feed": True}, "picture", "invalid_field", "only a reel"),
        ({"thumb_offset_ms": 11_000}, "film", "invalid_field", "after the end"),
        ({"thumb_offset_ms": 1, "cover": True}, "film", "invalid_field", "one of the two"),
        ({"cover": "png"}, "film", "media_format_unsupported", "no JPEG"),
        ({"people": {1: [{"username": "ana"}]}}, "picture", "invalid_field", "x and y"),
        ({"people": {1: [ANA]}}, "film", "invalid_field", "no place in a reel"),
        ({"people": {1: [ANA] * 21}}, "picture", "too_many_tags", "21 people marked"),
        ({"people": {1: [ANA]}, "network": "threads"}, "picture", "invalid_field", "Threads has no such thing"),
        ({"share_to_feed": True, "network": "threads"}, "film", "invalid_field", "Threads has no such thing"),
    ],
)
async def test_what_does_not_fit_is_refused(
    tmp_path: Path, more: dict[str, Any], kind: str, code: str, words: str
) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        url = bed.pictures.put("a.jpg", jpeg()) if kind == "picture" else bed.pictures.put("a.mp4", mp4(), "video/mp4")
        if cover := more.get("cover"):
            more = {**more, "cover": {"url": bed.pictures.put("c.jpg", png() if cover == "png" else jpeg())}}
        with pytest.raises(PostRefused, match=words) as caught:
            await post(social, wish("x", media=(url,), **{"network": "instagram", **more}))
        assert caught.value.code == code
        assert not await social.store.jobs()


async def test_figures_are_asked_by_the_names_a_kind_has(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        film = bed.pictures.put("a.mp4", mp4(), "video/mp4")
        await post(social, wish("film", network="instagram", media=(film,)))
        await post(social, wish("", network="instagram", media=(film,), story=True))
        await settle(social, bed.clock)
        read = {job.content.kind: await social.read_figures(job) for job in await social.store.jobs()}
        assert {"likes", "saved", "views"} <= read["reel"].keys()
        assert "navigation" in read["story"]
        assert "likes" not in read["story"]
