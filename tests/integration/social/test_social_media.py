"""Pictures and videos: looked at, converted, served to the networks for a short while, and removed."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from gateway.social.hosting.convert import MOST_PIXELS, to_jpeg
from gateway.social.hosting.links import read_link
from gateway.social.models import PostRefused
from shared.errors import Invalid, NotFound
from shared.http.client import http_client
from shared.social.images import read_image
from tests.support.social_bed import EVERYTHING, OPEN, jpeg, mp4, only, png, post, settle, social_bed, wish


def picture(kind: str = "PNG", size: tuple[int, int] = (800, 800), mode: str = "RGBA", **more) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, (200, 30, 30, 128)[: len(mode)]).save(out, kind, **more)
    return out.getvalue()


async def refused(social, request) -> str:
    with pytest.raises(PostRefused) as caught:
        await post(social, request)
    return caught.value.code


async def test_videos_reels_stories_and_mixed_carousels_go_online(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        video = bed.pictures.put("v.mp4", mp4(), "video/mp4")
        image = bed.pictures.put("i.jpg", jpeg())
        wanted = [
            wish("video", media=(video,)),
            wish("mixed", media=(image, video)),
            wish("reel", network="instagram", media=(video,)),
            wish("", network="instagram", media=(video,), story=True),
            wish("", network="instagram", media=(image,), story=True),
            wish("both", network="instagram", media=(image, video)),
        ]
        infos = [await post(social, request) for request in wanted]
        assert [info.kind for info in infos] == ["video", "carousel", "reel", "story", "story", "carousel"]
        await settle(social, bed.clock)
        assert {job.state for job in await social.store.jobs()} == {"published"}
        assert [entry.kind for entry in bed.meta.posts.posts("instagram")].count("STORIES") == 2
        forms = [entry.body for entry in bed.meta.of("instagram", "create")]
        assert {form.get("media_type") for form in forms} >= {"REELS", "STORIES", "CAROUSEL", "VIDEO"}


async def test_a_file_is_served_for_its_post_alone_and_gone_afterwards(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        data = jpeg(900, 900, size=5000)
        kept = await social.host.keep("nanoclaw", "chart.jpg", data)
        assert (await social.host.keep("nanoclaw", "again.jpg", data)).media_id == kept.media_id
        bed.meta.posts.behaviour.processing_reads = 2
        await post(social, wish("a file", media=(kept.url,)))
        while (await only(social)).state != "processing":
            await social.runner.run_due()
        (fetched,) = bed.meta.posts.fetched
        assert (fetched.content_type, fetched.size) == ("image/jpeg", 5000)
        async with http_client(timeout_s=5) as http:
            head = await http.head(fetched.url)
            assert (head.status_code, head.headers["content-length"], head.content) == (200, "5000", b"")
            part = await http.get(fetched.url, headers={"range": "bytes=10-19"})
            assert (part.status_code, part.content) == (206, data[10:20])
            assert part.headers["content-range"] == "bytes 10-19/5000"
            assert (await http.get(fetched.url, headers={"range": "bytes=9000-"})).status_code == 416
            for name, value in (("cache-control", "private, no-store"), ("x-content-type-options", "nosniff")):
                assert head.headers[name] == value
            assert "set-cookie" not in head.headers
            forged = fetched.url[:-6] + ("b" if fetched.url[-6] == "a" else "a") + fetched.url[-5:]
            for url in (forged, fetched.url + "?x=1", fetched.url.replace(".jpg", ".png"), f"{bed.media_base}/"):
                assert (await http.get(url)).status_code == 404
            assert (await http.post(fetched.url)).status_code == 404
            assert "Allow: /m/" in (await http.get(f"{bed.media_base}/robots.txt")).text
            await settle(social, bed.clock)
            assert (await only(social)).state == "published"
            assert (await http.get(fetched.url)).status_code == 404
        await social._tasks.drain(5)
        assert not social.host.file(kept).exists()
        with pytest.raises(NotFound):
            await social.host.read("nanoclaw", kept.media_id)


async def test_a_link_ends_with_its_time_and_its_number_of_fetches(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service({**EVERYTHING, "media": {"public_base": bed.media_base, "fetches": 4}})
        kept = await social.host.keep("nanoclaw", "a.jpg", jpeg())
        bed.meta.posts.behaviour.processing_reads = 99
        await post(social, wish("a file", media=(kept.url,)))
        while (await only(social)).state != "processing":
            await social.runner.run_due()
        path = bed.meta.posts.fetched[0].url.removeprefix(bed.media_base)
        link = read_link(path)
        assert link is not None
        # Our own look and the network's were two.
        assert [await social.host.admit(link) is not None for _ in range(3)] == [True, True, False]
        await social.store.media.allow_fetches(kept.media_id)
        again = await bed.service()
        assert await again.host.admit(link) is not None
        bed.clock.advance(2 * 3600 + 1)
        assert await again.host.admit(link) is None


async def test_files_of_other_tenants_and_too_many_or_unfit_ones(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        bounds = {"public_base": bed.media_base, "max_files": 2, "max_file_bytes": 20_000}
        social = await bed.service({**EVERYTHING, "media": bounds})
        kept = await social.host.keep("openclaw", "a.jpg", jpeg())
        assert await refused(social, wish("theirs", media=(kept.url,))) == "media_unreachable"
        assert await refused(social, wish("nothing", media=("media:med_" + "a" * 26,))) == "media_unreachable"
        for data, code in ((b"#!/bin/sh", "media_format_unsupported"), (jpeg(size=30_000), "media_too_large")):
            with pytest.raises(PostRefused) as caught:
                await social.host.keep("nanoclaw", "x", data)
            assert caught.value.code == code
        await social.host.keep("nanoclaw", "b.jpg", jpeg(700))
        with pytest.raises(Exception, match="too many files"):
            await social.host.keep("nanoclaw", "c.jpg", jpeg(701))
        bed.clock.advance(3601)
        assert await social.host.sweep() == 2
        await social.host.keep("nanoclaw", "c.jpg", jpeg(701))
        closed = await bed.service({**EVERYTHING, "media": {"public_base": ""}})
        with pytest.raises(PostRefused, match="no public media host configured"):
            await closed.host.keep("nanoclaw", "a.jpg", jpeg())


async def test_conversion_happens_only_when_asked_for(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        url = bed.pictures.put("a.png", picture(), "image/png")
        request = wish("png", network="instagram", media=(url,))
        assert await refused(social, request) == "media_format_unsupported"
        asked = wish("png", network="instagram", media=(url,), convert=True, idempotency_key="k")
        info = await post(social, asked)
        assert "made from" in info.media[0]
        assert (await post(social, asked)).id == info.id
        await settle(social, bed.clock)
        assert (await only(social)).state == "published"
        assert [entry.content_type for entry in bed.meta.posts.fetched] == ["image/jpeg"]


def test_what_conversion_makes() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    made = to_jpeg(picture("JPEG", (600, 400), "RGB", exif=exif), most_bytes=8 << 20)
    assert (read_image(made).width, read_image(made).height) == (400, 600)
    assert b"camera" not in made
    assert b"Exif" not in made
    with Image.open(io.BytesIO(to_jpeg(picture("WEBP", (3000, 1000)), most_bytes=8 << 20))) as small:
        assert (small.format, small.mode, small.size) == ("JPEG", "RGB", (1440, 480))
    gif = to_jpeg(picture("GIF", (320, 320), "P"), most_bytes=8 << 20)
    assert read_image(gif).format == "jpeg"


def bomb(side: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data", [bomb(7000), bomb(60_000), png(), b"", b"<svg/>", picture()[:200]], ids=lambda data: f"{len(data)} bytes"
)
def test_bombs_and_damaged_pictures_are_refused(data: bytes) -> None:
    assert MOST_PIXELS < 7000 * 7000
    with pytest.raises(Invalid):
        to_jpeg(data, most_bytes=8 << 20)


async def test_what_a_video_may_not_be(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service({**EVERYTHING, "media": {"public_base": "", "max_video_bytes": 5000}})
        short = bed.pictures.put("s.mp4", mp4(1), "video/mp4")
        large = bed.pictures.put("l.mp4", mp4() + bytes(6000), "video/mp4")
        fine = bed.pictures.put("f.mp4", mp4(), "video/mp4")
        for request, code in (
            (wish("short", network="instagram", media=(short,)), "media_format_unsupported"),
            (wish("large", media=(large,)), "media_too_large"),
            (wish("text", network="instagram", media=(fine,), story=True), "invalid_field"),
            (wish("", network="instagram", media=(fine, fine), story=True), "media_required"),
            (wish("x", media=(fine,), story=True), "invalid_field"),
            (wish("lie", media=(bed.pictures.put("x.mp4", b"<html>", "video/mp4"),)), "media_format_unsupported"),
        ):
            assert await refused(social, request) == code
        assert bed.live() == bed.live("instagram") == 0


async def test_a_network_that_cannot_reach_us_is_not_asked(tmp_path: Path) -> None:
    async with social_bed(tmp_path) as bed:
        social = await bed.service()
        kept = await social.host.keep("nanoclaw", "a.jpg", jpeg())
        await post(social, wish("a file", media=(kept.url,)))
        elsewhere = {"public_base": bed.pictures.base}
        again = await bed.service({"tenants": {"nanoclaw": {"threads": OPEN}}, "media": elsewhere})
        await settle(again, bed.clock)
        assert ((job := await only(again)).state, job.error_code) == ("failed", "media_unreachable")
        assert not bed.meta.of("threads", "create")
