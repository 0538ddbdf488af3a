"""Small pictures for those who look at a post: of the accepted bytes alone, bounded, gone when the post is over."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from gateway.social.thumbnails import MOST_BYTES, WIDTH
from shared.errors import NotFound
from tests.support.social_bed import OPEN, mp4, post, settle, social_bed, wish

ASK = {**OPEN, "mode": "approval"}
POLICY = {"tenants": {"nanoclaw": {"threads": ASK}, "openclaw": {"threads": ASK}}}


def photo(colour: str = "teal") -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (1200, 800), colour).save(out, "JPEG")
    return out.getvalue()


async def test_a_waiting_post_shows_its_pictures_in_small(tmp_path: Path) -> None:
    from PIL import Image

    async with social_bed(tmp_path) as bed:
        social = await bed.service(POLICY)
        kept = await social.host.keep("nanoclaw", "mine.jpg", photo())
        film = bed.pictures.put("a.mp4", mp4(), "video/mp4")
        media = (bed.pictures.put("a.jpg", photo("red")), kept.url, film)
        info = await post(social, wish("three", media=media))
        assert info.thumbnails == (1, 2)
        for number in info.thumbnails:
            data = await social.thumbnail("nanoclaw", info.id, number)
            with Image.open(io.BytesIO(data)) as picture:
                assert (picture.format, picture.size) == ("JPEG", (WIDTH, 160))
            assert len(data) <= MOST_BYTES
        for number in (0, 3, 4):
            with pytest.raises(NotFound):
                await social.thumbnail("nanoclaw", info.id, number)
        with pytest.raises(NotFound):
            await social.thumbnail("openclaw", info.id, 1)
        await social.approve(info.id, by="owner")
        await settle(social, bed.clock)
        assert bed.live() == 1
        with pytest.raises(NotFound):
            await social.thumbnail("nanoclaw", info.id, 1)


async def test_another_picture_behind_the_address_is_not_shown(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service(POLICY)
        info = await post(social, wish("one", media=(bed.pictures.put("a.jpg", photo()),)))
        bed.pictures.put("a.jpg", photo("black"))
        with pytest.raises(NotFound, match="not the one that was accepted"):
            await social.thumbnail("nanoclaw", info.id, 1)
